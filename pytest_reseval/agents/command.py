"""A command that is run inside the sandbox."""

from __future__ import annotations

from pytest_reseval.agents.base import Solved
from pytest_reseval.engines.base import ExecResult, Sandbox
from pytest_reseval.service import SERVICE_FILE, read_service
from pytest_reseval.tasks.model import Task

INSTRUCTION_FILE = "/logs/agent/instruction.md"

_LONGEST_VARIABLE = 128 * 1024 - len("RESEVAL_INSTRUCTION=") - 1
"""Bytes: Linux refuses to start a process with a longer string (MAX_ARG_STRLEN of execve(2))."""


class Command:
    """Runs a shell command that finds the instruction in a file and in the environment.

    ``RESEVAL_INSTRUCTION_FILE`` names the file; ``RESEVAL_INSTRUCTION`` holds the text,
    unless it is longer than the kernel lets an environment variable be. ``RESEVAL_SEED`` holds the
    seed of the task's sample. What its own service cost the command may write into the file that
    ``RESEVAL_SERVICE_FILE`` names.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.name = f"cmd:{command}"

    def unsupported(self, task: Task) -> str | None:
        """Any task can be handed to a command."""
        return None

    def solve(self, task: Task, sandbox: Sandbox, timeout: float | None, seed: int) -> ExecResult:
        """Hand over the instruction and run the command."""
        instruction = task.instruction.encode()
        sandbox.write(INSTRUCTION_FILE, instruction)
        env = {
            "RESEVAL_INSTRUCTION_FILE": INSTRUCTION_FILE,
            "RESEVAL_SEED": str(seed),
            "RESEVAL_SERVICE_FILE": SERVICE_FILE,
        }
        if len(instruction) <= _LONGEST_VARIABLE:
            env["RESEVAL_INSTRUCTION"] = task.instruction
        result = sandbox.exec(self.command, timeout=timeout, user=task.agent_user, env=env)
        return Solved.after(result, *read_service(sandbox))
