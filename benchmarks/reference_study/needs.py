"""What every approach needs and comes to: ``python -m benchmarks.reference_study.needs ENGINE``.

Each is run once without a limit, with each of its sizes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from benchmarks.reference_study.agent import carry_out
from benchmarks.reference_study.approaches import APPROACHES
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


def steps(task: str) -> Iterator[Step]:
    """Every approach to a task with every size."""
    for approach in APPROACHES[task]:
        for size in approach.sizes or (None,):
            yield Step(approach, size)


def _row(task: Task, step: Step, record: TrialRecord) -> list[str]:
    assert task.memory_guarantee is not None
    phases = {phase.name: phase for phase in record.evidence.phases}
    agent = phases["agent"]
    peak = max(phase.peak or 0 for phase in phases.values())
    held = max(phase.nonreclaimable_peak or 0 for phase in phases.values())
    return [
        task.name,
        step.approach.name if step.size is None else f"{step.approach.name} {step.size}",
        str(step.approach.strategy),
        f"{held / task.memory_guarantee:.1f} to {peak / task.memory_guarantee:.1f}",
        f"{agent.cpu_seconds or 0:.1f}",
        str(record.outcome),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reference_study.needs")
    parser.add_argument("engine", choices=ENGINES)
    with scratch() as folder, harness(parser.parse_args().engine, folder) as shared:
        tasks = [task for task in map(example, APPROACHES) if not shared.engine.unsupported(task)]
        rows = [
            _row(task, step, trial(task, step, "uncapped", shared))
            for task in tasks
            for step in steps(task.name)
        ]
    headers = ["task", "approach", "strategy", "need / guarantee", "CPU s", "without a limit"]
    print(tabulate(rows, headers, tablefmt="pipe", disable_numparse=True))


if __name__ == "__main__":
    main()
