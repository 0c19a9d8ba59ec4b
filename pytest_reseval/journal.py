"""A file of lines that are there whole or not at all, whatever ends the process that writes them.

A line that its writer died in has no end; readers pass it over and the next writer cuts it off.
Writers take turns by ``flock(2)``. Everything here raises OSError.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Journal:
    """Lines of bytes in one file; made, with its folder, by the first that is appended."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[bytes]:
        """Every whole line, without its end."""
        try:
            return self.path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []

    def append(self, *lines: bytes) -> None:
        """Add lines and put them on disk; when that fails they are taken back as far as may be."""
        with self._locked() as descriptor:
            size = _cut_torn_line(descriptor)
            try:
                _write(descriptor, b"".join(line + b"\n" for line in lines))
                os.fsync(descriptor)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise

    def move(self, condition: Callable[[bytes], bool], other: Journal) -> None:
        """Move the lines for which ``condition`` holds to the end of another journal.

        Killed on the way, it leaves them in both; the next call then moves each only once.
        """
        if not self.path.exists():
            return
        with self._locked():
            lines = self.lines()
            moved = [line for line in lines if condition(line)]
            if not moved:
                return
            there = set(other.lines())
            other.append(*(line for line in moved if line not in there))
            gone = set(moved)
            replace(self.path, b"".join(line + b"\n" for line in lines if line not in gone))

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file, open and locked; opened anew if it was replaced while we waited."""
        while True:
            descriptor = self._open()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if os.path.samestat(os.fstat(descriptor), self.path.stat()):
                    yield descriptor
                    return
            finally:
                os.close(descriptor)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
        try:
            return os.open(self.path, flags)
        except FileNotFoundError:
            make_folder(self.path.parent)
            descriptor = os.open(self.path, flags | os.O_CREAT, 0o644)
            _sync_folder(self.path.parent)
            return descriptor


def replace(path: Path, content: bytes) -> None:
    """Replace a file as a whole, on disk; a death on the way leaves the old one."""
    draft = path.with_name(f"{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        _write(descriptor, content)
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
    finally:
        os.close(descriptor)
    draft.replace(path)
    _sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, on disk; harmless where it exists."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    _sync_folder(path.parent)


def _write(descriptor: int, content: bytes) -> None:
    """Write all of it; a write may be short without an error, and the next one then tells why."""
    rest = memoryview(content)
    while rest:
        written = os.write(descriptor, rest)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rest = rest[written:]


def _cut_torn_line(descriptor: int) -> int:
    """Cut off the start of a line that its writer died in; answer the size that is left."""
    size = os.fstat(descriptor).st_size
    if not size or os.pread(descriptor, 1, size - 1) == b"\n":
        return size
    whole = os.pread(descriptor, size, 0).rfind(b"\n") + 1
    os.ftruncate(descriptor, whole)
    return whole


def _sync_folder(path: Path) -> None:
    """Put the names in a folder on disk, where this user may."""
    with suppress(PermissionError):
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
