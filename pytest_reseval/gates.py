"""What a run must reach for its exit status to be 0, whatever single trials came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_reseval.configuration import by_tightness
from pytest_reseval.outcomes import Outcome
from pytest_reseval.records import TrialRecord
from pytest_reseval.statistics.intervals import wilson_interval


@dataclass(frozen=True, slots=True)
class ScoreGate:
    """The least score, as a fraction of all trials: of the score itself, or of its lower bound.

    The bound is that of the 95% Wilson interval over tasks, as the summary shows it.
    """

    least: float
    of: Literal["point", "lower"] = "point"

    @classmethod
    def parse(cls, text: str) -> ScoreGate:
        """From ``0.6`` or ``lower:0.6``. Raises ValueError that tells what to write."""
        bound, _, number = text.rpartition(":")
        if bound not in ("", "lower"):
            raise ValueError("write a fraction like 0.6, or lower:0.6 for the interval's lower end")
        return cls(_fraction(number), "lower" if bound else "point")


@dataclass(frozen=True, slots=True)
class InfraGate:
    """The highest rate of infra-errors, as a fraction of all trials."""

    most: float

    @classmethod
    def parse(cls, text: str) -> InfraGate:
        """From ``0.02``. Raises ValueError that tells what to write."""
        return cls(_fraction(text))


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

    gate: Literal["score", "infra"]
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
    complete = records and not not_run
    configurations = by_tightness({record.configuration for record in records})
    judgements: list[Judgement] = []
    if score is not None:
        if complete:
            judgements += [_score(one, _of(records, one), score) for one in configurations]
        else:
            text = f"--reseval-fail-under={_shown(score)} missed: {unfinished}"
            judgements.append(Judgement("score", False, text))
    if infra is not None:
        if complete:
            judgements += [_infra(one, _of(records, one), infra) for one in configurations]
        else:
            text = f"--reseval-max-infra-rate={infra.most:g} missed: {unfinished}"
            judgements.append(Judgement("infra", False, text))
    return judgements


def _score(configuration: str, records: Sequence[TrialRecord], gate: ScoreGate) -> Judgement:
    point = sum(record.outcome is Outcome.PASSED for record in records) / len(records)
    if gate.of == "lower":
        value, _ = wilson_interval(point, len({record.task for record in records}))
        what = f"the lower end of the score's 95% interval is {value:.1%}"
    else:
        value, what = point, f"the score is {point:.1%}"
    return _told(
        "score", f"--reseval-fail-under={_shown(gate)}", configuration, what, value >= gate.least
    )


def _infra(configuration: str, records: Sequence[TrialRecord], gate: InfraGate) -> Judgement:
    rate = sum(record.outcome is Outcome.INFRA_ERROR for record in records) / len(records)
    what = f"{rate:.1%} of trials are infra-errors"
    option = f"--reseval-max-infra-rate={gate.most:g}"
    return _told("infra", option, configuration, what, rate <= gate.most)


def _told(
    gate: Literal["score", "infra"], option: str, configuration: str, what: str, held: bool
) -> Judgement:
    return Judgement(
        gate, held, f"{option} {'held' if held else 'missed'} at {configuration}: {what}"
    )


def _shown(gate: ScoreGate) -> str:
    return f"{'lower:' if gate.of == 'lower' else ''}{gate.least:g}"


def _of(records: Sequence[TrialRecord], configuration: str) -> list[TrialRecord]:
    return [record for record in records if record.configuration == configuration]
