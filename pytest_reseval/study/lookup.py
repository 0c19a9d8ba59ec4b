"""Finding one trial of a run by what a person types."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from pytest_reseval.records import TrialRecord
from pytest_reseval.runs import Run

_MOST_SHOWN = 8
_LIKENESS = 0.5


class NoSuchTrial(Exception):
    """What was typed names no trial, or several; the message lists those that come near."""


def find_trial(run: Run, typed: str) -> TrialRecord:
    """The trial with this node id or label, else the only one that has it as a part of either.

    Raises NoSuchTrial.
    """
    for exact in (
        [record for record in run.records if record.trial == typed],
        [record for record in run.records if record.label == typed],
        [record for record in run.records if typed in record.trial or typed in record.label],
    ):
        if len(exact) == 1:
            return exact[0]
        if exact:
            raise NoSuchTrial(f"{typed!r} is part of {len(exact)} trials: {_listed(exact)}")
    if any(typed in trial for trial in run.missing):
        raise NoSuchTrial(f"{typed!r} has no verdict: it was not run, or not to its end")
    names = {record.label: record for record in run.records}
    near = difflib.get_close_matches(typed, names, n=_MOST_SHOWN, cutoff=_LIKENESS)
    told = f"; near it: {', '.join(near)}" if near else "; without TRIAL all are listed"
    raise NoSuchTrial(f"no trial is called {typed!r}{told}")


def _listed(records: Sequence[TrialRecord]) -> str:
    labels = [record.label for record in records]
    if len(set(labels)) < len(labels):
        labels = [record.trial for record in records]
    rest = len(labels) - _MOST_SHOWN
    return ", ".join(labels[:_MOST_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
