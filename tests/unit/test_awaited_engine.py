"""A process that joins a run while the run's engine does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_reseval.attempts import RetryPolicy, run_to_verdict
from pytest_reseval.engines.awaited import AwaitedEngine
from pytest_reseval.engines.base import Engine, EngineUnavailable
from pytest_reseval.outcomes import Cause
from pytest_reseval.verification import REWARD_TEXT
from tests.unit.builders import (
    INFO,
    Acting,
    MemoryEngine,
    MemorySandbox,
    make_harness,
    make_plan,
    make_task,
)


class Networked(MemoryEngine):
    """Remembers which networks it was told to join."""

    def __init__(self, sandbox: MemorySandbox) -> None:
        super().__init__(sandbox)
        self.joined: list[tuple[str, str | None]] = []
        self.closed = False

    def join_network(self, run: str, name: str | None = None) -> str | None:
        self.joined.append((run, name))
        return name

    def close(self) -> None:
        self.closed = True


class Door:
    """Lets nobody in the first ``times`` times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.engine = Networked(MemorySandbox(files={REWARD_TEXT: b"1"}))

    def connect(self) -> Engine:
        if self.times:
            self.times -= 1
            raise EngineUnavailable("nobody answers")
        return self.engine


def test_nothing_is_asked_until_it_is_needed() -> None:
    door = Door(times=1)
    engine = AwaitedEngine(INFO, door.connect)
    assert engine.info == INFO
    assert engine.join_network("a-run", "its-network") == "its-network"
    engine.close()
    assert door.times == 1
    assert not door.engine.closed


def test_an_engine_that_does_not_answer_is_an_infra_error(tmp_path: Path) -> None:
    door = Door(times=1)
    harness = make_harness(tmp_path, AwaitedEngine(INFO, door.connect), Acting())
    record = run_to_verdict(make_plan(make_task(tmp_path)), harness, "trial", RetryPolicy())
    assert record.cause is Cause.ENGINE_LOST
    assert record.message == "nobody answers"
    assert list(harness.directory.read()) == [record]


def test_it_is_asked_again_and_has_joined_the_network_by_then(tmp_path: Path) -> None:
    door = Door(times=1)
    engine = AwaitedEngine(INFO, door.connect)
    engine.join_network("a-run", "its-network")
    harness = make_harness(tmp_path, engine, Acting())
    plan = make_plan(make_task(tmp_path))
    record = run_to_verdict(plan, harness, "trial", RetryPolicy(1), pause=lambda seconds: None)
    assert record.cause is Cause.SOLVED
    assert [attempt.cause for attempt in record.earlier] == [Cause.ENGINE_LOST]
    assert door.engine.joined == [("a-run", "its-network")]
    engine.close()
    assert door.engine.closed


def test_what_it_could_not_run_is_known_once_it_answers(tmp_path: Path) -> None:
    door, task = Door(times=1), make_task(tmp_path)
    engine = AwaitedEngine(INFO, door.connect)
    assert engine.unsupported(task) is None
    door.engine.unsupported = lambda task: "no images"  # type: ignore[method-assign]
    assert engine.unsupported(task) == "no images"


def test_a_task_of_which_it_could_not_be_asked_is_asked_of_before_it_is_run(tmp_path: Path) -> None:
    door, task = Door(times=1), make_task(tmp_path)
    engine = AwaitedEngine(INFO, door.connect)
    assert engine.unsupported(task) is None
    door.engine.unsupported = lambda task: "no images"  # type: ignore[method-assign]
    record = run_to_verdict(
        make_plan(task), make_harness(tmp_path, engine, Acting()), "trial", RetryPolicy()
    )
    assert (record.cause, record.message) == (Cause.ENGINE_LOST, "no images")
    assert door.engine.requests == []


def test_sweeping_raises_while_it_does_not_answer() -> None:
    engine = AwaitedEngine(INFO, Door(times=1).connect)
    with pytest.raises(EngineUnavailable, match="nobody answers"):
        engine.sweep()
    assert engine.sweep() == []
