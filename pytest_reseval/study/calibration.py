"""A whole run calibrated: the ceiling, and each task's need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pytest_reseval.runs import Run
from pytest_reseval.study.ceiling import Ceiling, choose_ceiling
from pytest_reseval.study.needs import Need, needs
from pytest_reseval.study.readers.folder import task_names

if TYPE_CHECKING:
    from pytest_reseval.study.taskfiles import Refusal

SCHEMA = 1
"""Raised whenever a reader of older JSON would misread a newer one."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a run calls for."""

    run: str
    ceiling: Ceiling
    needs: tuple[Need, ...]

    @property
    def proposed(self) -> list[Need]:
        """Those with a new guarantee."""
        return [need for need in self.needs if need.proposal is not None]


def calibrate(run: Run) -> Calibration:
    """The decisions over one run, be it finished or not."""
    names = task_names(run.records)
    trials = {
        (names[record.trial], record.configuration, record.sample): record.outcome
        for record in run.records
    }
    return Calibration(
        run=run.manifest.run,
        ceiling=choose_ceiling(trials, unfinished=len(run.missing)),
        needs=tuple(needs(run.records)),
    )


def calibration_json(
    calibration: Calibration, refused: Sequence[Refusal], patch: str
) -> dict[str, Any]:
    """The calibration as plain builtins: ``docs/calibrate.md`` explains it."""
    return {
        "schema": SCHEMA,
        **asdict(calibration),
        "refused": [asdict(one) for one in refused],
        "patch": patch,
    }
