"""The task's own check: running it, and reading the reward it writes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec

from pytest_reseval.agents.script import run_script
from pytest_reseval.engines.base import (
    ExecResult,
    Sandbox,
    SandboxFileError,
    SandboxFileMissing,
)
from pytest_reseval.resources import MIB
from pytest_reseval.tasks.model import Task

REWARD_JSON = "/logs/verifier/reward.json"
REWARD_TEXT = "/logs/verifier/reward.txt"
TEST_SCRIPT = "/tests/test.sh"

_LARGEST_REWARD_FILE = 64 * 1024
_LARGEST_REPORT = 16 * MIB

_CLEAR = "rm -rf {} && mkdir -p -m 777 /logs/verifier"


@dataclass(frozen=True, slots=True)
class Verification:
    """How the task's check went: what ran, and the reward or the reason why there is none."""

    result: ExecResult | None
    reward: float | None
    problem: str | None
    checks_reported: bool | None = None
    """Whether the report that ``test.sh`` names tells of at least one check; None if it names none.

    The report is the sandbox's word: taken from an agent's sandbox it can only count against it.
    """


def verify(task: Task, sandbox: Sandbox, timeout: float | None) -> Verification:
    """Run the hidden tests, after clearing what the agent may have put in their place.

    Where that cannot be cleared nothing is run, and no reward is read: it could be the agent's own.
    In a sandbox for the verifier alone, tests that its image brings are its own and stay.
    """
    try:
        own_tests = task.verifier_environment is not None and _exists(sandbox, TEST_SCRIPT)
        clear = _CLEAR.format("/logs/verifier" if own_tests else "/tests /logs/verifier")
        cleared = sandbox.exec(["sh", "-c", clear], timeout=timeout, user="root")
        if not cleared.ok:
            return Verification(cleared, None, "what was at /tests or /logs/verifier stays there")
        if not own_tests:
            sandbox.put(task.tests, "/tests")
    except SandboxFileError as error:
        return Verification(None, None, f"the tests could not be brought in: {error}")
    result = run_script(
        sandbox,
        TEST_SCRIPT,
        timeout=timeout,
        user=task.verifier_user,
        env=task.verifier_env,
    )
    return Verification(result, *read_reward(sandbox), _checks_reported(task, sandbox))


def _exists(sandbox: Sandbox, path: str) -> bool:
    return sandbox.exec(["test", "-e", path], user="root").ok


def _checks_reported(task: Task, sandbox: Sandbox) -> bool | None:
    if task.report is None:
        return None
    try:
        return tells_of_checks(sandbox.read(task.report, max_bytes=_LARGEST_REPORT))
    except SandboxFileError:
        return False


def tells_of_checks(report: bytes) -> bool:
    """Whether a CTRF (JSON) or JUnit (XML) report lists at least one test."""
    if b"<testcase" in report:
        return True
    try:
        return bool(msgspec.json.decode(report, type=_Ctrf).results.tests)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


class _CtrfResults(msgspec.Struct):
    tests: list[msgspec.Raw]


class _Ctrf(msgspec.Struct):
    """The part of the Common Test Report Format, ctrf.io, that lists the tests."""

    results: _CtrfResults


def read_reward(sandbox: Sandbox) -> tuple[float | None, str | None]:
    """The reward, or None and the reason why there is none. ``reward.json`` wins.

    Of several numbers in ``reward.json`` the one named ``reward`` counts, else the smallest: a task
    is solved when all of it is.
    """
    try:
        return parse_reward_json(sandbox.read(REWARD_JSON, max_bytes=_LARGEST_REWARD_FILE)), None
    except SandboxFileMissing:
        pass
    except (SandboxFileError, ValueError) as error:
        return None, f"{REWARD_JSON}: {error}"
    try:
        return parse_reward_text(sandbox.read(REWARD_TEXT, max_bytes=_LARGEST_REWARD_FILE)), None
    except SandboxFileMissing:
        return None, f"the verifier wrote neither {REWARD_JSON} nor {REWARD_TEXT}"
    except (SandboxFileError, ValueError) as error:
        return None, f"{REWARD_TEXT}: {error}"


def parse_reward_json(content: bytes) -> float:
    """The reward in a flat object of finite numbers. Raises ValueError for anything else."""
    try:
        rewards = msgspec.json.decode(content, type=dict[str, float])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a flat object of numbers ({error})") from None
    if not rewards:
        raise ValueError("an empty object")
    if not all(math.isfinite(reward) for reward in rewards.values()):
        raise ValueError("a number that is not finite")
    return rewards.get("reward", min(rewards.values()))


def parse_reward_text(content: bytes) -> float:
    """The reward in a file with one finite number. Raises ValueError for anything else."""
    text = content.decode("utf-8", errors="replace").strip()
    try:
        reward = float(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not one number") from None
    if not math.isfinite(reward):
        raise ValueError(f"{text[:40]!r} is not finite")
    return reward
