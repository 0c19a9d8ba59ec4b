"""What a hook answers as an agent is looked at before anything runs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_reseval.agents import builtin_agent
from pytest_reseval.agents.base import flaw_of


@pytest.mark.parametrize("name", ["oracle", "nop", "cmd:true"])
def test_our_own_have_none(name: str) -> None:
    assert flaw_of(builtin_agent(name)) is None


def test_keywords_do() -> None:
    agent = SimpleNamespace(name="one", unsupported=lambda *_: None, solve=lambda *_, **__: None)
    assert flaw_of(agent) is None


@pytest.mark.parametrize(
    ("candidate", "flaw"),
    [
        (3, "has no name, no unsupported, no solve"),
        (
            SimpleNamespace(
                name="one",
                unsupported=lambda task: None,
                solve=lambda task, sandbox, timeout: None,
            ),
            "has no solve that accepts (task, sandbox, timeout, seed)",
        ),
        (
            SimpleNamespace(name="one", unsupported=lambda: None, solve=print),
            "has no unsupported that accepts (task)",
        ),
        (
            SimpleNamespace(name="one", unsupported=lambda task: None, solve="solve.sh"),
            "has no solve that accepts (task, sandbox, timeout, seed)",
        ),
    ],
)
def test_flaws(candidate: object, flaw: str) -> None:
    assert flaw_of(candidate) == flaw
