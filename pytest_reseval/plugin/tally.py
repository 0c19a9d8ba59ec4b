"""All verdicts of a run, gathered where the reports come together, and the exit status they make.

Light on purpose: it counts in every project that has the plugin installed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import pytest

from pytest_reseval.tasks import is_task_file

if TYPE_CHECKING:
    from pytest_reseval.gates import Judgement

INFRA_ONLY = 75
"""Exit status when the only non-passes are infra-errors: EX_TEMPFAIL of sysexits.h, try again."""

_INFRA_ERROR = "infra-error"

_NAMES_A_TRIAL = re.compile(r"-s[0-9]+\]$")


def carried(report: object) -> Mapping[str, Any] | None:
    """The record, as plain builtins, that a report carries if it is the verdict of a trial."""
    plain: Mapping[str, Any] | None = getattr(report, "reseval", None)
    return plain


def status(report: object) -> tuple[str, str, tuple[str, Mapping[str, bool]]] | None:
    """Category, letter and word of an infra-error; None leaves all else to pytest."""
    record = carried(report)
    if record is None or record["outcome"] != _INFRA_ERROR:
        return None
    return _INFRA_ERROR, "I", (f"INFRA-ERROR ({record['cause']})", {"yellow": True})


def is_of_a_task(nodeid: str) -> bool:
    """Whether an item is a task file's own, and not of a test written in Python."""
    return is_task_file(PurePath(nodeid.partition("::")[0]))


class Stage(IntEnum):
    """How far an item has come."""

    BEGUN = 0
    DECIDED = 1
    """It is known how it ended, be it that it was skipped."""
    OVER = 2
    """So did its teardown."""


def _stage(report: pytest.TestReport) -> Stage:
    if report.when == "teardown":
        return Stage.OVER
    return Stage.DECIDED if report.when == "call" or not report.passed else Stage.BEGUN


class Tally:
    """Counts reports as they come."""

    def __init__(self) -> None:
        self.verdicts: list[Mapping[str, Any]] = []
        self.selected: tuple[str, ...] = ()
        """Node ids of the items that were to be run, in order."""
        self.recalled = 0
        """Verdicts that were on file before this run."""
        self._stages: dict[str, Stage] = {}
        """How far each item has come, as far as was reported."""
        self._failed_trials = 0
        self._other_failures = 0

    def add(self, report: pytest.TestReport) -> None:
        """Count one report."""
        before = self._stages.get(report.nodeid, Stage.BEGUN)
        self._stages[report.nodeid] = max(before, _stage(report))
        verdict = carried(report)
        if verdict is not None:
            self.verdicts.append(verdict)
            self.recalled += getattr(report, "reseval_recalled", False)
        if report.failed and verdict is not None and verdict["outcome"] == "failed":
            self._failed_trials += 1
        elif report.failed and (verdict is None or verdict["outcome"] != _INFRA_ERROR):
            self._other_failures += 1

    def has_verdict(self, trial: str) -> bool:
        """Whether a trial's verdict was reported."""
        return any(verdict["trial"] == trial for verdict in self.verdicts)

    def stage(self, nodeid: str) -> Stage | None:
        """How far an item has come; None if nothing was reported of it."""
        return self._stages.get(nodeid)

    @property
    def without_verdict(self) -> int:
        """Items of tasks that were reported and are no trials: skipped, or not loaded."""
        tasks = sum(is_of_a_task(nodeid) for nodeid in self._stages)
        trials = sum(is_of_a_task(verdict["trial"]) for verdict in self.verdicts)
        return tasks - trials

    @property
    def trials(self) -> tuple[str, ...]:
        """Items selected that are trials, as far as is known: an id tells how each is named."""
        verdicts = {verdict["trial"] for verdict in self.verdicts}
        return tuple(
            nodeid
            for nodeid in self.selected
            if nodeid in verdicts or (nodeid not in self._stages and _NAMES_A_TRIAL.search(nodeid))
        )

    @property
    def done(self) -> int:
        """Items that were reported."""
        return len(self._stages)

    @property
    def not_run(self) -> int:
        """Items that were selected and never reported."""
        return max(0, len(self.selected) - self.done)

    def exit_status(
        self, native: int, unfiled: bool = False, gates: Sequence[Judgement] = ()
    ) -> int:
        """pytest's own exit status, but INFRA_ONLY where infra-errors are all that went wrong.

        With records that are not on file nothing is well, and trying again would not mend it.
        Trials that nobody was left to run count as infra-errors here. Where a gate was set it
        decides instead of the single trials that it speaks for: a gate on the score for all of
        them, one on infra-errors for these.
        """
        if native not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return native
        missed = {judgement.gate for judgement in gates if not judgement.held}
        given = {judgement.gate for judgement in gates}
        failed = self._failed_trials and "score" not in given
        infra = not given and (
            any(verdict["outcome"] == _INFRA_ERROR for verdict in self.verdicts)
            or bool(self.not_run and self.trials)
        )
        if unfiled or self._other_failures or failed or "score" in missed:
            return pytest.ExitCode.TESTS_FAILED
        if infra or "infra" in missed:
            return INFRA_ONLY
        return pytest.ExitCode.OK if given else native
