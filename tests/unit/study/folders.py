"""Runs made up and written to disk, for the tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_reseval.outcomes import Cause
from pytest_reseval.records import RunDirectory, TrialRecord
from tests.unit.builders import make_manifest, make_record

CAUSES = {"p": Cause.SOLVED, "f": Cause.WRONG, "i": Cause.OOM_LIMIT}


def records_of(
    outcomes: Mapping[str, Mapping[str, str]], digest: str | None = "d" * 64
) -> list[TrialRecord]:
    """Records by configuration and task; a letter a sample: p(assed), f(ailed), i(nfra-error)."""
    return [
        make_record(
            task,
            CAUSES[letter],
            configuration=configuration,
            sample=sample,
            trial=f"tasks/{task}/task.toml::run[{configuration}-s{sample}]",
            task_digest=digest,
        )
        for configuration, tasks in outcomes.items()
        for task, letters in tasks.items()
        for sample, letter in enumerate(letters)
    ]


def write_run(folder: Path, records: Sequence[TrialRecord], **manifest: Any) -> Path:
    """A finished run; ``order`` may name trials that have no record."""
    directory = RunDirectory(folder)
    told = {"order": tuple(record.trial for record in records), "run": folder.name}
    directory.write_manifest(make_manifest(**(told | manifest)))
    for record in records:
        directory.append(record)
    return folder
