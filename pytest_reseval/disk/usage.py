"""How many bytes of the host's disk files occupy, seen from outside of the sandbox they belong to.

The tree belongs to the agent and changes while it is read: entries vanish and move, links lead
anywhere, names are any bytes, and paths may be longer than the kernel takes in one call.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

_BLOCK = 512
"""Bytes of a block in ``st_blocks``, whatever the file system's own are; inode(7)."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW

_IN_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs", "hugetlbfs"})

_DELETED = b" (deleted)"


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes allocated, and whether all there is could be read; if not, they are too few."""

    size: int
    complete: bool


def measure(places: Iterable[Path], processes: Iterable[int] = ()) -> Usage:
    """What files and directory trees occupy, and deleted files that processes still hold.

    Allocated blocks count, hard links once. Links are not followed, and other file systems below a
    place not entered. What changes meanwhile may be missed or counted twice.
    """
    tally = _Tally()
    for process in processes:
        for status in _deleted_files(process):
            tally.count(status)
    complete = True
    for place in places:
        walk = Walk(place)
        for status in walk:
            tally.count(status)
        complete = complete and walk.complete
    return Usage(tally.size, complete)


class _Tally:
    def __init__(self) -> None:
        self.size = 0
        self._seen: set[tuple[int, int]] = set()

    def count(self, status: os.stat_result) -> None:
        if status.st_nlink != 1 and not stat.S_ISDIR(status.st_mode):
            identity = _identity(status)
            if identity in self._seen:
                return
            self._seen.add(identity)
        self.size += status.st_blocks * _BLOCK


@dataclass(slots=True)
class _Level:
    """A directory on the way from the root to where the walk is."""

    name: str
    """By which it is opened from the one above; of the root its whole path."""
    identity: tuple[int, int]
    inner: list[str] = field(default_factory=list)
    """Names of directories in it that are still to be entered."""


class Walk:
    """The status of a place and of everything below it, on the same file system.

    One directory is open at a time, and only single names are ever opened: neither the depth of a
    tree nor the length of its paths matters. ``complete`` is False once something was met that may
    not be read, or if the place is missing; what vanishes on the way is none.
    """

    def __init__(self, place: Path) -> None:
        self.complete = True
        self._place = place.absolute()
        self._here = -1
        self._levels: list[_Level] = []

    def __iter__(self) -> Iterator[os.stat_result]:
        try:
            status = self._place.lstat()
            if not stat.S_ISDIR(status.st_mode):
                yield status
                return
            self._here = os.open(self._place, _DIRECTORY)
        except OSError:
            self.complete = False
            return
        try:
            status = os.fstat(self._here)
            yield status
            self._levels = [_Level(str(self._place), _identity(status))]
            yield from self._scan(status.st_dev)
            while self._levels:
                if not self._levels[-1].inner:
                    self._levels.pop()
                    self._leave()
                elif self._enter(self._levels[-1].inner.pop()):
                    yield from self._scan(status.st_dev)
        finally:
            os.close(self._here)

    def _scan(self, device: int) -> Iterator[os.stat_result]:
        inner = self._levels[-1].inner
        try:
            with os.scandir(self._here) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        if status.st_dev != device:
                            continue
                        if stat.S_ISDIR(status.st_mode):
                            inner.append(entry.name)
                        yield status
        except OSError:
            self.complete = False

    def _enter(self, name: str) -> bool:
        try:
            inner = os.open(name, _DIRECTORY, dir_fd=self._here)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            self.complete = False
            return False
        self._move(inner)
        self._levels.append(_Level(name, _identity(os.fstat(inner))))
        return True

    def _leave(self) -> None:
        """Go up to the last level; if the directory was moved, down to it again from the root."""
        if not self._levels:
            return
        with suppress(OSError):
            self._move(os.open("..", _DIRECTORY, dir_fd=self._here))
            if _identity(os.fstat(self._here)) == self._levels[-1].identity:
                return
        self._return()

    def _return(self) -> None:
        """Go down from the root as far as the levels are still where they were; drop the others."""
        levels, self._levels = self._levels, []
        for level in levels:
            try:
                there = os.open(level.name, _DIRECTORY, dir_fd=self._here)
            except OSError:
                return
            if _identity(os.fstat(there)) != level.identity:
                os.close(there)
                return
            self._move(there)
            self._levels.append(level)

    def _move(self, there: int) -> None:
        os.close(self._here)
        self._here = there


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _deleted_files(process: int) -> Iterator[os.stat_result]:
    """Files on a disk without a name that the threads of a process hold open or mapped."""
    in_memory = None
    for status in _held_files(process):
        if status.st_nlink or not status.st_blocks or not stat.S_ISREG(status.st_mode):
            continue
        if in_memory is None:
            in_memory = _devices_in_memory(process)
        if status.st_dev not in in_memory:
            yield status


def _held_files(process: int) -> Iterator[os.stat_result]:
    """What descriptors lead to, and mappings of deleted files; as far as this user may see it.

    Every thread is looked at, since each can have descriptors of its own.
    """
    mappings = b""
    for thread in _names(f"/proc/{process}/task"):
        task = f"/proc/{process}/task/{thread}"
        for descriptor in _names(f"{task}/fd"):
            with suppress(OSError):
                yield os.stat(f"{task}/fd/{descriptor}")  # noqa: PTH116
        mappings = mappings or _content(f"{task}/maps")
    for line in mappings.splitlines():
        if line.endswith(_DELETED):
            start, end = (int(address, 16) for address in line.split(None, 1)[0].split(b"-"))
            with suppress(OSError):
                yield os.stat(f"/proc/{process}/map_files/{start:x}-{end:x}")  # noqa: PTH116


def _devices_in_memory(process: int) -> set[int]:
    """Device numbers of file systems that hold their files in memory, as a process sees them.

    Nameless memory (memfd_create(2), shared mappings) is on one that is mounted nowhere.
    """
    devices = {_nameless_memory()}
    for line in _content(f"/proc/{process}/mountinfo").splitlines():
        fields = line.split()
        if fields[fields.index(b"-", 6) + 1].decode() in _IN_MEMORY:
            major, minor = fields[2].split(b":")
            devices.add(os.makedev(int(major), int(minor)))
    return devices


@cache
def _nameless_memory() -> int:
    memory = os.memfd_create("device")
    try:
        return os.fstat(memory).st_dev
    finally:
        os.close(memory)


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208
    except OSError:
        return []


def _content(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError:
        return b""
