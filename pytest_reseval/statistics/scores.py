"""The four ways to count infra-errors, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_reseval.outcomes import Outcome
from pytest_reseval.statistics.estimates import Estimate, share


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares of trials under one configuration.

    ``headline`` counts an infra-error as not solved, and so is the least that these trials could
    have scored; ``at_most`` counts it as passed; ``graded`` leaves it out, and is None where
    nothing was graded. ``infra`` is the share of infra-errors.
    """

    headline: Estimate
    graded: Estimate | None
    at_most: Estimate
    infra: Estimate

    @property
    def at_least(self) -> Estimate:
        """The score with every infra-error failed: the headline, under its other name."""
        return self.headline


def scores(tasks: Sequence[Sequence[Outcome]]) -> Scores:
    """The estimates for one configuration from the outcomes of each task's samples.

    Raises ValueError without any trial.
    """
    graded = [[one for one in task if one is not Outcome.INFRA_ERROR] for task in tasks]
    return Scores(
        headline=_share(tasks, Outcome.PASSED),
        graded=_share(graded, Outcome.PASSED) if any(graded) else None,
        at_most=_share(tasks, Outcome.PASSED, Outcome.INFRA_ERROR),
        infra=_share(tasks, Outcome.INFRA_ERROR),
    )


def _share(tasks: Sequence[Sequence[Outcome]], *counted: Outcome) -> Estimate:
    return share([[float(one in counted) for one in task] for task in tasks])
