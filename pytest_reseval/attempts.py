"""Trying a trial again when it ended in an infra-error, and keeping every attempt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pytest_reseval.harness import Harness
from pytest_reseval.outcomes import Cause, Outcome
from pytest_reseval.plans import TrialPlan
from pytest_reseval.records import Attempt, TrialRecord
from pytest_reseval.trial import run_task

LONGEST_PAUSE = 30.0
"""Seconds; an engine that was lost may be starting again."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often an infra-error is tried again; ``oom-limit`` only if asked, for it would recur."""

    times: int = 0
    oom_limit: bool = False

    @classmethod
    def parse(cls, text: str) -> RetryPolicy:
        """``2`` or ``2,oom-limit``. Raises ValueError."""
        number, comma, cause = text.partition(",")
        known = not comma or cause == Cause.OOM_LIMIT
        if not (number.isascii() and number.isdecimal() and int(number) <= 100 and known):
            raise ValueError(
                "write a whole number from 0 to 100, as in 2, or, to try also oom-limit again, "
                "2,oom-limit"
            )
        return cls(int(number), bool(comma))

    def covers(self, record: TrialRecord) -> bool:
        """Whether a trial that ended like this may be tried again."""
        if record.outcome is not Outcome.INFRA_ERROR:
            return False
        return self.oom_limit or record.cause is not Cause.OOM_LIMIT


def pauses(times: int) -> Iterator[float]:
    """Seconds to wait before each further attempt: 1, 2, 4 and so on."""
    for number in range(times):
        yield min(2.0**number, LONGEST_PAUSE)


def run_to_verdict(
    plan: TrialPlan,
    harness: Harness,
    trial_id: str,
    policy: RetryPolicy,
    earlier: tuple[Attempt, ...] = (),
    pause: Callable[[float], None] = time.sleep,
) -> TrialRecord:
    """Run one trial of a task until it has a verdict that is not tried again, and file it.

    Each attempt has an admission and a sandbox of its own; ``earlier`` are those of the run that
    this one goes on with, and do not count against the policy. Raises OSError when not even the
    first can be begun.
    """
    record = run_task(plan, harness, trial_id, earlier)
    for seconds in pauses(policy.times):
        if not policy.covers(record):
            break
        pause(seconds)
        try:
            record = run_task(plan, harness, trial_id, (*record.earlier, record.attempt))
        except OSError:
            break  # no further attempt can be begun: the verdict of the last one stands
    harness.directory.conclude(record)
    return record
