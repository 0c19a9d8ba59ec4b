"""The task's own reference solution."""

from __future__ import annotations

from pytest_reseval.agents.script import run_script
from pytest_reseval.engines.base import ExecResult, Sandbox
from pytest_reseval.tasks.model import Task


class Oracle:
    """Runs ``/solution/solve.sh``: what a perfect agent would do."""

    name = "oracle"

    def unsupported(self, task: Task) -> str | None:
        """A task without a reference solution has nothing for the oracle to run."""
        return "the oracle needs solution/solve.sh" if task.solution is None else None

    def solve(self, task: Task, sandbox: Sandbox, timeout: float | None, seed: int) -> ExecResult:
        """Copy the solution in and run it."""
        assert task.solution is not None
        sandbox.put(task.solution, "/solution")
        return run_script(
            sandbox,
            "/solution/solve.sh",
            timeout=timeout,
            user=task.agent_user,
            env=task.solution_env,
        )
