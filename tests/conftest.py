from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.leftovers import Scope, nothing_stays

pytest_plugins = ["pytester"]

REQUIRED = frozenset(os.environ.get("RESEVAL_TESTS_REQUIRE", "").split())
"""Markers whose tests fail instead of being skipped, where everything should be there."""


def pytest_configure() -> None:
    """Let Ctrl-C reach the runs that tests start, even where it is ignored from the start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and any(mark.name in REQUIRED for mark in item.iter_markers()):
        report.outcome = "failed"
        report.longrepr = f"skipped where it must run: {report.longreprtext}"
    return report


@pytest.fixture(scope="session")
def base_image() -> str:
    """The common image of the example tasks, made if need be."""
    import docker

    made = _example_image_module()
    client = docker.from_env()
    try:
        made.ensure(client)
    except made.BaseImageError as obstacle:
        pytest.skip(str(obstacle))
    finally:
        client.close()
    image: str = made.IMAGE
    return image


def _example_image_module() -> ModuleType:
    path = Path(__file__).parents[1] / "example_tasks" / "base_image.py"
    spec = importlib.util.spec_from_file_location("base_image", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def nothing_left(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scope]:
    """After the test nothing may be left of the runs it started, by whatever end they came to.

    Request it before fixtures that end processes. Runs must use the ledger ``ledger`` in the test's
    folder, and Dockerfiles set the scope's ``build_label`` right after FROM.
    """
    owners: Path = tmp_path_factory.mktemp("owners")
    with nothing_stays(owners, pytester.path / "ledger") as scope:
        for name, value in scope.environment().items():
            monkeypatch.setenv(name, value)
        yield scope
