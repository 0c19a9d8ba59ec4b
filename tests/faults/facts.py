"""Facts that a record must hold for a verdict to be right, each with the words a table shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]


@dataclass(frozen=True)
class Fact:
    """One thing that a record must say."""

    words: str
    holds: Callable[[Record], bool]


def phase_of(record: Record, name: str) -> Record:
    """What was measured in one phase; empty when it was not reached."""
    return next((one for one in record["evidence"]["phases"] if one["name"] == name), {})


def killed(phase: str) -> Fact:
    """The kernel counted a kill for memory in the phase."""
    return Fact(
        f"`oom_kill` ≥ 1 in the {phase}'s phase",
        lambda record: (phase_of(record, phase).get("oom_kill") or 0) >= 1,
    )


def unkilled(phase: str) -> Fact:
    """The kernel counted none."""
    return Fact(
        f"`oom_kill` = 0 in the {phase}'s phase",
        lambda record: phase_of(record, phase).get("oom_kill") == 0,
    )


def figure(phase: str, name: str, value: object) -> Fact:
    """A figure of a phase has this value."""
    return Fact(
        f"`{name}` = {value} in the {phase}'s phase".replace("True", "true"),
        lambda record: phase_of(record, phase).get(name) == value,
    )


def at_least(phase: str, name: str, least: float) -> Fact:
    """A figure of a phase is this large or larger."""
    return Fact(
        f"`{name}` ≥ {least} in the {phase}'s phase",
        lambda record: (phase_of(record, phase).get(name) or 0) >= least,
    )


def peak_at_the_limit(phase: str) -> Fact:
    """The high-water mark stands at the memory limit, within 5%."""
    return Fact(
        "peak within 5% of the limit",
        lambda record: (
            0.95
            <= phase_of(record, phase)["peak"] / record["evidence"]["resources"]["memory_limit"]
            <= 1.001
        ),
    )


def reward(value: float | None) -> Fact:
    """What the verifier wrote."""
    words = "no reward" if value is None else f"reward {value:g}"
    return Fact(words, lambda record: record["evidence"]["reward"] == value)


def problem(*words: str) -> Fact:
    """Why no reward could be read, in words that must occur."""
    return Fact(
        f"`reward_problem` says: {', '.join(words)}",
        lambda record: all(word in record["evidence"]["reward_problem"] for word in words),
    )


def fault(*words: str) -> Fact:
    """What ended the trial early, in words that must occur."""
    return Fact(
        f"`fault` says: {', '.join(words)}",
        lambda record: all(word in record["evidence"]["fault"]["detail"] for word in words),
    )


def control(ran: bool) -> Fact:
    """What the check did in a pristine sandbox."""
    words = "the control works" if ran else "the control fails too"
    return Fact(words, lambda record: record["evidence"]["control"]["ran"] is ran)


def message(*words: str) -> Fact:
    """What people are told, in words that must occur."""
    return Fact(
        f"the message says: {', '.join(words)}",
        lambda record: all(word in record["message"] for word in words),
    )


NO_PHASE = Fact("no phase was reached", lambda record: record["evidence"]["phases"] == [])
