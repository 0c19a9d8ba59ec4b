"""Reading a run that was written down, whether or not it came to its end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pytest_reseval.configuration import by_tightness
from pytest_reseval.records import (
    SCHEMA,
    AttemptFiles,
    Manifest,
    RunDirectory,
    TrialRecord,
    UnreadableRecords,
)


class UnreadableRun(Exception):
    """A folder that holds no run that can be read; the message names it and the mend."""


@dataclass(frozen=True)
class Run:
    """A run as its folder tells of it."""

    path: Path
    manifest: Manifest
    records: tuple[TrialRecord, ...]
    """One a trial that has a verdict, in the order of their ends."""

    @cached_property
    def configurations(self) -> list[str]:
        """Labels of the configurations that were run, from the tightest to the loosest."""
        return by_tightness({record.configuration for record in self.records})

    @cached_property
    def tasks(self) -> list[str]:
        """Names of the tasks that were run, sorted."""
        return sorted({record.task for record in self.records})

    @cached_property
    def missing(self) -> list[str]:
        """Node ids of the trials that were to be run and have no verdict, in order."""
        done = {record.trial for record in self.records}
        return [trial for trial in self.manifest.order if trial not in done]

    def files(self, record: TrialRecord) -> AttemptFiles:
        """Logs and sampled series of a trial's last attempt."""
        return RunDirectory(self.path).attempt_files(record.trial, len(record.earlier) + 1)


def read_run(path: Path) -> Run:
    """The run in a folder. Raises UnreadableRun."""
    directory = RunDirectory(path)
    try:
        manifest = directory.read_manifest()
        records = tuple(directory.read())
    except FileNotFoundError:
        raise UnreadableRun(
            f"{path}: there is no manifest.json, so no run; name the folder of one, which pytest "
            "tells at its end"
        ) from None
    except NotADirectoryError:
        raise UnreadableRun(f"{path}: this is no folder; name the one with manifest.json") from None
    except UnreadableRecords as error:
        raise UnreadableRun(str(error)) from None
    except OSError as error:
        raise UnreadableRun(f"{path}: {error.strerror}") from None
    if manifest.schema != SCHEMA:
        raise UnreadableRun(
            f"{path}: its records have schema {manifest.schema}, and this version reads {SCHEMA}; "
            "use the version that wrote them"
        )
    return Run(path, manifest, records)
