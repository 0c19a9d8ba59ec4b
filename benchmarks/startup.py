"""What does the plugin cost a project that has it installed and does not use it?

    python -m benchmarks.startup

Prints one table: ``pytest --collect-only`` in an empty project with and without the plugin, in
turns, and what the two differ by.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from benchmarks.rounds import Table, show, take_turns
from benchmarks.trials import run_pytest, scratch

NO_TESTS_COLLECTED = 5
ROUNDS = 60


def tables() -> Iterator[Table]:
    """One table."""
    with scratch() as project:
        (project / "pytest.ini").write_text("[pytest]\n")
        command: list[str | Path] = ["--collect-only", "-q", f"--rootdir={project}", project]
        cpu: dict[str, list[float]] = {"with": [], "without": []}

        def start(name: str, *options: str) -> None:
            usage = run_pytest([*options, *command], expect=NO_TESTS_COLLECTED)
            cpu[name].append(usage.cpu_seconds)

        times = take_turns(
            {
                "with": lambda: start("with"),
                "without": lambda: start("without", "-p", "no:reseval"),
            },
            rounds=ROUNDS,
        )
    added = statistics.median(times.differences("with", "without"))
    added_cpu = statistics.median(
        one - other for one, other in zip(cpu["with"], cpu["without"], strict=True)
    )
    yield Table(
        "Start-up of a project that does not use the plugin",
        ("with the plugin", "`-p no:reseval`", "added", "of it CPU", "ratio", "aim"),
        [
            (
                f"{1000 * times.median('with'):.0f} ms",
                f"{1000 * times.median('without'):.0f} ms",
                f"{1000 * added:.0f} ms",
                f"{1000 * added_cpu:.0f} ms",
                f"{times.ratio('with', 'without'):.3f}",
                "30 ms",
            )
        ],
        f"Medians of {ROUNDS} rounds in an empty project; what is added is the median of the "
        "rounds' differences.",
    )


if __name__ == "__main__":
    show(tables())
