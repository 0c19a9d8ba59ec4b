"""Who solves the task: the reference solution, nobody, or a command."""

from __future__ import annotations

from pytest_reseval.agents.base import Agent
from pytest_reseval.agents.command import Command
from pytest_reseval.agents.nop import Nop
from pytest_reseval.agents.oracle import Oracle


def builtin_agent(name: str) -> Agent | None:
    """The agent that ``--reseval-agent`` names; None for a name that is none of ours."""
    if name == "oracle":
        return Oracle()
    if name == "nop":
        return Nop()
    if name.startswith("cmd:") and name[4:].strip():
        return Command(name[4:].strip())
    return None
