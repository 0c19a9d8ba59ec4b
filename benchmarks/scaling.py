"""How many trivial trials does a machine run per minute with more workers?

    python -m benchmarks.scaling

Prints one table: pytest runs at ``-n 1`` to ``-n 8`` with admission on, in turns. The tasks are
promised so little that all workers' trials fit at once, so that what limits them is the machine.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from datetime import datetime

from benchmarks.rounds import Table, show, take_turns
from benchmarks.tasks import write_tasks
from benchmarks.trials import ENGINES, run_trials, scratch
from pytest_reseval.records import RunDirectory

WORKERS = (1, 2, 4, 8)
TRIALS = 32
ROUNDS = 3


def tables() -> Iterator[Table]:
    """One table."""
    yield Table(
        "Trials per minute with more workers",
        ("engine", *(f"-n {workers}" for workers in WORKERS)),
        [_row(engine) for engine in ENGINES],
        f"Medians of {ROUNDS} rounds of {TRIALS} trivial trials, from the start of the first to "
        "the end of the last; in brackets the median of the rounds' ratios to -n 1.",
    )


def _row(engine: str) -> tuple[str, ...]:
    rates: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    with scratch() as folder:
        tasks = write_tasks(folder / "tasks", TRIALS, cores=0.1)

        def contestant(workers: int) -> Callable[[], None]:
            def run() -> None:
                options = (f"-n{workers}", "--reseval-headroom=10x")
                run = run_trials(engine, folder, [tasks[0].parent], *options)
                rates[workers].append(60 * TRIALS / _seconds(run))

            return run

        take_turns({str(workers): contestant(workers) for workers in WORKERS}, ROUNDS)
    counted = {workers: rates[workers][1:] for workers in WORKERS}
    return (
        engine,
        *(
            f"{statistics.median(counted[number]):.0f} ({_ratio(counted[number], counted[1]):.2f})"
            for number in WORKERS
        ),
    )


def _seconds(run: RunDirectory) -> float:
    spans = [
        (began := datetime.fromisoformat(record.started).timestamp(), began + record.seconds)
        for record in run.read()
    ]
    return max(ended for _, ended in spans) - min(began for began, _ in spans)


def _ratio(rates: list[float], base: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(rates, base, strict=True))


if __name__ == "__main__":
    show(tables())
