"""What comes back from the guest, and how it is shown."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal
from xml.etree import ElementTree

import msgspec
from tabulate import tabulate

SUMMARY = "summary.json"

Peak = Literal["absent", "kept", "resettable"]


class ResultsError(Exception):
    """The guest left no results; the message says where to look."""


class Facts(msgspec.Struct, frozen=True):
    """What the guest is."""

    kernel: str
    cgroup_version: int
    memory_peak: Peak
    systemd: str
    processor: str
    """``kvm``, or ``qemu`` for an emulated one."""


class Ran(msgspec.Struct, frozen=True):
    """One suite that was run. ``status`` is pytest's, None if it ran out of time."""

    suite: str
    engine: str | None
    status: int | None
    seconds: float


class Summary(msgspec.Struct, frozen=True):
    """All suites of one boot."""

    facts: Facts
    ran: Sequence[Ran]

    def encoded(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)


@dataclass(frozen=True, slots=True)
class Counts:
    """Tests of one suite, by how they ended."""

    passed: int
    failed: int
    skipped: int


def is_blank(disk: IO[bytes]) -> bool:
    """Whether the guest has not written anything: no suite came to its end."""
    disk.seek(0)
    return not any(disk.read(512))


def unpack(disk: IO[bytes], folder: Path) -> Summary:
    """Write what the guest left on its disk into a folder. Raises ResultsError."""
    disk.seek(0)
    try:
        with tarfile.open(fileobj=disk, mode="r:") as archive:
            archive.extractall(folder, filter="data")
        return msgspec.json.decode((folder / SUMMARY).read_bytes(), type=Summary)
    except (tarfile.TarError, OSError, msgspec.MsgspecError) as error:
        raise ResultsError(f"the guest ended before it could leave any results: {error}") from error


def exit_status(summary: Summary, ordered: Sequence[str]) -> int:
    """0 when every ordered suite ran and passed, else the first other status; 1 for none."""
    statuses = {ran.suite: ran.status for ran in summary.ran}
    found = (statuses.get(suite) for suite in ordered)
    return next((1 if status is None else status for status in found if status != 0), 0)


def counts(junit: str) -> Counts:
    """Counts from a JUnit file of pytest's."""
    [suite] = ElementTree.fromstring(junit).iter("testsuite")
    total, failed, errors, skipped = (
        int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")
    )
    return Counts(total - failed - errors - skipped, failed + errors, skipped)


def table(summary: Summary, folder: Path) -> str:
    """What was found, for people."""
    facts = summary.facts
    peak = {
        "absent": "no memory.peak",
        "kept": "memory.peak that cannot be reset",
        "resettable": "memory.peak that can be reset",
    }[facts.memory_peak]
    head = (
        f"kernel {facts.kernel} · cgroup v{facts.cgroup_version} · {peak} · {facts.systemd} · "
        f"{facts.processor}"
    )
    headers = ("suite", "engine", "passed", "failed", "skipped", "status", "minutes")
    return f"{head}\n{tabulate(_rows(summary, folder), headers)}"


def _rows(summary: Summary, folder: Path) -> Iterator[tuple[object, ...]]:
    for ran in summary.ran:
        junit = folder / f"{ran.suite}.xml"
        found = counts(junit.read_text()) if junit.exists() else None
        figures = (found.passed, found.failed, found.skipped) if found else ("?", "?", "?")
        status = "out of time" if ran.status is None else ran.status
        yield (ran.suite, ran.engine or "-", *figures, status, f"{ran.seconds / 60:.1f}")
