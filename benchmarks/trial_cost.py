"""What does the harness add to a trial? Trivial trials against the bare calls that they need.

    python -m benchmarks.trial_cost

Prints two tables. In the first, one process runs trials and bare trials in turns, with everything
that a pytest run does for a trial: the ledger, limits read back, meters, the sampled series, logs
and a record that is on disk before the next trial starts. In the second, pytest runs with many and
with few trials are timed, so that what they differ by is the trials without the start-up.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

from benchmarks.bare_docker import bare_docker
from benchmarks.bare_namespaces import bare_namespaces
from benchmarks.rounds import Table, show, take_turns
from benchmarks.tasks import write_tasks
from benchmarks.trials import ENGINES, harness, plan_of, run_trials, scratch, trial_runner
from pytest_reseval.plans import TrialPlan

MANY, FEW = 28, 4
AIMS = {"docker": 1.25, "local": 2.0}
BARE = {"docker": "docker-py", "local": "namespaces"}


def tables() -> Iterator[Table]:
    """Both tables, each when it is measured."""
    yield Table(
        "Harness cost per trial, in one process",
        ("engine", "trial", "bare", "ratio", "aim"),
        [_in_one_process(engine, rounds=40) for engine in ENGINES],
        "Medians of 40 rounds. The ratio is the median of the rounds' ratios.",
    )
    yield Table(
        "Harness cost per trial, in a pytest run",
        ("engine", "trial", "bare", "ratio", "aim"),
        [_in_a_run(engine, rounds=4) for engine in ENGINES],
        f"A pytest run of {MANY} trials less one of {FEW}, divided by {MANY - FEW}; medians of 4 "
        "rounds.",
    )


def _in_one_process(engine: str, rounds: int) -> tuple[str, ...]:
    with scratch() as folder:
        (task,) = write_tasks(folder / "tasks", 1)
        plan = plan_of(task / "task.toml")
        with harness(engine, folder) as shared, _bare(engine, plan, folder) as bare:
            times = take_turns({"ours": trial_runner(plan, shared), "bare": bare}, rounds)
    return _row(engine, times.median("ours"), times.median("bare"), times.ratio("ours", "bare"))


def _in_a_run(engine: str, rounds: int) -> tuple[str, ...]:
    difference = MANY - FEW
    with scratch() as folder:
        tasks = write_tasks(folder / "tasks", MANY)
        with _bare(engine, plan_of(tasks[0] / "task.toml"), folder) as bare:

            def bare_trials() -> None:
                for _ in range(difference):
                    bare()

            times = take_turns(
                {
                    "many": lambda: run_trials(engine, folder, tasks),
                    "few": lambda: run_trials(engine, folder, tasks[:FEW]),
                    "bare": bare_trials,
                },
                rounds,
            )
    trials = times.differences("many", "few")
    return _row(
        engine,
        statistics.median(trials) / difference,
        times.median("bare") / difference,
        statistics.median(
            ours / bare for ours, bare in zip(trials, times.seconds["bare"], strict=True)
        ),
    )


@contextmanager
def _bare(engine: str, plan: TrialPlan, folder: Path) -> Iterator[Callable[[], None]]:
    if engine == "local":
        yield bare_namespaces(plan, folder)
        return
    client = docker.APIClient(version="auto")
    try:
        yield bare_docker(client, plan)
    finally:
        client.close()


def _row(engine: str, ours: float, bare: float, ratio: float) -> tuple[str, ...]:
    return (
        engine,
        f"{1000 * ours:.0f} ms",
        f"{1000 * bare:.0f} ms ({BARE[engine]})",
        f"{ratio:.2f}",
        f"{AIMS[engine]:.2f}",
    )


if __name__ == "__main__":
    show(tables())
