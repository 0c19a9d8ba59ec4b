from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.engines.base import ExecResult, SandboxFileError, SandboxLost
from pytest_reseval.verification import (
    REWARD_JSON,
    REWARD_TEXT,
    parse_reward_json,
    parse_reward_text,
    read_reward,
    verify,
)
from tests.unit.builders import MemorySandbox, make_task

KILLED = ExecResult(exit_code=None, stdout="", stderr="", seconds=30.0, timed_out=True)
REFUSED = ExecResult(exit_code=1, stdout="", stderr="rm: not permitted", seconds=0.1)


@pytest.mark.parametrize(
    ("content", "reward"),
    [
        (b'{"reward": 1}', 1.0),
        (b' {"reward": 0.25}\n', 0.25),
        (b'{"reward": -2}', -2.0),
        (b'{"quality": 0, "reward": 1}', 1.0),
        (b'{"build": 1, "speed": 0.5, "size": 0.75}', 0.5),
        (b'{"reward": 1e300}', 1e300),
        (b'{"reward": 12345678901234567890123}', 12345678901234567890123.0),
    ],
)
def test_reward_json_is_a_flat_object_of_numbers(content: bytes, reward: float) -> None:
    assert parse_reward_json(content) == reward


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"1",
        b"[1]",
        b'{"reward": NaN}',
        b'{"reward": Infinity}',
        b'{"reward": 1e400}',
        b'{"reward": 1' + b"0" * 400 + b"}",
        b'{"reward": true}',
        b'{"reward": "1"}',
        b'{"reward": null}',
        b'{"reward": {"reward": 1}}',
        b'{"reward": 1, "notes": "fine"}',
        b'{"reward": 1}{"reward": 1}',
        b'{"\xff": 1}',
        b'{"a":' * 10_000,
    ],
    ids=lambda content: content[:24].decode("ascii", "backslashreplace") or "empty",
)
def test_anything_else_in_reward_json_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"object|not finite"):
        parse_reward_json(content)


@pytest.mark.parametrize(
    ("content", "reward"), [(b"1", 1.0), (b" 0.5\n", 0.5), (b"-1", -1.0), (b"1e3", 1000.0)]
)
def test_reward_text_is_one_number(content: bytes, reward: float) -> None:
    assert parse_reward_text(content) == reward


@pytest.mark.parametrize("content", [b"", b"1 1", b"nan", b"-inf", b"1e400", b"True", b"\xff\x00"])
def test_anything_else_in_reward_text_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"not one number|not finite"):
        parse_reward_text(content)


@given(st.binary(max_size=200))
def test_any_content_gives_a_number_or_a_short_reason_without_control_characters(
    content: bytes,
) -> None:
    sandbox = MemorySandbox(files={REWARD_TEXT: content})
    reward, problem = read_reward(sandbox)
    if problem is not None:
        assert reward is None
        assert problem.isprintable()
        assert len(problem) < 500


def test_reward_json_wins_over_reward_text() -> None:
    sandbox = MemorySandbox(files={REWARD_JSON: b'{"reward": 0}', REWARD_TEXT: b"1"})
    assert read_reward(sandbox) == (0.0, None)


def test_a_broken_reward_json_is_not_mended_by_reward_text() -> None:
    sandbox = MemorySandbox(files={REWARD_JSON: b"oops", REWARD_TEXT: b"1"})
    reward, problem = read_reward(sandbox)
    assert reward is None
    assert problem is not None
    assert problem.startswith(REWARD_JSON)


def test_no_file_at_all_names_both() -> None:
    reward, problem = read_reward(MemorySandbox())
    assert reward is None
    assert problem == f"the verifier wrote neither {REWARD_JSON} nor {REWARD_TEXT}"


@pytest.mark.parametrize("path", [REWARD_JSON, REWARD_TEXT])
def test_a_file_that_cannot_be_read_is_no_reward(path: str) -> None:
    sandbox = MemorySandbox(files={path: SandboxFileError("a symlink")})
    assert read_reward(sandbox) == (None, f"{path}: a symlink")


def test_the_tests_come_in_after_what_the_agent_left_is_cleared(tmp_path: Path) -> None:
    sandbox = MemorySandbox(files={REWARD_TEXT: b"1"})
    verification = verify(make_task(tmp_path), sandbox, timeout=30.0)
    assert verification.reward == 1.0
    assert sandbox.brought == ["/tests"]
    cleared, ran = sandbox.commands
    assert "rm -rf /tests /logs/verifier" in cleared
    assert ran.endswith("/tests/test.sh")
    assert sandbox.timeouts == [30.0, 30.0], "an agent's own rm could stall for ever"


@pytest.mark.parametrize("ending", [REFUSED, KILLED], ids=["refused", "stalled"])
def test_a_reward_that_could_not_be_cleared_is_not_believed(
    tmp_path: Path, ending: ExecResult
) -> None:
    sandbox = MemorySandbox(files={REWARD_TEXT: b"1"}, answer=lambda command: ending)
    verification = verify(make_task(tmp_path), sandbox, timeout=30.0)
    assert verification.reward is None
    assert verification.problem
    assert verification.result is ending
    assert len(sandbox.commands) == 1


def test_what_is_in_the_way_of_the_tests_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blocked(source: Path, target: str) -> None:
        raise SandboxFileError(f"{target}: not a directory")

    sandbox = MemorySandbox(files={REWARD_TEXT: b"1"})
    monkeypatch.setattr(sandbox, "put", blocked)
    verification = verify(make_task(tmp_path), sandbox, timeout=30.0)
    assert verification.reward is None
    assert verification.problem == "the tests could not be brought in: /tests: not a directory"


def test_a_lost_sandbox_is_no_reward_problem() -> None:
    with pytest.raises(SandboxLost):
        read_reward(MemorySandbox(files={REWARD_JSON: SandboxLost("gone")}))
