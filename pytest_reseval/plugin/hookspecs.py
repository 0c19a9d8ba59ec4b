"""Hooks by which a conftest or another plugin extends this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_reseval.agents.base import Agent
    from pytest_reseval.engines.base import Engine


@pytest.hookspec(firstresult=True)
def pytest_reseval_agent(name: str, config: pytest.Config) -> Agent | None:
    """Answer the agent that ``--reseval-agent=NAME`` means, or None for a name you do not know.

    Asked only for names that are not built in.
    """


@pytest.hookspec
def pytest_reseval_prepare(engine: Engine, config: pytest.Config) -> None:
    """Make ready what all tasks of a suite share, such as a base image.

    Called once a run, in the controller, before anything starts. Raise pytest.UsageError with one
    clear sentence when it cannot be had.
    """
