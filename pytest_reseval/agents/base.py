"""What an agent is to a trial."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from typing import Protocol

from pytest_reseval.engines.base import ExecResult, Sandbox
from pytest_reseval.service import ServiceUse
from pytest_reseval.tasks.model import Task


class AgentServiceError(Exception):
    """The agent's own service failed (API error, rate limit): not the model's answer.

    Raised by agent code that runs on the harness's side, never by what runs in the sandbox.
    ``service`` is what its calls came to until then, for the record.
    """

    service: ServiceUse | None = None

    def __init__(self, *args: object, service: ServiceUse | None = None) -> None:
        super().__init__(*args)
        self.service = service


@dataclass(frozen=True, slots=True)
class Solved(ExecResult):
    """What ``solve`` may answer to tell, for the record, what the agent's own service cost."""

    service: ServiceUse | None = None
    service_problem: str | None = None
    """Why there is no such figure, where the agent meant to tell one."""

    @classmethod
    def after(
        cls, result: ExecResult, service: ServiceUse | None, service_problem: str | None = None
    ) -> Solved:
        """How the agent's work ended, and what was told of its service."""
        ended = {field.name: getattr(result, field.name) for field in fields(ExecResult)}
        return cls(**ended, service=service, service_problem=service_problem)


class Agent(Protocol):
    """Who solves the task."""

    name: str

    def unsupported(self, task: Task) -> str | None:
        """Why this agent cannot be run on this task, for a skip; None when it can."""

    def solve(self, task: Task, sandbox: Sandbox, timeout: float | None, seed: int) -> ExecResult:
        """Work on the task inside the sandbox for at most ``timeout`` seconds.

        ``seed`` is for an agent's own randomness: another for each task and sample, the same under
        every configuration, so that configurations differ in nothing but resources. It is at least
        0 and below 2 ** 32. Answers ``Solved`` where the agent tells what its own service cost.
        """


def flaw_of(candidate: object) -> str | None:
    """Why what a hook answered cannot be an ``Agent``, as the end of a sentence; None if it can."""
    lacking = [part for part in ("name", "unsupported", "solve") if not hasattr(candidate, part)]
    if lacking:
        return f"has no {', no '.join(lacking)}"
    for method, taken in (
        ("unsupported", ("task",)),
        ("solve", ("task", "sandbox", "timeout", "seed")),
    ):
        try:
            accepts = inspect.signature(getattr(candidate, method), follow_wrapped=False).bind
        except ValueError:
            continue  # written in another language, and does not say
        except TypeError:
            return f"has no {method} that can be called"
        try:
            accepts(*taken)
        except TypeError:
            return f"has no {method} that accepts ({', '.join(taken)})"
    return None
