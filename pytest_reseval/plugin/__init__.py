"""pytest's hooks: declared and wired here, decided elsewhere.

In a project that does not use the plugin they do nothing, and nothing costly is imported.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from pytest_reseval.plugin import hookspecs, options
from pytest_reseval.plugin.controller import Controller
from pytest_reseval.plugin.fixtures import (
    OPEN_TRIAL,
    RECORD,
    reseval_plan,
    reseval_record,
    sandbox,
    task,
)
from pytest_reseval.plugin.run import close_run, run_of
from pytest_reseval.plugin.signals import interrupt_on_sigterm
from pytest_reseval.plugin.tally import status
from pytest_reseval.tasks import is_task_file

__all__ = ["reseval_plan", "reseval_record", "sandbox", "task"]

_ACTIVE = pytest.StashKey[bool]()
_CONTROLLER = pytest.StashKey[Controller]()

_MARKERS = (
    "memory(guarantee, limit): memory that a sandbox is promised, and where it is stopped; "
    "'512MiB', '2G' or bytes",
    "cpu(guarantee, limit): cores that a sandbox is promised, and where it is throttled",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    options.declare(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    from pytest_reseval.plugin import isolation

    paths = isolation.named_paths(early_config)
    typed = early_config.known_args_namespace
    active = options.any_given(early_config, typed) or isolation.names_a_task(paths)
    early_config.stash[_ACTIVE] = active
    if active:
        isolation.refuse_what_lies_in_a_task(early_config, paths)
        typed.file_or_dir = isolation.conftest_anchors(paths)


def pytest_configure(config: pytest.Config) -> None:
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    if not hasattr(config, "workerinput"):
        controller = config.stash[_CONTROLLER] = Controller(config)
        if _is_active(config):
            controller.check()
    if _is_active(config):
        config.add_cleanup(interrupt_on_sigterm())


def _is_active(config: pytest.Config) -> bool:
    return config.stash.get(_ACTIVE, False)


def pytest_sessionstart(session: pytest.Session) -> None:
    controller = session.config.stash.get(_CONTROLLER, None)
    if controller and _is_active(session.config) and not session.config.option.collectonly:
        controller.begin()


def pytest_report_header(config: pytest.Config) -> list[str]:
    controller = config.stash.get(_CONTROLLER, None)
    return controller.header() if controller else []


@pytest.hookimpl(tryfirst=True)
def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if not _is_active(parent.config):
        return None
    from pytest_reseval.plugin.collection import collect_directory

    return collect_directory(path, parent)


@pytest.hookimpl(trylast=True)  # what a trial is called ends with its configuration and sample
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "reseval_plan" in metafunc.fixturenames:
        from pytest_reseval.plugin.collection import parametrize

        parametrize(metafunc)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    if any("reseval_plan" in getattr(item, "fixturenames", ()) for item in items):
        from pytest_reseval.plugin.collection import check_items, put_in_order

        put_in_order(config, items)
        check_items(session, config, items)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    if not session.items or not _is_active(config) or config.option.collectonly:
        return
    if run_of(config).settings.resume is not None:
        from pytest_reseval.plugin.recall import recall

        recall(session)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if RECORD in item.stash or OPEN_TRIAL in item.stash:
        from pytest_reseval.plugin.verdicts import attach

        attach(item, call, report)
    elif report.skipped and isinstance(report.longrepr, tuple) and is_task_file(item.path):
        report.longrepr = (str(item.path), 0, report.longrepr[2])
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> object:
    return status(report)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    controller = session.config.stash.get(_CONTROLLER, None)
    if controller:
        controller.end(session)
    result = yield
    if controller:
        controller.enrich_junit()
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    controller = terminalreporter.config.stash.get(_CONTROLLER, None)
    if controller:
        controller.summarize(terminalreporter)


def pytest_unconfigure(config: pytest.Config) -> None:
    close_run(config)
