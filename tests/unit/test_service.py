from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.agents.base import Solved
from pytest_reseval.agents.command import Command
from pytest_reseval.engines.base import ExecResult, SandboxFileError
from pytest_reseval.service import (
    SERVICE_FILE,
    ServiceUse,
    checked,
    parse_service,
    read_service,
)
from tests.unit.builders import MemorySandbox, make_task

ENDED = ExecResult(exit_code=3, stdout="out", stderr="err", seconds=1.5, truncated=7)


@pytest.mark.parametrize(
    ("content", "use"),
    [
        (b'{"requests": 12, "seconds": 80.5, "errors": 1}', ServiceUse(12, 80.5, 1)),
        (b' {"seconds": 3}\n', ServiceUse(seconds=3.0)),
        (b'{"requests": 0, "errors": 0}', ServiceUse(requests=0, errors=0)),
        (b'{"errors": 2}', ServiceUse(errors=2)),
    ],
)
def test_a_report_is_a_flat_object_of_numbers(content: bytes, use: ServiceUse) -> None:
    assert parse_service(content) == use


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"7",
        b"[1]",
        b"requests: 1",
        b'{"seconds": NaN}',
        b'{"seconds": Infinity}',
        b'{"seconds": 1e400}',
        b'{"seconds": -0.1}',
        b'{"seconds": 1e10}',
        b'{"requests": -1}',
        b'{"requests": 1' + b"0" * 400 + b"}",
        b'{"requests": 1.5}',
        b'{"requests": true}',
        b'{"requests": "1"}',
        b'{"requests": null}',
        b'{"requests": {"requests": 1}}',
        b'{"requests": 1, "errors": 2}',
        b'{"requests": 1, "model": "fine"}',
        b'{"requests": 1}{"requests": 1}',
        b'{"\xff": 1}',
        b'{"requests":' * 300,
    ],
    ids=lambda content: content[:32].decode("ascii", "backslashreplace") or "empty",
)
def test_anything_else_is_no_report(content: bytes) -> None:
    sandbox = MemorySandbox(files={SERVICE_FILE: content})
    use, problem = read_service(sandbox)
    assert use is None
    assert problem is not None
    assert problem.startswith(SERVICE_FILE)


@given(st.binary(max_size=200))
def test_whatever_is_in_the_file_only_a_sound_report_comes_out(content: bytes) -> None:
    try:
        use = parse_service(content)
    except ValueError:
        return
    assert checked(use) == use


def test_no_file_is_no_report_and_no_problem() -> None:
    assert read_service(MemorySandbox()) == (None, None)


def test_a_file_that_the_sandbox_does_not_give_out_is_a_problem() -> None:
    refused = MemorySandbox(files={SERVICE_FILE: SandboxFileError("behind a symlink")})
    assert read_service(refused) == (None, f"{SERVICE_FILE}: behind a symlink")


@pytest.mark.parametrize(
    "told",
    [
        ServiceUse(),
        ServiceUse(seconds=math.nan),
        ServiceUse(seconds=-math.inf),
        ServiceUse(requests=10**30),
        ServiceUse(requests=True),
        ServiceUse(requests=2.0),  # type: ignore[arg-type]
        ServiceUse(seconds="2"),  # type: ignore[arg-type]
        {"requests": 1},
    ],
)
def test_what_makes_no_sense_is_refused_whoever_tells_it(told: Any) -> None:
    with pytest.raises(ValueError, match=r"nothing|number|from 0 to"):
        checked(told)


@pytest.mark.parametrize(
    ("use", "latency"),
    [
        (ServiceUse(4, 10.0), 2.5),
        (ServiceUse(0, 10.0), None),
        (ServiceUse(None, 10.0), None),
        (ServiceUse(4), None),
    ],
)
def test_latency_is_seconds_a_call(use: ServiceUse, latency: float | None) -> None:
    assert use.latency == latency


def test_telling_of_the_service_changes_nothing_of_how_the_work_ended() -> None:
    solved = Solved.after(ENDED, ServiceUse(1), "told")
    told = {name: getattr(solved, name) for name in ExecResult.__dataclass_fields__}
    assert ExecResult(**told) == ENDED
    assert (solved.service, solved.service_problem) == (ServiceUse(1), "told")


@pytest.mark.parametrize(
    ("left", "service"), [(b'{"requests": 3}', ServiceUse(3)), (b"rubbish", None), (None, None)]
)
def test_a_command_tells_what_it_left_in_the_file_that_it_was_given(
    tmp_path: Any, left: bytes | None, service: ServiceUse | None
) -> None:
    sandbox = MemorySandbox()
    answer: Callable[[str], ExecResult] = lambda command: ENDED  # noqa: E731
    if left is not None:
        sandbox.files[SERVICE_FILE] = left
    sandbox.answer = answer
    result = Command("work").solve(make_task(tmp_path / "task"), sandbox, 1.0, 0)
    assert isinstance(result, Solved)
    assert (result.exit_code, result.service) == (3, service)
    assert (result.service_problem is not None) == (left == b"rubbish")
