"""What a run must reach for its exit status to be 0, whatever single trials came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pytest_reseval.configuration import by_tightness
from pytest_reseval.outcomes import Outcome
from pytest_reseval.records import TrialRecord
from pytest_reseval.statistics.intervals import wilson_interval

GateName = Literal["score", "infra"]


@dataclass(frozen=True, slots=True)
class ScoreGate:
    """The least score, as a fraction of all trials: of the score itself, or of its lower bound.

    The bound is that of the 95% Wilson interval over tasks, as the summary shows it.
    """

    name: ClassVar[GateName] = "score"

    least: float
    of: Literal["point", "lower"] = "point"

    @classmethod
    def parse(cls, text: str) -> ScoreGate:
        """From ``0.6`` or ``lower:0.6``. Raises ValueError that tells what to write."""
        bound, _, number = text.rpartition(":")
        if bound not in ("", "lower"):
            raise ValueError("write a fraction like 0.6, or lower:0.6 for the interval's lower end")
        return cls(_fraction(number), "lower" if bound else "point")

    @property
    def option(self) -> str:
        """What the user wrote."""
        return f"--reseval-fail-under={'lower:' if self.of == 'lower' else ''}{self.least:g}"

    def hold(self, records: Sequence[TrialRecord]) -> tuple[bool, str]:
        """Whether trials (one or more) reach it, and what they reach in words."""
        point = _rate(records, Outcome.PASSED)
        if self.of == "point":
            return point >= self.least, f"the score is {point:.1%}"
        low, _ = wilson_interval(point, len({record.task for record in records}))
        return low >= self.least, f"the lower end of the score's 95% interval is {low:.1%}"


@dataclass(frozen=True, slots=True)
class InfraGate:
    """The highest rate of infra-errors, as a fraction of all trials."""

    name: ClassVar[GateName] = "infra"

    most: float

    @classmethod
    def parse(cls, text: str) -> InfraGate:
        """From ``0.02``. Raises ValueError that tells what to write."""
        return cls(_fraction(text))

    @property
    def option(self) -> str:
        """What the user wrote."""
        return f"--reseval-max-infra-rate={self.most:g}"

    def hold(self, records: Sequence[TrialRecord]) -> tuple[bool, str]:
        """Whether trials (one or more) stay within it, and where they are in words."""
        rate = _rate(records, Outcome.INFRA_ERROR)
        return rate <= self.most, f"{rate:.1%} of trials are infra-errors"


def _fraction(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError("write a fraction from 0 to 1, like 0.6")
    return number


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether one gate was held, with a sentence that says by what."""

    gate: GateName
    held: bool
    text: str


def judge(
    records: Sequence[TrialRecord],
    not_run: int,
    score: ScoreGate | None,
    infra: InfraGate | None,
) -> list[Judgement]:
    """Every gate, held against every configuration; missed as a whole by an unfinished run.

    ``not_run`` counts items without a verdict.
    """
    unfinished = "no trial has a verdict" if not records else f"{not_run} were not run"
    complete = bool(records) and not not_run
    configurations = by_tightness({record.configuration for record in records})
    judgements = []
    for gate in (score, infra):
        if gate is None:
            continue
        if not complete:
            judgements.append(Judgement(gate.name, False, f"{gate.option} missed: {unfinished}"))
            continue
        for configuration in configurations:
            held, what = gate.hold(_of(records, configuration))
            text = f"{gate.option} {'held' if held else 'missed'} at {configuration}: {what}"
            judgements.append(Judgement(gate.name, held, text))
    return judgements


def _of(records: Sequence[TrialRecord], configuration: str) -> list[TrialRecord]:
    return [record for record in records if record.configuration == configuration]


def _rate(records: Sequence[TrialRecord], outcome: Outcome) -> float:
    return sum(record.outcome is outcome for record in records) / len(records)
