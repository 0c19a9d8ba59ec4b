"""What a run writes down: ``trials.jsonl``, ``manifest.json``, and a folder for each trial.

Everything is in bytes, seconds and cores. A line of ``trials.jsonl`` is written by the process that
ran the trial, the moment it ends, into a ``Journal``: it survives the death of that process and of
the controller.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pytest_reseval.cgroups.meter import Sample
from pytest_reseval.conditions import Conditions
from pytest_reseval.engines.base import EngineInfo
from pytest_reseval.journal import Journal, make_folder, replace
from pytest_reseval.outcomes import Cause, Evidence, Outcome
from pytest_reseval.resources import MIB, format_memory

SCHEMA = 1
"""Raised whenever a reader of older lines would misread a newer one."""


ROOM = 4 * MIB
"""Bytes that must be free on the disk of the records before a trial is begun."""


class UnreadableRecords(Exception):
    """A file of records that holds something else; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a trial that was tried again; the fields mean what they mean in its record."""

    outcome: Outcome
    cause: Cause
    message: str
    evidence: Evidence
    started: str
    seconds: float
    waited: float
    stages: Mapping[str, float]
    conditions: Conditions | None = None


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One line of ``trials.jsonl``: one trial, its verdict and the evidence behind it."""

    trial: str
    """The node id of the pytest item."""
    task: str
    configuration: str
    sample: int
    outcome: Outcome
    cause: Cause
    message: str
    evidence: Evidence
    engine: str
    agent: str
    started: str
    """UTC, ISO 8601."""
    seconds: float
    """From admission asked for to sandbox gone, all included."""
    waited: float
    """Seconds spent waiting for admission; they count against no timeout."""
    stages: Mapping[str, float]
    """Seconds of each stage: admit, prepare, start, healthcheck, agent, verifier, teardown."""
    neighbours_at_start: int
    """Other sandboxes admitted on this host when this one started."""
    neighbours_at_end: int
    worker: str
    task_digest: str | None = None
    defaulted: tuple[str, ...] = ()
    """Guarantees that the task did not state, so that the configured default was used."""
    ignored_keys: tuple[str, ...] = ()
    """Keys of the task file that mean nothing to this version."""
    earlier: tuple[Attempt, ...] = ()
    """The attempts before this one, in order."""
    unwritten: tuple[str, ...] = ()
    """Files of the last attempt that could not be written."""
    conditions: Conditions | None = None
    """What the trial met that its resources do not say; None in records of older versions."""
    run: str = ""
    schema: int = SCHEMA

    @property
    def label(self) -> str:
        """A short name for people: ``unpack[3x-s0]``."""
        return f"{self.task}[{self.configuration}-s{self.sample}]"

    @property
    def peak(self) -> int | None:
        """The highest mark of all phases in bytes; None when nothing was measured."""
        peaks = [phase.peak for phase in self.evidence.phases if phase.peak is not None]
        return max(peaks, default=None)

    @property
    def attempt(self) -> Attempt:
        """The last attempt, as the next one's record will keep it."""
        return Attempt(**{name: getattr(self, name) for name in Attempt.__dataclass_fields__})

    @property
    def first_outcome(self) -> Outcome:
        """How the first attempt ended."""
        return self.earlier[0].outcome if self.earlier else self.outcome

    def builtins(self) -> dict[str, Any]:
        """The record as plain builtins: what may travel on a test report between processes."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_builtins(cls, plain: Mapping[str, Any]) -> TrialRecord:
        """The inverse of ``builtins``."""
        return msgspec.convert(plain, cls)


@dataclass(frozen=True, slots=True)
class Resumption:
    """One time that a run was gone on with."""

    started: str
    arguments: tuple[str, ...]
    workers: int
    differing: Mapping[str, Any]
    """What was not as at the run's start, as it was now: ``versions.python``, ``host.kernel``."""
    ended: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything about a run that could move a score."""

    run: str
    started: str
    engine: EngineInfo
    engine_choice: str
    """Why this engine: asked for, or how ``auto`` decided."""
    host: Mapping[str, str | int | float | None]
    budget_memory: int
    budget_cores: float
    options: Mapping[str, str]
    agent: str
    workers: int
    versions: Mapping[str, str]
    arguments: tuple[str, ...]
    rootdir: str
    """The directory that node ids are relative to."""
    tasks: Mapping[str, str] = field(default_factory=dict)
    """Digest of every task that was run."""
    ended: str | None = None
    not_run: int | None = None
    """Items selected that have no verdict; None while the run goes on."""
    seed: int = 0
    """What the order of trials and the seeds of agents were drawn from."""
    order: tuple[str, ...] = ()
    """Every trial that was to be run, by its node id, in the order of their starts."""
    resumed: tuple[Resumption, ...] = ()
    schema: int = SCHEMA


class RunDirectory:
    """The folder of one run; made when the first thing is written into it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def trials(self) -> Path:
        """The file with one line a trial."""
        return self.path / "trials.jsonl"

    @property
    def manifest(self) -> Path:
        """The file that tells what the run was."""
        return self.path / "manifest.json"

    def holds_a_run(self) -> bool:
        """Whether a trial was begun here: a run that was refused before is nothing to keep."""
        ended = self.trials.exists() and self.trials.stat().st_size > 0
        return ended or any((self.path / "in-flight").glob("*.*"))

    def append(self, record: TrialRecord) -> None:
        """Add one line and put it on disk before returning. Raises OSError."""
        Journal(self.trials).append(_json(record))

    def read(self) -> Iterator[TrialRecord]:
        """Every record written so far; a last line torn by a death in mid-write is passed over.

        Raises UnreadableRecords.
        """
        return _records(Journal(self.trials))

    def missing(self, records: Iterable[TrialRecord]) -> list[TrialRecord]:
        """Those whose trial is not on file."""
        filed = {_trial_of(line) for line in Journal(self.trials).lines()}
        return [record for record in records if record.trial not in filed]

    def find(self, trial: str) -> TrialRecord | None:
        """The record of one trial, if it is on file."""
        return next((record for record in self.read() if record.trial == trial), None)

    def supersede(self, trials: Collection[str]) -> None:
        """Move the lines of trials that will be run again to ``superseded.jsonl``."""
        Journal(self.trials).move(lambda line: _trial_of(line) in trials, self._superseded)

    def superseded(self) -> Iterator[TrialRecord]:
        """Records of trials that were, or will be, run again, in the order of their moving."""
        return _records(self._superseded)

    @property
    def _superseded(self) -> Journal:
        return Journal(self.path / "superseded.jsonl")

    def ensure_room(self) -> None:
        """Raise OSError when there is hardly room for what one trial will write."""
        make_folder(self.path)
        disk = os.statvfs(self.path)
        if disk.f_bavail * disk.f_frsize < ROOM:
            reason = f"less than {format_memory(ROOM)} are free, which a trial may need"
            raise OSError(errno.ENOSPC, reason, str(self.path))

    def announce(self, obituary: TrialRecord) -> None:
        """Write down, before a trial begins, what is to be said of it should its worker die.

        Raises OSError, also when there is hardly room for what the trial will write.
        """
        self.ensure_room()
        path = self._obituary(obituary.trial)
        make_folder(path.parent)
        replace(path, _json(obituary))

    def conclude(self, record: TrialRecord) -> None:
        """Put the verdict of a trial that was announced on file.

        A disk that takes no more does not cost it: the record travels on the test's report too, and
        the controller files in the end what is missing.
        """
        with suppress(OSError):
            self.append(record)
            self.retract(record.trial)

    def retract(self, trial: str) -> None:
        """A trial that was announced, now or in an earlier session, has ended in another way."""
        self._obituary(trial).unlink(missing_ok=True)
        self._set_aside(self._obituary(trial)).unlink(missing_ok=True)

    def obituary(self, trial: str) -> TrialRecord | None:
        """What is to be said of a trial whose worker died in the middle of it."""
        return _read_obituary(self._obituary(trial))

    def set_obituaries_aside(self) -> None:
        """Begin another session: what is in flight was broken off in an earlier one.

        Raises OSError.
        """
        for path in (self.path / "in-flight").glob("*.json"):
            path.replace(self._set_aside(path))

    def broken_off(self, trial: str) -> TrialRecord | None:
        """The obituary of a trial that an earlier session was in the middle of when it ended."""
        return _read_obituary(self._set_aside(self._obituary(trial)))

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest as a whole."""
        make_folder(self.path)
        replace(self.manifest, msgspec.json.format(_json(manifest), indent=2) + b"\n")

    def read_manifest(self) -> Manifest:
        """The manifest. Raises FileNotFoundError when none was written, UnreadableRecords."""
        try:
            return msgspec.json.decode(self.manifest.read_bytes(), type=Manifest)
        except msgspec.DecodeError as error:
            raise UnreadableRecords(f"{self.manifest}: {error}") from None

    def control_file(self, task_digest: str, configuration: str) -> Path:
        """Where a control of a task's verifier is kept for all trials of one configuration."""
        return self.path / "controls" / f"{task_digest[:16]}-{_file_name(configuration)}.json"

    @contextmanager
    def scratch(self, trial: str) -> Iterator[Path]:
        """An empty directory while a trial needs one; what a kill leaves of it goes at the next."""
        folder = self.path / "in-flight" / _file_name(trial)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def attempt_files(self, trial: str, attempt: int) -> AttemptFiles:
        """Where an attempt's own files go; of the first, into the folder of the trial."""
        folder = self.path / "trials" / _file_name(trial)
        return AttemptFiles(folder if attempt == 1 else folder / f"attempt-{attempt}")

    def _obituary(self, trial: str) -> Path:
        return self.path / "in-flight" / f"{_file_name(trial)}.json"

    @staticmethod
    def _set_aside(obituary: Path) -> Path:
        return obituary.with_suffix(".broken-off")


class AttemptFiles:
    """The logs and series of one attempt. A file that cannot be written costs no verdict."""

    def __init__(self, folder: Path) -> None:
        self.unwritten: list[str] = []
        """Names of files that could not be written."""
        self._folder = folder

    def clear(self) -> None:
        """Remove the files of an attempt that was broken off, for it will be made once more."""
        for file in self._folder.glob("*.*"):
            file.unlink()

    def write_series(self, name: str, began: float, samples: Iterable[Sample]) -> None:
        """A sampled series as CSV; times in seconds since ``began`` (monotonic)."""
        fields = Sample.__dataclass_fields__
        rows = [",".join(fields)]
        for sample in samples:
            figures = {name: getattr(sample, name) for name in fields}
            figures["time"] -= began
            rows.append(
                ",".join(
                    f"{figure:.3f}" if isinstance(figure, float) else str(figure)
                    for figure in figures.values()
                )
            )
        self._write(f"{name}.csv", "\n".join(rows) + "\n")

    def series(self) -> list[Path]:
        """Files with the sampled series: of the trial's sandbox, then of its verifier's."""
        files = (self._folder / f"{name}.csv" for name in ("series", "verifier-series"))
        return [file for file in files if file.is_file()]

    def logs(self) -> list[Path]:
        """Files with what each phase printed."""
        return sorted(self._folder.glob("*.log"))

    def write_log(self, phase: str, text: str) -> None:
        """What one phase printed, as far as it was kept."""
        self._write(f"{phase}.log", text)

    def _write(self, name: str, text: str) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / name).write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError:
            self.unwritten.append(name)


def _read_obituary(path: Path) -> TrialRecord | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=TrialRecord)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


class _Named(msgspec.Struct):
    trial: str


def _trial_of(line: bytes) -> str:
    return msgspec.json.decode(line, type=_Named).trial


def _file_name(trial: str) -> str:
    """A readable name for this trial alone, with a hash of all that it leaves out."""
    name = re.sub(r"[^A-Za-z0-9._=-]+", "-", trial).strip("-.")[-200:]
    mark = hashlib.sha256(trial.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{name}-{mark}"


def _records(journal: Journal) -> Iterator[TrialRecord]:
    decoder = msgspec.json.Decoder(TrialRecord)
    for number, line in enumerate(journal.lines(), 1):
        try:
            yield decoder.decode(line)
        except msgspec.DecodeError as error:
            raise UnreadableRecords(f"{journal.path}: line {number}: {error}") from None


def _json(value: object) -> bytes:
    """The value in UTF-8; what cannot be (bytes of a file name, say) becomes a question mark."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), ensure_ascii=False).encode(errors="replace")
