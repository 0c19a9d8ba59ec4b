"""What a trial's record says of its host, on every engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pytest_reseval.admission import Budget, Ledger
from pytest_reseval.conditions import Host, HostLoad
from pytest_reseval.engines.base import Engine, ExecResult, Sandbox
from pytest_reseval.outcomes import Cause
from pytest_reseval.records import TrialRecord
from pytest_reseval.resources import GIB, MIB
from pytest_reseval.tasks.model import Environment
from pytest_reseval.trial import run_task
from tests.engines.conftest import Start
from tests.unit.builders import RESOURCES, Acting, make_harness, make_plan, make_task

CPUS = psutil.cpu_count() or 1

BURN = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"

RunTrial = Callable[[str], TrialRecord]


@pytest.fixture
def run_trial(engine: Engine, image: str | None, tmp_path: Path) -> RunTrial:
    """Run a trial in which the agent runs a command; its verifier always says no."""

    def run(command: str) -> TrialRecord:
        task = make_task(tmp_path / "task", environment=Environment(image=image))
        (task.tests / "test.sh").write_text("echo 0 > /logs/verifier/reward.txt\n")

        def act(sandbox: Sandbox) -> ExecResult:
            return sandbox.exec(command)

        ledger = Ledger(tmp_path / "ledger", Budget(memory=GIB, cores=1.0))
        harness = make_harness(tmp_path, engine, Acting(act), ledger=ledger, host=Host())
        plan = make_plan(task, replace(RESOURCES, memory_guarantee=64 * MIB, cpu_limit=None))
        return run_task(plan, harness, "task/task.toml::run[2x-s0]")

    return run


def load_of(record: TrialRecord) -> HostLoad:
    assert record.cause is Cause.WRONG, record.message
    assert record.conditions is not None
    assert record.conditions.host is not None
    return record.conditions.host


def test_the_host_was_busy_with_at_least_what_the_sandbox_did(run_trial: RunTrial) -> None:
    """Half of it, for the host counts in ticks and the hypervisor may have taken some."""
    record = run_trial(BURN)
    load = load_of(record)
    agent = record.evidence.phase("agent")
    assert agent is not None
    assert agent.cpu_seconds
    assert agent.seconds < load.seconds < record.seconds
    assert load.busy_share is not None
    assert load.steal_share is not None
    assert load.busy_share + load.steal_share < 1.001
    worked = (load.busy_share + load.steal_share) * load.seconds * CPUS
    assert worked > agent.cpu_seconds / 2


def test_stalls_on_the_host_are_on_record_where_its_kernel_keeps_them(
    run_trial: RunTrial,
) -> None:
    load = load_of(run_trial("true"))
    kept = Host().read()
    for resource in ("cpu_pressure", "memory_pressure", "io_pressure"):
        stalls, now = getattr(load, resource), getattr(kept, resource)
        assert (stalls is None) == (now is None)
        if stalls is not None:
            assert 0 <= stalls.some <= load.seconds * 1.01 + 0.01
            assert stalls.full is None or stalls.full <= stalls.some + 0.01
    assert kept.cpu_pressure is None or load.cpu_pressure is not None


def test_a_neighbour_that_takes_every_cpu_shows(run_trial: RunTrial, start: Start) -> None:
    """With more to run than CPUs all of the time, none idles and somebody always waits."""
    mine = len(os.sched_getaffinity(0))
    neighbour = start(cpu_limit=None)
    spinning = "(while :; do :; done) </dev/null >/dev/null 2>&1 &"
    assert neighbour.exec("\n".join([spinning] * (CPUS + 1))).ok
    load = load_of(run_trial(BURN))
    assert load.busy_share is not None
    assert load.steal_share is not None
    assert load.busy_share + load.steal_share > 0.5 * mine / CPUS
    if load.cpu_pressure is not None:
        assert load.cpu_pressure.some > load.seconds / 2
