"""What a hook answers as an agent is looked at before anything runs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
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


def with_client(solve: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(solve)
    def solving(*args: object) -> object:
        return solve(*args, client="one of our own")

    return solving


def test_a_decorator_may_add_what_the_caller_does_not_give() -> None:
    @with_client
    def solve(task: object, sandbox: object, timeout: object, seed: int, *, client: str) -> str:
        return client

    assert flaw_of(SimpleNamespace(name="one", unsupported=lambda _: None, solve=solve)) is None


def test_what_does_not_tell_its_arguments_is_believed() -> None:
    agent = SimpleNamespace(name="one", unsupported=lambda _: None, solve=max)
    with pytest.raises(ValueError, match="no signature"):
        inspect.signature(max)
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
            "has no solve that can be called",
        ),
    ],
)
def test_flaws(candidate: object, flaw: str) -> None:
    assert flaw_of(candidate) == flaw
