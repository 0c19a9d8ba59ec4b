"""From task directories and parametrized tests to pytest items.

A task file is a module without Python in it, whose functions are its trials: real pytest functions
with real fixtures. Nothing in a task directory is ever imported: its collector does not recurse.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from pytest_reseval.order import blocked
from pytest_reseval.plans import (
    Defaults,
    Demand,
    Sweep,
    TrialPlan,
    demand_of_marks,
    demand_of_task,
    plans,
)
from pytest_reseval.plugin.isolation import obey_conftests_around
from pytest_reseval.plugin.run import run_of
from pytest_reseval.plugin.verdicts import failure_text
from pytest_reseval.records import TrialRecord
from pytest_reseval.resources import QuantityError, format_memory
from pytest_reseval.tasks import load_task, task_file_in
from pytest_reseval.tasks.model import Environment, Task, TaskError

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet

PLAN = pytest.StashKey[TrialPlan]()
"""On every item that is a trial: what it will run."""


def run(reseval_record: TrialRecord) -> None:
    """The body of a task's item: by then agent and verifier are done, and this is the verdict."""
    if reseval_record.outcome != "passed":
        pytest.fail(failure_text(reseval_record), pytrace=False)


class TaskDirectory(pytest.File):
    """A directory with a task file; collects that file and nothing else.

    Not a ``pytest.Directory``: pytest imports the conftest of every such directory.
    """

    def collect(self) -> list[TaskFile]:
        """The task file."""
        file = task_file_in(self.path)
        return [TaskFile.from_parent(self, path=file)] if file else []


class TaskFile(pytest.Module):
    """A task file: a module that was never a file of Python, with one function, ``run``."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """The function, once for each headroom and sample of the task."""
        module = ModuleType(self.path.parent.name)
        module.run = run  # type: ignore[attr-defined]
        self.obj = module
        return super().collect()

    def funcnamefilter(self, name: str) -> bool:
        """Whatever a project calls its own tests, here it is ``run``."""
        return name == run.__name__


def collect_directory(path: Path, parent: pytest.Collector) -> TaskDirectory | None:
    """The collector for a directory if it is a task's."""
    if not task_file_in(path):
        return None
    obey_conftests_around(parent.config, path)
    return TaskDirectory.from_parent(parent, path=path)


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Give a function its plans: tasks, headrooms and samples."""
    config, definition = metafunc.config, metafunc.definition
    file = definition.parent
    try:
        if isinstance(file, TaskFile):
            cases = _cases_of_file(config, file.path, Demand(), prefix="")
        elif "task" in metafunc.fixturenames:
            cases = _cases_of_all_tasks(config, _demand_of(definition))
        else:
            cases = _plain_cases(config, definition.name, _demand_of(definition))
    except QuantityError as error:
        raise pytest.Collector.CollectError(f"{definition.nodeid}: {error}") from None
    except pytest.UsageError as error:
        raise pytest.Collector.CollectError(str(error)) from None
    metafunc.parametrize("reseval_plan", cases)


def _cases_of_all_tasks(config: pytest.Config, marked: Demand) -> list[ParameterSet]:
    patterns = run_of(config).settings.tasks
    directories = {path for pattern in patterns for path in config.rootpath.glob(pattern)}
    files = sorted(file for directory in directories if (file := task_file_in(directory)))
    if not files:
        raise pytest.Collector.CollectError(
            "the task fixture needs tasks: set the ini option reseval_tasks to glob patterns of "
            f"task directories below {config.rootpath} (now: {', '.join(patterns) or 'unset'})"
        )
    return [
        case
        for file in files
        for case in _cases_of_file(config, file, marked, prefix=f"{file.parent.name}-")
    ]


def _cases_of_file(
    config: pytest.Config, file: Path, marked: Demand, prefix: str
) -> list[ParameterSet]:
    """A task's plans; of a task that cannot be loaded one case, which tells why and is no trial."""
    try:
        task = load_task(file, os.environ)
        demand = demand_of_task(task) if marked == Demand() else marked
        found = _plans(config, task.name, task, demand, task.environment)
    except TaskError as error:
        return [pytest.param(error, id=f"{prefix}load")]
    skipped = [pytest.mark.skip(reason=task.unsupported)] if task.unsupported else []
    return [
        pytest.param(plan, id=prefix + plan.key, marks=[*_resolved_marks(plan), *skipped])
        for plan in found
    ]


def _plain_cases(config: pytest.Config, name: str, demand: Demand) -> list[ParameterSet]:
    environment = Environment(image=run_of(config).settings.image)
    return [
        pytest.param(plan, id=plan.key, marks=_resolved_marks(plan))
        for plan in _plans(config, name, None, demand, environment)
    ]


def _demand_of(definition: pytest.Item) -> Demand:
    given: dict[str, dict[str, object]] = {"memory": {}, "cpu": {}}
    for name, arguments in given.items():
        mark = definition.get_closest_marker(name)
        if mark is None:
            continue
        if mark.args:
            raise QuantityError(f"marker {name}{mark.args!r}: name its arguments guarantee, limit")
        arguments.update(mark.kwargs)
    return demand_of_marks(given["memory"], given["cpu"])


def _plans(
    config: pytest.Config,
    name: str,
    task: Task | None,
    demand: Demand,
    environment: Environment,
) -> list[TrialPlan]:
    settings = run_of(config).settings
    sweep = Sweep(
        settings.headroom,
        settings.headroom_typed,
        settings.samples,
        settings.cpu_headroom,
        settings.timeout_scale,
        run_of(config).identity().seed,
    )
    defaults = Defaults(
        settings.default_memory,
        settings.default_cpu,
        settings.pids_limit,
        settings.default_storage,
    )
    return list(plans(name, task, demand, environment, sweep, defaults))


def _resolved_marks(plan: TrialPlan) -> list[pytest.MarkDecorator]:
    resources = plan.resources
    return [
        pytest.mark.memory(guarantee=resources.memory_guarantee, limit=resources.memory_limit),
        pytest.mark.cpu(guarantee=resources.cpu_guarantee, limit=resources.cpu_limit),
    ]


_TOO_LARGE_MEND = "; deselect it, or run it on a larger host"


def too_large(items: Sequence[pytest.Item], memory: int, cores: float) -> list[str]:
    """A sentence for each task whose guarantee is beyond the host's budget (bytes, cores)."""
    sentences: dict[str, None] = {}
    for item in items:
        plan = item.stash.get(PLAN, None)
        if plan is None:
            continue
        origin = f"{plan.task.file}: " if plan.task else ""
        who = f"{origin}{plan.name}"
        asked = plan.resources
        if asked.memory_guarantee > memory:
            sentences[
                f"{who}: the memory guarantee of {format_memory(asked.memory_guarantee)} is larger "
                f"than the {format_memory(memory)} that this host can promise{_TOO_LARGE_MEND}"
            ] = None
        if asked.cpu_guarantee > cores:
            sentences[
                f"{who}: the cpu guarantee of {asked.cpu_guarantee:g} cores is larger than the "
                f"{cores:g} that this host can promise{_TOO_LARGE_MEND}"
            ] = None
    return list(sentences)


def put_in_order(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put every parametrized test's plan on its item, and trials into the order of their starts.

    Trials change places among themselves; tests that are none keep theirs.
    """
    trials = []
    for item in items:
        callspec = getattr(item, "callspec", None)
        plan = callspec.params.get("reseval_plan") if callspec else None
        if isinstance(plan, TrialPlan):
            item.stash[PLAN] = plan
            trials.append((item.nodeid.removesuffix(f"{plan.key}]"), plan, item))
    ordered = iter(blocked(trials, run_of(config).identity().seed))
    items[:] = [next(ordered) if PLAN in item.stash else item for item in items]


def check_items(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse what can never be admitted.

    Raises pytest.UsageError; an xdist worker sends its controller a failed collection report, from
    which the controller raises it (``xdist.Distribution``), and runs nothing.
    """
    if config.option.collectonly:
        return
    try:
        budget = run_of(config).budget
    except pytest.UsageError:
        return  # every test that needs the engine says why it cannot be had; the others run
    sentences = too_large(items, budget.memory, budget.cores)
    if not sentences:
        return
    message = "\n".join(sentences)
    if run_of(config).is_controller:
        raise pytest.UsageError(message)
    items.clear()
    config.hook.pytest_collectreport(
        report=pytest.CollectReport(
            nodeid="", outcome="failed", longrepr=message, result=[], reseval_refusal=True
        )
    )
