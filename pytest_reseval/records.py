"""What a run writes down: ``trials.jsonl``, ``manifest.json``, and a folder for each trial.

Everything is in bytes, seconds and cores. A line of ``trials.jsonl`` is written by the process that
ran the trial, the moment it ends, with one ``write`` under a lock: it survives the death of that
process and of the controller.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pytest_reseval.cgroups.meter import Sample
from pytest_reseval.engines.base import EngineInfo
from pytest_reseval.outcomes import Cause, Evidence, Outcome

SCHEMA = 1
"""Raised whenever a reader of older lines would misread a newer one."""


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

    def builtins(self) -> dict[str, Any]:
        """The record as plain builtins: what may travel on a test report between processes."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_builtins(cls, plain: Mapping[str, Any]) -> TrialRecord:
        """The inverse of ``builtins``."""
        return msgspec.convert(plain, cls)


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
    tasks: Mapping[str, str] = field(default_factory=dict)
    """Digest of every task that was run."""
    ended: str | None = None
    not_run: int | None = None
    """Items selected that have no verdict; None while the run goes on."""
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

    def append(self, record: TrialRecord) -> None:
        """Add one line and put it on disk before returning."""
        self.path.mkdir(parents=True, exist_ok=True)
        line = _json(record) + b"\n"
        descriptor = os.open(
            self.trials, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _take_back_torn_line(descriptor)
            written = os.write(descriptor, line)
            if written != len(line):
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
                raise OSError(
                    f"{self.trials}: disk full; the line of {record.trial} was taken back"
                )
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def announce(self, obituary: TrialRecord) -> None:
        """Write down, before a trial begins, what is to be said of it should its worker die."""
        path = self._obituary(obituary.worker)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_json(obituary))

    def retract(self, worker: str) -> None:
        """The trial that a worker announced has ended in another way."""
        self._obituary(worker).unlink(missing_ok=True)

    def obituary(self, worker: str) -> TrialRecord | None:
        """What a worker that died was in the middle of; None when it was between trials."""
        try:
            return msgspec.json.decode(self._obituary(worker).read_bytes(), type=TrialRecord)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def read(self) -> Iterator[TrialRecord]:
        """Every record written so far; a last line torn by a death in mid-write is passed over."""
        if not self.trials.exists():
            return
        decoder = msgspec.json.Decoder(TrialRecord)
        with self.trials.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield decoder.decode(line)

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest as a whole."""
        self.path.mkdir(parents=True, exist_ok=True)
        draft = self.manifest.with_suffix(".json.new")
        draft.write_bytes(msgspec.json.format(_json(manifest), indent=2) + b"\n")
        draft.replace(self.manifest)

    def read_manifest(self) -> Manifest:
        """The manifest. Raises FileNotFoundError when none was written."""
        return msgspec.json.decode(self.manifest.read_bytes(), type=Manifest)

    def control_file(self, task_digest: str, configuration: str) -> Path:
        """Where a control of a task's verifier is kept for all trials of one configuration."""
        return self.path / "controls" / f"{task_digest[:16]}-{configuration}.json"

    def write_series(self, trial: str, name: str, began: float, samples: Iterable[Sample]) -> None:
        """A sampled series of one trial as CSV; times in seconds since ``began`` (monotonic)."""
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
        self._folder(trial).joinpath(f"{name}.csv").write_text("\n".join(rows) + "\n")

    def write_log(self, trial: str, phase: str, text: str) -> None:
        """What one phase of a trial printed, as far as it was kept."""
        self._folder(trial).joinpath(f"{phase}.log").write_text(
            text, encoding="utf-8", errors="backslashreplace"
        )

    def _obituary(self, worker: str) -> Path:
        return self.path / "in-flight" / f"{worker}.json"

    def _folder(self, trial: str) -> Path:
        """A folder for this trial alone: a readable name, and a hash of all that it leaves out."""
        name = re.sub(r"[^A-Za-z0-9._=-]+", "-", trial).strip("-.")[-200:]
        mark = hashlib.sha256(trial.encode(errors="surrogatepass")).hexdigest()[:8]
        folder = self.path / "trials" / f"{name}-{mark}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _json(value: object) -> bytes:
    """The value in UTF-8; what cannot be (bytes of a file name, say) becomes a question mark."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), ensure_ascii=False).encode(errors="replace")


def _take_back_torn_line(descriptor: int) -> None:
    """Cut off the start of a line that its writer died in, lest the next one be spoilt by it."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.ftruncate(descriptor, os.pread(descriptor, size, 0).rfind(b"\n") + 1)
