"""The sum of what is promised on a host never exceeds its budget, whoever starts trials there."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_reseval.admission import Budget, Entry, Ledger
from pytest_reseval.engines.local import LocalEngine
from pytest_reseval.harness import budget_of
from pytest_reseval.records import RunDirectory
from pytest_reseval.resources import MIB
from tests.plugin.conftest import MakeTask
from tests.waiting import until

Launch = Callable[..., subprocess.Popen[str]]

TASKS = 5
SHARE = 0.4
"""Of the memory budget, promised to each task: two fit, and no third."""


@dataclass
class Watch:
    """What the ledger showed while runs went on, and the agents' leave to go on."""

    ledger: Ledger
    leave: Path
    most_memory: int = 0
    most_cores: float = 0.0
    most_admitted: int = 0
    most_waiting: int = 0
    runs: set[str] = field(default_factory=set)

    def look(self) -> list[Entry]:
        entries = self.ledger.entries()
        admitted = [entry for entry in entries if entry.state == "admitted"]
        self.most_memory = max(self.most_memory, sum(entry.claim.memory for entry in admitted))
        self.most_cores = max(self.most_cores, sum(entry.claim.cores for entry in admitted))
        self.most_admitted = max(self.most_admitted, len(admitted))
        self.most_waiting = max(self.most_waiting, len(entries) - len(admitted))
        self.runs |= {entry.claim.run for entry in entries}
        return entries

    def follow(
        self, running: Sequence[subprocess.Popen[str]], ready: Callable[[list[Entry]], bool]
    ) -> None:
        """Look until all runs have ended; agents go on as soon as the ledger is ``ready``."""

        def ended() -> bool:
            if ready(self.look()):
                self.leave.touch()
            return all(process.poll() is not None for process in running)

        until(ended, seconds=300)


@pytest.fixture
def budget(local_engine: None) -> Budget:
    engine = LocalEngine()
    try:
        return budget_of(engine.info, 512 * MIB)
    finally:
        engine.close()


@pytest.fixture
def watch(make_task: MakeTask, pytester: pytest.Pytester, budget: Budget, leave: Path) -> Watch:
    """Tasks that promise much and use little."""
    for number in range(TASKS):
        make_task(f"task-{number}", memory_mb=int(budget.memory * SHARE) // MIB)
    return Watch(Ledger(pytester.path / "ledger", budget), leave)


def anyone_waits(entries: list[Entry]) -> bool:
    return any(entry.state == "waiting" for entry in entries)


def all_passed(pytester: pytest.Pytester, *results: str) -> bool:
    return all(
        sorted(record.outcome for record in RunDirectory(pytester.path / name).read())
        == ["passed"] * TASKS
        for name in results
    )


def within(budget: Budget, watch: Watch) -> bool:
    return budget.holds(watch.most_memory, watch.most_cores)


def test_workers_start_only_what_fits(
    watch: Watch, launch: Launch, pytester: pytest.Pytester, budget: Budget
) -> None:
    watch.follow([launch("-n4", "--reseval-agent=staying")], anyone_waits)
    assert all_passed(pytester, "results")
    assert watch.most_waiting > 0
    assert watch.most_memory >= int(budget.memory * SHARE) // MIB * MIB
    assert within(budget, watch)
    waited = [record.waited for record in RunDirectory(pytester.path / "results").read()]
    assert any(seconds > 0 for seconds in waited)


def test_two_runs_at_once_share_one_budget(
    watch: Watch, launch: Launch, pytester: pytest.Pytester, budget: Budget
) -> None:
    running = [
        launch("-n4", "--reseval-agent=staying", results=results) for results in ("one", "two")
    ]
    watch.follow(
        running,
        lambda entries: anyone_waits(entries) and len({entry.claim.run for entry in entries}) == 2,
    )
    assert [process.returncode for process in running] == [0, 0]
    assert all_passed(pytester, "one", "two")
    assert len(watch.runs) == 2
    assert within(budget, watch)


def test_one_process_has_the_same_totals_and_never_waits(
    watch: Watch, launch: Launch, pytester: pytest.Pytester
) -> None:
    watch.follow([launch("-n0", "--reseval-agent=staying")], ready=bool)
    assert all_passed(pytester, "results")
    assert (watch.most_admitted, watch.most_waiting) == (1, 0)


def test_admission_by_limit_leaves_room_for_every_limit(
    watch: Watch, launch: Launch, pytester: pytest.Pytester, budget: Budget
) -> None:
    """Three times the guarantee is more than the host has, so each trial has it to itself."""
    run = launch("-n4", "--reseval-agent=staying", "--reseval-admission=limit")
    watch.follow([run], anyone_waits)
    assert all_passed(pytester, "results")
    assert watch.most_admitted == 1
    assert watch.most_memory == budget.memory


def test_without_admission_everything_starts_and_is_counted(
    watch: Watch, launch: Launch, pytester: pytest.Pytester, budget: Budget
) -> None:
    run = launch("-n4", "--reseval-agent=staying", "--reseval-admission=off")
    watch.follow([run], lambda entries: len(entries) == 4)
    assert all_passed(pytester, "results")
    assert (watch.most_admitted, watch.most_waiting) == (4, 0)
    assert watch.most_memory > budget.memory
