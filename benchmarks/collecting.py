"""How long does it take to collect ten thousand tasks?

    python -m benchmarks.collecting

Prints one table: ``pytest --collect-only -q`` of generated tasks against as many plain test
functions, each in a file of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.rounds import Table, show, take_turns
from benchmarks.tasks import write_tasks
from benchmarks.trials import run_pytest, scratch
from pytest_reseval.resources import MIB

COUNT = 10_000


def tables() -> Iterator[Table]:
    """One table."""
    memory: dict[str, int] = {}

    def collect(name: str, *arguments: str | Path) -> None:
        memory[name] = run_pytest(["--collect-only", "-q", *arguments]).peak_memory

    with scratch() as folder:
        tasks, functions = folder / "tasks", folder / "functions"
        write_tasks(tasks, COUNT)
        _write_functions(functions, COUNT)
        times = take_turns(
            {
                "tasks": lambda: collect("tasks", tasks, "--reseval-headroom=3x"),
                "functions": lambda: collect("functions", functions),
            },
            rounds=3,
        )
    yield Table(
        f"Collecting {COUNT:,} items",
        ("items", "seconds", "items per second", "memory"),
        [
            (
                name,
                f"{times.median(name):.1f}",
                f"{COUNT / times.median(name):.0f}",
                f"{memory[name] / MIB:.0f} MiB",
            )
            for name in times.seconds
        ],
        f"Ratio tasks / functions: {times.ratio('tasks', 'functions'):.2f} in time, "
        f"{memory['tasks'] / memory['functions']:.2f} in memory. Medians of 3 rounds with warm "
        "caches; memory is the highest resident size.",
    )


def _write_functions(folder: Path, count: int) -> None:
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    for number in range(count):
        (folder / f"test_{number:05}.py").write_text("def test_one():\n    pass\n")


if __name__ == "__main__":
    show(tables())
