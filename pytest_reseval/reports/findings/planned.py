"""Which task and configuration a trial without a verdict is of, as far as its node id tells."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_reseval.configuration import Configuration
from pytest_reseval.records import TrialRecord
from pytest_reseval.resources import QuantityError

UNKNOWN = "unknown"
"""Stands for a configuration that a node id does not tell."""

_END = re.compile(r"\[(?P<inner>.*)-s(?P<sample>[0-9]+)\]\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """A cell of the matrix of tasks and configurations."""

    task: str
    configuration: str


def places(trials: Iterable[str], records: Iterable[TrialRecord]) -> list[Place]:
    """The place of each trial; a task is called as in the records of its other trials."""
    names = {_stem(record.trial)[0]: record.task for record in records}
    found = []
    for trial in trials:
        stem, configuration = _stem(trial)
        found.append(Place(names.get(stem) or _named(stem), configuration))
    return found


def samples(trials: Iterable[str]) -> int:
    """How many samples a task has under a configuration, at most, among these trials."""
    found = (_END.search(trial) for trial in trials)
    return max((int(match["sample"]) + 1 for match in found if match), default=0)


def _stem(trial: str) -> tuple[str, str]:
    """What all trials of a task have in common, and the label of the configuration."""
    match = _END.search(trial)
    if match is None:
        return trial, UNKNOWN
    inner = match["inner"]
    starts = [0, *(hyphen.end() for hyphen in re.finditer("-", inner))]
    for start in starts:
        try:
            Configuration.parse(inner[start:])
        except QuantityError:
            continue
        return trial[: match.start("inner") + start], inner[start:]
    return trial, UNKNOWN


def _named(stem: str) -> str:
    """The directory of a task file, or what there is."""
    path, _, _ = stem.partition("::")
    parts = path.split("/")
    return parts[-2] if len(parts) > 1 and parts[-1].endswith(".toml") else stem.rstrip("[-")
