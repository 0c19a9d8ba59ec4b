"""The agent that does nothing: what a task's verifier must call failed."""

from __future__ import annotations

from pytest_reseval.engines.base import ExecResult, Sandbox
from pytest_reseval.tasks.model import Task


class Nop:
    """Leaves the sandbox as it was started."""

    name = "nop"

    def unsupported(self, task: Task) -> str | None:
        """Doing nothing is possible everywhere."""
        return None

    def solve(self, task: Task, sandbox: Sandbox, timeout: float | None, seed: int) -> ExecResult:
        """Do nothing, successfully."""
        return ExecResult(exit_code=0, stdout="", stderr="", seconds=0.0)
