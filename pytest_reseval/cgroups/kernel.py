"""What v1 and v2 have in common: files kept open, their formats, the bookkeeping of a meter."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from pytest_reseval.cgroups.meter import Counters, PeakSource, Sample

_READ_SIZE = 64 * 1024
_STALL = {
    kind: re.compile(rf"^{kind}\b.* total=([0-9]+)$", re.MULTILINE) for kind in ("some", "full")
}


class KernelFile:
    """One file of the kernel, opened once and read from its start each time.

    A file that is absent, unreadable or whose cgroup is gone reads as None. With ``writable`` it is
    opened for writing as well if its mode bits allow it; they are looked at because root may open
    for writing even what the kernel has no write operation for.
    """

    def __init__(self, path: Path | None, *, writable: bool = False) -> None:
        self._descriptor: int | None = None
        self._writable = False
        if path is None:
            return
        with suppress(OSError):
            if writable and path.stat().st_mode & 0o222:
                self._descriptor = os.open(path, os.O_RDWR)
                self._writable = True
                return
        with suppress(OSError):
            self._descriptor = os.open(path, os.O_RDONLY)

    def read(self) -> str | None:
        """The whole content now, or None when it cannot be had."""
        if self._descriptor is None:
            return None
        try:
            return os.pread(self._descriptor, _READ_SIZE, 0).decode("ascii", "replace")
        except OSError:
            return None

    def write(self, text: str) -> bool:
        """Write through the kept descriptor; False when the kernel does not let us."""
        if self._descriptor is None or not self._writable:
            return False
        try:
            os.pwrite(self._descriptor, text.encode("ascii"), 0)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the descriptor; harmless when called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def read_once(path: Path | None) -> str | None:
    """The content of a file that is not worth keeping open; None when it cannot be had."""
    try:
        return None if path is None else path.read_text("ascii", "replace")
    except OSError:
        return None


def integer(text: str | None) -> int | None:
    """A whole number of zero or more; None for anything else, such as ``max`` or ``-1``."""
    word = "" if text is None else text.strip()
    return int(word) if word.isdecimal() else None


def flat_keyed(text: str | None) -> dict[str, str]:
    """The words of a file of lines ``KEY VALUE``, as cgroup-v2.rst calls them "flat keyed".

    Values stay text, because most of them are never asked for: ``memory.stat`` has up to 70 lines
    and is read ten times a second.
    """
    words = [] if text is None else text.split()
    return dict(zip(words[::2], words[1::2], strict=False))


def full_stall(text: str | None) -> float | None:
    """Seconds in which everything in the cgroup stood still, of a ``*.pressure`` file.

    None where the file has no "full" line. Format: Documentation/accounting/psi.rst.
    """
    return _stall("full", text)


def some_stall(text: str | None) -> float | None:
    """The same of the seconds in which anything stood still, of the "some" line."""
    return _stall("some", text)


def _stall(kind: str, text: str | None) -> float | None:
    match = None if text is None else _STALL[kind].search(text)
    return None if match is None else int(match[1]) / 1e6


def seconds(text: str | None, unit: float) -> float | None:
    """Seconds from a whole number of ``unit`` parts of a second; None when it is not a number."""
    figure = integer(text)
    return None if figure is None else figure / unit


def ancestry(directory: Path) -> Iterator[Path]:
    """A cgroup's directory and those above it, up to where the hierarchy is mounted."""
    place = directory
    while (place / "cgroup.procs").exists():
        yield place
        place = place.parent


@dataclass(frozen=True, slots=True)
class Breakdown:
    """What the memory of a cgroup consists of, in bytes; see ``Counters`` for the meanings."""

    anonymous: int
    cache: int
    nonreclaimable: int


class KernelMeter(ABC):
    """The part of a ``Meter`` that does not depend on the cgroup version.

    It remembers the last known figures, and the highest usage that anyone read through it, which is
    the peak where the kernel keeps none.
    """

    def __init__(self, peak: Path) -> None:
        self._lock = Lock()
        self._files: list[KernelFile] = []
        self._peak = self._keep(peak, writable=True)
        self._highest: int | None = None
        self._last = Counters(*[None] * len(Counters.__dataclass_fields__))
        self.peak_source: PeakSource = "sampled" if integer(self._peak.read()) is None else "kernel"

    def counters(self) -> Counters:
        """All counters now; a figure that can no longer be read stays as it was last seen."""
        with self._lock:
            fresh = self._read_counters()
            self._note(fresh.current)
            known = {
                name: getattr(self._last, name) if (now := getattr(fresh, name)) is None else now
                for name in Counters.__dataclass_fields__
            }
            known["peak"] = _highest(known["peak"], self._highest)
            self._last = Counters(**known)
            return self._last

    def sample(self) -> Sample | None:
        """One row for the series; None once the cgroup is gone or the meter is closed."""
        with self._lock:
            row = self._read_sample()
            if row is not None:
                self._note(row.total)
            return row

    def reset_peak(self) -> bool:
        """Start the high-water mark anew; False where the kernel cannot, and then it goes on."""
        with self._lock:
            if not self._peak.write("0"):
                return False
            self._highest = None
            self._last = replace(self._last, peak=None)
            return True

    def close(self) -> None:
        """Close all kept descriptors; harmless when called twice."""
        with self._lock:
            for file in self._files:
                file.close()

    def _keep(self, path: Path | None, *, writable: bool = False) -> KernelFile:
        file = KernelFile(path, writable=writable)
        self._files.append(file)
        return file

    def _note(self, usage: int | None) -> None:
        self._highest = _highest(self._highest, usage)

    @abstractmethod
    def _read_counters(self) -> Counters:
        """What can be read now, ``peak`` as the kernel keeps it."""

    @abstractmethod
    def _read_sample(self) -> Sample | None:
        """A row from what can be read now; None without memory figures."""


def _highest(*figures: int | None) -> int | None:
    return max((figure for figure in figures if figure is not None), default=None)
