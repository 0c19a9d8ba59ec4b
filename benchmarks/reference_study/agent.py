"""The study's agent: draws an attempt from its seed and carries it out in the sandbox."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.reference_study.approaches import APPROACHES
from benchmarks.reference_study.attempts import Attempt, Step, draw
from pytest_reseval.engines.base import ExecResult, Sandbox
from pytest_reseval.tasks.model import Task

PROGRAMS = Path(__file__).with_name("programs")
_TARGET = "/opt/reference-study"


class Strategies:
    """Knows the task's name and its seed, and sees how its commands end; no limit, no headroom.

    Like an agent whose model runs elsewhere, it is not in the sandbox: a command that the kernel
    killed is to it a command that failed, and it goes on with its fallback or gives up.
    """

    name = "strategies"

    def unsupported(self, task: Task) -> str | None:
        """It has approaches to the example tasks alone."""
        return None if task.name in APPROACHES else "the study has no approach to this task"

    def solve(self, task: Task, sandbox: Sandbox, timeout: float | None, seed: int) -> ExecResult:
        """Draw an attempt and carry it out."""
        return carry_out(draw(task.name, seed), task, sandbox, timeout)


def carry_out(attempt: Attempt, task: Task, sandbox: Sandbox, timeout: float | None) -> ExecResult:
    """Run the first step, and the fallback if the first fails and there is one."""
    end = None if timeout is None else time.monotonic() + timeout
    sandbox.put(PROGRAMS, _TARGET)
    result = _run(attempt.first, task, sandbox, timeout)
    if result.ok or result.timed_out or attempt.fallback is None:
        return result
    left = None if end is None else max(0.1, end - time.monotonic())
    return _run(attempt.fallback, task, sandbox, left)


def _run(step: Step, task: Task, sandbox: Sandbox, timeout: float | None) -> ExecResult:
    command = ["python3", "-B", f"{_TARGET}/{task.name}.py", step.approach.name]
    if step.size is not None:
        command.append(str(step.size))
    return sandbox.exec(command, timeout=timeout, user=task.agent_user)
