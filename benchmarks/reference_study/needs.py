"""What every approach needs and comes to: ``python -m benchmarks.reference_study.needs ENGINE``.

Each is run once without a limit, with each of its sizes. ``held`` (what could not be reclaimed, as
sampled) and ``peak`` (the kernel's mark, page cache included) are multiples of the guarantee.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from benchmarks.reference_study.agent import carry_out
from benchmarks.reference_study.approaches import APPROACHES, Approach
from benchmarks.reference_study.attempts import Attempt, Step
from benchmarks.trials import ENGINES, harness, scratch
from pytest_reseval.engines.base import ExecResult, Sandbox
from pytest_reseval.harness import Harness
from pytest_reseval.plans import Defaults, Sweep, demand_of_task, plans
from pytest_reseval.records import TrialRecord
from pytest_reseval.resources import GIB, Headroom
from pytest_reseval.tasks import load_task
from pytest_reseval.tasks.model import Task
from pytest_reseval.trial import run_task

TASKS = Path(__file__).parents[2] / "example_tasks"


class Resolved:
    """An agent that takes one approach, whatever its seed."""

    name = "resolved"

    def __init__(self, step: Step) -> None:
        self._step = step

    def unsupported(self, task: Task) -> str | None:
        """It is only given tasks that its approach is for."""
        return None

    def solve(self, task: Task, sandbox: Sandbox, timeout: float | None, seed: int) -> ExecResult:
        """Take the approach, and no other if it fails."""
        return carry_out(Attempt(self._step, None), task, sandbox, timeout)


def example(name: str) -> Task:
    """The example task of that name."""
    return load_task(TASKS / name / "task.toml", os.environ)


def trial(task: Task, step: Step, headroom: str, shared: Harness) -> TrialRecord:
    """One trial of an example task by one approach."""
    sweep = Sweep([Headroom.parse(headroom)], overriding=False, samples=1)
    defaults = Defaults(
        memory_guarantee=2 * GIB, cpu_guarantee=1.0, pids_limit=4096, storage_limit=GIB
    )
    (plan,) = plans(task.name, task, demand_of_task(task), task.environment, sweep, defaults)
    taking = replace(shared, agent=Resolved(step))
    name = f"{task.name}-{step.approach.name}-{step.size}-{headroom}"
    return run_task(plan, taking, name)


def row(task: Task, approach: Approach, records: Mapping[int | None, TrialRecord]) -> list[str]:
    """A line of the table, from an approach's trials by size."""
    assert task.memory_guarantee is not None
    phases = [phase for record in records.values() for phase in record.evidence.phases]
    held, peak = (
        [
            max((getattr(phase, figure) or 0) for phase in record.evidence.phases)
            / task.memory_guarantee
            for record in records.values()
        ]
        for figure in ("nonreclaimable_peak", "peak")
    )
    passed = [str(size) for size, record in records.items() if record.outcome == "passed"]
    solved = "yes" if len(passed) == len(records) else ", ".join(passed) or "no"
    return [
        task.name,
        approach.name,
        str(approach.strategy),
        ", ".join(map(str, approach.sizes)),
        _range(held),
        _range(peak),
        solved,
        str(sum(phase.oom_kill or 0 for phase in phases)),
    ]


def _range(figures: Sequence[float]) -> str:
    low, high = f"{min(figures):.1f}", f"{max(figures):.1f}"
    return low if low == high else f"{low}-{high}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reference_study.needs")
    parser.add_argument("engine", choices=ENGINES)
    with scratch() as folder, harness(parser.parse_args().engine, folder) as shared:
        tasks = [task for task in map(example, APPROACHES) if not shared.engine.unsupported(task)]
        rows = [
            row(
                task,
                approach,
                {
                    size: trial(task, Step(approach, size), "uncapped", shared)
                    for size in approach.sizes or (None,)
                },
            )
            for task in tasks
            for approach in APPROACHES[task.name]
        ]
    headers = ["task", "approach", "strategy", "sizes", "held", "peak", "solves", "kills"]
    print(tabulate(rows, headers, tablefmt="pipe", disable_numparse=True))


if __name__ == "__main__":
    main()
