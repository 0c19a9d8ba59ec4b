"""What an agent is to a trial."""

from __future__ import annotations

from typing import Protocol

from pytest_reseval.engines.base import ExecResult, Sandbox
from pytest_reseval.tasks.model import Task


class AgentServiceError(Exception):
    """The agent's own service failed (API error, rate limit): not the model's answer.

    Raised by agent code that runs on the harness's side, never by what runs in the sandbox.
    """


class Agent(Protocol):
    """Who solves the task."""

    name: str

    def unsupported(self, task: Task) -> str | None:
        """Why this agent cannot be run on this task, for a skip; None when it can."""

    def solve(self, task: Task, sandbox: Sandbox, timeout: float | None, seed: int) -> ExecResult:
        """Work on the task inside the sandbox for at most ``timeout`` seconds.

        ``seed`` is for an agent's own randomness: another for each task and sample, the same under
        every configuration, so that configurations differ in nothing but resources. It is at least
        0 and below 2 ** 32.
        """
