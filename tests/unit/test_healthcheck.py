from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from pytest_reseval import healthcheck
from pytest_reseval.engines.base import ExecResult, SandboxLost
from pytest_reseval.healthcheck import Unhealthy, wait_until_healthy
from pytest_reseval.tasks.model import Healthcheck
from tests.unit.builders import MemorySandbox

OK = ExecResult(exit_code=0, stdout="", stderr="", seconds=0.0)
BAD = ExecResult(exit_code=7, stdout="not", stderr=" yet\n", seconds=0.0)
STUCK = ExecResult(exit_code=None, stdout="", stderr="", seconds=3.0, timed_out=True)


class Clock:
    """Time that passes only while somebody sleeps, or a check runs."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(
        healthcheck, "time", SimpleNamespace(monotonic=clock.monotonic, sleep=clock.sleep)
    )
    return clock


def answering(*results: ExecResult) -> Callable[[str], ExecResult]:
    """The results one after the other, the last one for ever."""

    def answers() -> Iterator[ExecResult]:
        yield from results
        while True:
            yield results[-1]

    waiting = answers()
    return lambda command: next(waiting)


def sandbox_of(*results: ExecResult) -> MemorySandbox:
    return MemorySandbox(answer=answering(*results))


def test_a_check_that_passes_at_once_is_asked_once() -> None:
    sandbox = sandbox_of(OK)
    wait_until_healthy(sandbox, Healthcheck("test -e /ready", timeout=3.0))
    assert sandbox.commands == ["test -e /ready"]
    assert sandbox.timeouts == [3.0]


def test_fewer_failures_than_retries_are_forgiven(clock: Clock) -> None:
    sandbox = sandbox_of(BAD, BAD, OK)
    wait_until_healthy(sandbox, Healthcheck("check", interval=5.0, retries=3))
    assert clock.slept == [5.0, 5.0]


@pytest.mark.parametrize("retries", [1, 3])
def test_as_many_failures_as_retries_are_unhealthy(retries: int) -> None:
    sandbox = sandbox_of(BAD)
    with pytest.raises(Unhealthy, match="exit code 7: not yet") as raised:
        wait_until_healthy(sandbox, Healthcheck("check", interval=0.0, retries=retries))
    assert len(sandbox.commands) == retries
    assert raised.value.cause == "healthcheck"


def test_failures_in_the_start_period_do_not_count(clock: Clock) -> None:
    check = Healthcheck("check", interval=5.0, start_period=10.0, start_interval=4.0, retries=1)
    sandbox = sandbox_of(BAD)
    with pytest.raises(Unhealthy, match="failed 1 time"):
        wait_until_healthy(sandbox, check)
    assert clock.slept == [4.0, 4.0, 4.0]
    assert len(sandbox.commands) == 4


def test_after_the_start_period_the_interval_is_the_usual_one(clock: Clock) -> None:
    check = Healthcheck("check", interval=7.0, start_period=2.0, start_interval=2.0, retries=3)
    wait_until_healthy(sandbox_of(BAD, BAD, BAD, OK), check)
    assert clock.slept == [2.0, 7.0, 7.0]


def test_a_check_that_never_ends_is_told_as_such() -> None:
    with pytest.raises(Unhealthy, match="ran longer than 3 s: no output"):
        wait_until_healthy(sandbox_of(STUCK), Healthcheck("check", timeout=3.0, retries=1))


def test_of_a_long_output_the_end_is_told() -> None:
    noisy = ExecResult(exit_code=1, stdout="x" * 10_000 + "the end", stderr="", seconds=0.0)
    with pytest.raises(Unhealthy, match=r"the end$") as raised:
        wait_until_healthy(sandbox_of(noisy), Healthcheck("check", retries=1))
    assert len(str(raised.value)) < 1000


def test_a_lost_sandbox_is_not_asked_again() -> None:
    def gone(command: str) -> ExecResult:
        raise SandboxLost("gone")

    sandbox = MemorySandbox(answer=gone)
    with pytest.raises(SandboxLost):
        wait_until_healthy(sandbox, Healthcheck("check"))
    assert len(sandbox.commands) == 1
