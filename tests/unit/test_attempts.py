from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from pytest_reseval.attempts import RetryPolicy, pauses, run_to_verdict
from pytest_reseval.engines.base import EngineLost
from pytest_reseval.outcomes import Cause, Outcome
from pytest_reseval.records import TrialRecord
from pytest_reseval.verification import REWARD_TEXT
from tests.unit.builders import (
    Acting,
    MemoryEngine,
    MemorySandbox,
    make_harness,
    make_plan,
    make_record,
    make_task,
)


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("0", RetryPolicy()),
        ("3", RetryPolicy(3)),
        ("2,oom-limit", RetryPolicy(2, oom_limit=True)),
    ],
)
def test_a_policy_is_a_number_and_perhaps_oom_limit(text: str, policy: RetryPolicy) -> None:
    assert RetryPolicy.parse(text) == policy


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "1.5", "101", "1,", "1, oom-limit", "1,oom-host", ",oom-limit", "²"]
)
def test_what_is_not_a_policy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"2,oom-limit"):
        RetryPolicy.parse(text)


@pytest.mark.parametrize("cause", Cause)
def test_infra_errors_are_covered_and_kills_at_the_limit_only_if_asked(cause: Cause) -> None:
    record = make_record(cause=cause)
    infra = record.outcome is Outcome.INFRA_ERROR
    assert RetryPolicy(1).covers(record) == (infra and cause is not Cause.OOM_LIMIT)
    assert RetryPolicy(1, oom_limit=True).covers(record) == infra


def test_pauses_double_up_to_half_a_minute() -> None:
    assert list(islice(pauses(7), 7)) == [1, 2, 4, 8, 16, 30, 30]
    assert list(pauses(0)) == []


class Losing(MemoryEngine):
    """Is lost the first ``times`` times that a sandbox is started."""

    times = 0

    def start(self, request: object) -> MemorySandbox:
        self.start_error = EngineLost("gone") if len(self.requests) < self.times else None
        return super().start(request)  # type: ignore[arg-type, return-value]


def run(folder: Path, times: int, policy: RetryPolicy) -> tuple[TrialRecord, list[float]]:
    engine = Losing(MemorySandbox(files={REWARD_TEXT: b"1"}))
    engine.times = times
    harness = make_harness(folder, engine, Acting())
    paused: list[float] = []
    record = run_to_verdict(
        make_plan(make_task(folder / "unpack")), harness, "t", policy, pause=paused.append
    )
    assert list(harness.directory.read()) == [record]
    assert harness.directory.obituary("t") is None
    assert harness.ledger.entries() == []
    return record, paused


def test_a_lost_engine_is_waited_for(tmp_path: Path) -> None:
    record, paused = run(tmp_path, 2, RetryPolicy(5))
    assert paused == [1, 2]
    assert record.cause is Cause.SOLVED
    assert record.first_outcome is Outcome.INFRA_ERROR
    assert [attempt.cause for attempt in record.earlier] == [Cause.ENGINE_LOST] * 2
    assert record.earlier[0].started <= record.earlier[1].started <= record.started


def test_the_last_attempt_is_the_verdict(tmp_path: Path) -> None:
    record, paused = run(tmp_path, 9, RetryPolicy(2))
    assert paused == [1, 2]
    assert (record.cause, len(record.earlier)) == (Cause.ENGINE_LOST, 2)


def test_nothing_is_tried_again_by_default(tmp_path: Path) -> None:
    record, paused = run(tmp_path, 1, RetryPolicy())
    assert (record.cause, record.earlier, paused) == (Cause.ENGINE_LOST, (), [])
