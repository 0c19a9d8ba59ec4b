"""The smallest headroom that makes infra-errors rare enough and leaves the score where it was.

The rule follows a published study, which raised the ceiling until infra-errors fell significantly
while the score stayed within noise: Quantifying infrastructure noise in agentic coding evals,
Anthropic, February 2026, https://www.anthropic.com/engineering/infrastructure-noise. It is put in
words, with its reasons and with how often it errs, in ``docs/calibrate.md``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pytest_reseval.configuration import Configuration, by_tightness
from pytest_reseval.outcomes import Outcome
from pytest_reseval.statistics.multiple import holm
from pytest_reseval.statistics.scores import Scores, scores
from pytest_reseval.study.contrast import FEWEST_TASKS, Contrast, Outcomes, by_task, contrast

Trials = Mapping[tuple[str, str, int], Outcome]
"""Outcomes by task, configuration and sample."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The figures that the decision hangs on. Shares, not percent."""

    level: float = 0.05
    cut: float = 0.5
    """Part of the reference's infra-errors that must go. The study's 3x took away two thirds."""
    rare: float = 0.01
    """Infra-errors need no mending that are this rare,"""
    surely: float = 0.05
    """and surely below this: the upper end of their interval, which few tasks hold up."""
    least_lift: float = 0.03
    """A smaller change of the score is none: what the study calls not interpretable."""
    must_see: float = 0.06
    """The lift that the comparison must have been able to find: the study's, when uncapped."""


RULE = Rule()

_USUAL = ("headroom", None, 1.0)
"""The family in which CPU has the headroom of memory, and timeouts are the tasks' own."""


class Reason(StrEnum):
    """Why a ceiling is named, or why none is."""

    FIXED = "fixed"
    RARE = "rare-already"
    UNFINISHED = "unfinished"
    ONE_CONFIGURATION = "one-configuration"
    UNBALANCED = "unbalanced"
    FEW_TASKS = "few-tasks"
    NOT_FIXED = "not-fixed"
    SCORE_MOVED = "score-moved"
    UNDERPOWERED = "underpowered"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One ceiling beside the reference."""

    configuration: str
    contrast: Contrast
    infra_p_value: float
    """Of the difference of infra-errors, adjusted by Holm over all candidates."""
    removed: float
    """The part of the reference's infra-errors that is gone; below 0 where there are more."""
    falls: bool
    """Whether infra-errors are significantly fewer."""
    enough: bool
    """Whether they fall, and by the part that must go."""
    moved: bool
    """Whether the score differs beyond noise and by more than counts for nothing."""
    telling: bool
    """Whether a lift of the score could have been found: by the detectable difference, or where no
    trial differs by the end of the interval."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What was decided, and on what."""

    named: str | None
    reason: Reason
    told: str
    """One sentence for people."""
    reference: str | None
    scores: Mapping[str, Scores]
    """By configuration, from the tightest to the loosest."""
    candidates: tuple[Candidate, ...]
    tasks: int
    samples: int
    """Of each task under each configuration; the most where they differ."""
    left_out: tuple[str, ...] = ()
    """Configurations that differ from the others in more than headroom."""
    rule: Rule = RULE


def choose_ceiling(trials: Trials, unfinished: int = 0, rule: Rule = RULE) -> Ceiling:
    """The decision over all trials of a run; ``unfinished`` counts those without a verdict.

    The tightest configuration is the reference. Of the looser ones the tightest is taken that has
    significantly fewer infra-errors, fewer by the part that must go; and it is named if the score
    under it has not moved, in a comparison that could have seen it move.
    """
    labels, left_out = _one_family({configuration for _, configuration, _ in trials})
    outcomes = {label: _under(trials, label) for label in labels}
    looks = _candidates(outcomes, labels, rule) if len(labels) > 1 else ()
    reference = labels[0] if labels else None
    shares = {label: scores(by_task(outcomes[label])) for label in labels}
    tasks = {task for found in outcomes.values() for task, _ in found}

    def decided(reason: Reason, told: str, named: str | None = None) -> Ceiling:
        return Ceiling(
            named=named,
            reason=reason,
            told=told,
            reference=reference,
            scores=shares,
            candidates=looks,
            tasks=len(tasks),
            samples=1 + max((sample for _, _, sample in trials), default=-1),
            left_out=left_out,
            rule=rule,
        )

    if unfinished:
        return decided(
            Reason.UNFINISHED,
            f"{unfinished} trials of the run have no verdict; go on with it by --reseval-resume",
        )
    if reference is None or len(labels) == 1:
        return decided(
            Reason.ONE_CONFIGURATION,
            "a ceiling is found by comparing: run the tasks under several headrooms, "
            "--reseval-headroom=1x,3x,uncapped",
        )
    if len({frozenset(found) for found in outcomes.values()}) > 1:
        return decided(
            Reason.UNBALANCED,
            "not every task has the same samples under every headroom, so that headrooms are not "
            "all that differs; go on with the run, or run it anew with the same tasks throughout",
        )
    infra = shares[reference].infra
    if infra.value <= rule.rare and infra.high < rule.surely:
        return decided(
            Reason.RARE,
            f"infra-errors are rare at {reference} already, {infra.value:.1%} and at most "
            f"{infra.high:.1%}; there is nothing to mend",
            named=reference,
        )
    if len(tasks) < FEWEST_TASKS:
        return decided(
            Reason.FEW_TASKS,
            f"fewer than {FEWEST_TASKS} tasks cannot show a difference at 5%, whatever their "
            f"outcomes; there are {len(tasks)}",
        )
    if infra.value == 0:
        return decided(
            Reason.NOT_FIXED,
            f"{reference} has no infra-error in {infra.trials} trials; that is too few to call "
            f"them rare: they may be up to {infra.high:.1%}, and {rule.surely:.0%} is asked for",
        )
    chosen = next((one for one in looks if one.enough), None)
    if chosen is None:
        return decided(Reason.NOT_FIXED, _not_fixed(looks, reference, rule))
    score = chosen.contrast.score
    points = f"{100 * score.value:+.1f} points, p = {score.p_value:.2g}"
    if chosen.moved:
        graded = chosen.contrast.graded
        return decided(
            Reason.SCORE_MOVED,
            f"{chosen.configuration} takes away {chosen.removed:.0%} of the infra-errors, but the "
            f"score moves with it ({points}): a change in what is measured"
            + (
                ""
                if graded.p_value < rule.level
                else f"; of the pairs that were graded on both sides it does not "
                f"({100 * graded.value:+.1f} points, p = {graded.p_value:.2g})"
            ),
        )
    if not chosen.telling:
        least = chosen.contrast.detectable
        return decided(
            Reason.UNDERPOWERED,
            f"{chosen.configuration} takes away {chosen.removed:.0%} of the infra-errors and the "
            f"score is within noise ({points}), but "
            + ("no trial's score differed" if least is None else _least(least))
            + f", and {100 * rule.must_see:g} must be: more samples, or more tasks",
        )
    return decided(
        Reason.FIXED,
        f"{chosen.configuration} takes away {chosen.removed:.0%} of the infra-errors of "
        f"{reference} (p = {chosen.infra_p_value:.2g}), and the score stays within noise "
        f"({points})",
        named=chosen.configuration,
    )


def _least(detectable: float) -> str:
    return f"{100 * detectable:.0f} points is the least that could have been found"


def _not_fixed(looks: Sequence[Candidate], reference: str, rule: Rule) -> str:
    falling = [one.configuration for one in looks if one.falls]
    if falling:
        return (
            f"infra-errors fall from {reference} to {', '.join(falling)}, but nowhere by the "
            f"{rule.cut:.0%} that would mend them"
        )
    return (
        f"under no looser headroom are infra-errors significantly fewer than at {reference}: they "
        "have another cause than headroom, or there are too few trials to tell"
    )


def _candidates(
    outcomes: Mapping[str, Outcomes], labels: Sequence[str], rule: Rule
) -> tuple[Candidate, ...]:
    reference = outcomes[labels[0]]
    contrasts = [contrast(reference, outcomes[label]) for label in labels[1:]]
    adjusted = holm([one.infra.p_value for one in contrasts])
    return tuple(
        _candidate(label, reference, outcomes[label], one, p_value, rule)
        for label, one, p_value in zip(labels[1:], contrasts, adjusted, strict=True)
    )


def _candidate(
    label: str, before: Outcomes, after: Outcomes, found: Contrast, p_value: float, rule: Rule
) -> Candidate:
    shared = before.keys() & after.keys()
    was = sum(before[place] is Outcome.INFRA_ERROR for place in shared)
    still = sum(after[place] is Outcome.INFRA_ERROR for place in shared)
    removed = (was - still) / was if was else 0.0
    falls = found.infra.value < 0 and p_value < rule.level
    score = found.score
    beyond_noise = score.p_value < rule.level
    sees = max(-score.low, score.high) if found.detectable is None else found.detectable
    return Candidate(
        configuration=label,
        contrast=found,
        infra_p_value=p_value,
        removed=removed,
        falls=falls,
        enough=falls and removed >= rule.cut,
        moved=beyond_noise and abs(score.value) >= rule.least_lift,
        telling=sees <= rule.must_see,
    )


def _one_family(labels: Collection[str]) -> tuple[list[str], tuple[str, ...]]:
    """Configurations that differ in headroom alone: the largest such group, and all others.

    Of several as large that of the tasks' own timeouts is taken.
    """
    families: dict[tuple[object, ...], list[str]] = {}
    for label in by_tightness(set(labels)):
        families.setdefault(_family(Configuration.parse(label)), []).append(label)
    chosen = max(
        families.items(),
        key=lambda family: (len(family[1]), family[0] == _USUAL),
        default=(None, []),
    )[1]
    return chosen, tuple(label for label in by_tightness(set(labels)) if label not in chosen)


def _family(configuration: Configuration) -> tuple[object, ...]:
    memory, cpu = configuration.memory, configuration.cpu
    if memory is None or cpu is None:
        return ("declared", configuration.timeout_scale)
    own = None if cpu.factor == memory.factor else cpu.label
    return ("headroom", own, configuration.timeout_scale)


def _under(trials: Trials, label: str) -> Outcomes:
    return {
        (task, sample): outcome
        for (task, configuration, sample), outcome in trials.items()
        if configuration == label
    }
