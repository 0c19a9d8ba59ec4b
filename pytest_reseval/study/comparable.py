"""A finished run as ``compare`` sees it, whichever program wrote it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from pytest_reseval.outcomes import Outcome

Value = str | int | float | None
Terms = Mapping[str, Value]
"""What could move a score, by ``WEIGHT.NAME``, WEIGHT being one of ``Weight``.

A term that only one of two runs has differs between them.
"""


class Weight(StrEnum):
    """What a term is about, from what moves scores most to what does not make another test."""

    RESOURCES = "resources"
    TASKS = "tasks"
    RULES = "rules"
    """How trials are judged and repeated."""
    AGENT = "agent"
    ENVIRONMENT = "environment"
    CIRCUMSTANCE = "circumstance"
    """Told, and no difference of test."""


@dataclass(frozen=True, slots=True)
class Result:
    """One trial. None where the format has no such figure."""

    task: str
    configuration: str
    sample: int
    outcome: Outcome
    digest: str | None = None
    """Of the task's files."""
    resources: Terms | None = None
    """What this trial was given: guarantees and limits by name, in bytes and cores."""


@dataclass(frozen=True, slots=True)
class ComparableRun:
    """The terms of a run and its results."""

    name: str
    terms: Terms
    results: tuple[Result, ...]
    configurations: Mapping[str, Terms] = field(default_factory=dict)
    """Terms that hold under one configuration alone, by its label."""
    unfinished: int = 0
    """Trials that were to be run and have no result."""

    @property
    def labels(self) -> list[str]:
        """Those with results: first as ``configurations`` has them, then as they first appear."""
        found = dict.fromkeys(result.configuration for result in self.results)
        told = [label for label in self.configurations if label in found]
        return told + [label for label in found if label not in told]

    def under(self, configuration: str) -> list[Result]:
        """The results of one configuration."""
        return [result for result in self.results if result.configuration == configuration]


class RunReader(Protocol):
    """Reads runs of one format."""

    def reads(self, path: Path) -> bool:
        """Whether something of this format may be there; nothing is read."""

    def read(self, path: Path) -> ComparableRun:
        """The run. Raises UnreadableRun, whose message names the place and the mend."""
