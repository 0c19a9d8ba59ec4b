"""The task's own check: running it, and reading the reward it writes."""

from __future__ import annotations

import math

import msgspec

from pytest_reseval.agents.script import run_script
from pytest_reseval.engines.base import (
    ExecResult,
    Sandbox,
    SandboxFileError,
    SandboxFileMissing,
)
from pytest_reseval.tasks.model import Task

REWARD_JSON = "/logs/verifier/reward.json"
REWARD_TEXT = "/logs/verifier/reward.txt"

_LARGEST_REWARD_FILE = 64 * 1024


def run_verifier(task: Task, sandbox: Sandbox, timeout: float | None) -> ExecResult:
    """Bring in the hidden tests, after clearing what the agent may have put in their place."""
    sandbox.exec(
        ["sh", "-c", "rm -rf /tests /logs/verifier; mkdir -p -m 777 /logs/verifier"], user="root"
    )
    sandbox.put(task.tests, "/tests")
    return run_script(
        sandbox,
        "/tests/test.sh",
        timeout=timeout,
        user=task.verifier_user,
        env=task.verifier_env,
    )


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
