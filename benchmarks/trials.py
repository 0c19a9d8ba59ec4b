"""Running the trials of generated tasks, in this process or by pytest as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_reseval.admission import Ledger
from pytest_reseval.agents.oracle import Oracle
from pytest_reseval.cgroups.sampler import Sampler
from pytest_reseval.conditions import Host
from pytest_reseval.disk.watcher import DiskWatcher
from pytest_reseval.engines import choose
from pytest_reseval.harness import Harness, budget_of
from pytest_reseval.plans import Defaults, Sweep, TrialPlan, demand_of_task, plans
from pytest_reseval.records import RunDirectory
from pytest_reseval.resources import GIB, KIB, MIB, Headroom
from pytest_reseval.tasks import load_task
from pytest_reseval.trial import run_task

ENGINES = ("docker", "local")


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on a disk, which overlays and fsync need to be what they are in a real run."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="reseval-benchmark-") as made:
        yield Path(made)


def plan_of(task_file: Path) -> TrialPlan:
    """The one trial of a task under headroom 3x."""
    task = load_task(task_file, os.environ)
    sweep = Sweep([Headroom(3.0)], overriding=False, samples=1)
    defaults = Defaults(
        memory_guarantee=2 * GIB, cpu_guarantee=1.0, pids_limit=4096, storage_limit=GIB
    )
    (plan,) = plans(task.name, task, demand_of_task(task), task.environment, sweep, defaults)
    return plan


@contextmanager
def harness(engine_name: str, folder: Path) -> Iterator[Harness]:
    """The harness of one process, as a pytest run makes it; records and ledger in ``folder``."""
    engine, _ = choose(engine_name)
    try:
        engine.join_network("benchmark")
        yield Harness(
            engine=engine,
            ledger=Ledger(folder / "ledger", budget_of(engine.info, 512 * MIB)),
            agent=Oracle(),
            sampler=Sampler(),
            disk_watcher=DiskWatcher(),
            directory=RunDirectory(folder / "run"),
            run="benchmark",
            worker="main",
            admission="guarantee",
            oom_policy="infra-error",
            host=Host(),
        )
    finally:
        engine.close()


def trial_runner(plan: TrialPlan, shared: Harness) -> Callable[[], None]:
    """A function that runs the trial once; RuntimeError unless it passes."""

    def run() -> None:
        record = run_task(plan, shared, f"{plan.name}::run[{plan.key}]")
        if record.outcome != "passed":
            raise RuntimeError(f"{record.cause}: {record.message}")

    return run


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process and those that it waited for have used."""

    cpu_seconds: float
    peak_memory: int
    """The highest resident size in bytes."""


def run_pytest(arguments: Sequence[str | Path], *, expect: int = 0) -> Usage:
    """Run ``python -m pytest`` with compiled modules cached, as it is for users.

    RuntimeError unless it exits with ``expect``.
    """
    environment = os.environ.copy()
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != expect:
            output.seek(0)
            told = output.read().decode(errors="replace")
            raise RuntimeError(f"pytest exited with {process.returncode}:\n{told[-4000:]}")
    return Usage(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * KIB)


def run_trials(engine: str, folder: Path, paths: Sequence[Path], *options: str) -> RunDirectory:
    """Run every task below ``paths`` by pytest; all must pass. Answers the run's records.

    They and the run's own ledger are in a new folder below ``folder``.
    """
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    run_pytest(
        [
            *paths,
            f"--reseval-engine={engine}",
            f"--reseval-ledger={folder / 'ledger'}",
            f"--reseval-results={folder / 'results'}",
            "--reseval-progress=0",
            "-q",
            *options,
        ]
    )
    return RunDirectory(folder / "results")
