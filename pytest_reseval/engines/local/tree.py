"""Copying a tree that an agent may still be changing out of its sandbox, by open descriptors.

No path is ever resolved as a whole: each name is opened in its open directory, without following
links, so that nothing in the tree can lead the owner, who stands in the host's root, elsewhere.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_CHUNK = 1 << 20
_DEEPEST = 128
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class TooMuch(Exception):
    """The tree is beyond a bound; the message goes on from its path."""


def copy_out(source: int, target: Path, *, max_bytes: int, max_files: int) -> int:
    """Copy an open regular file, or an open directory and what it holds, to ``target``.

    What is neither is left out. Answers the bytes copied; raises TooMuch and OSError.
    """
    copy = _Copy(max_bytes, max_files)
    copy.entry(source, target)
    return copy.copied


class _Copy:
    def __init__(self, max_bytes: int, max_files: int) -> None:
        self.copied = 0
        self._max_bytes = max_bytes
        self._left = max_files
        self._max_files = max_files

    def directory(self, source: int, target: Path, depth: int = 0) -> None:
        if depth > _DEEPEST:
            raise TooMuch(f"is nested deeper than {_DEEPEST} directories")
        target.mkdir(mode=0o700)
        for name in os.listdir(source):
            self._left -= 1
            if self._left < 0:
                raise TooMuch(f"holds over {self._max_files} files")
            mode = os.stat(name, dir_fd=source, follow_symlinks=False).st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                continue
            handle = os.open(name, _FLAGS, dir_fd=source)
            try:
                self.entry(handle, target / name, depth + 1)
            finally:
                os.close(handle)

    def entry(self, source: int, target: Path, depth: int = 0) -> None:
        """Copy what a descriptor is of, whatever its name led to when it was looked at."""
        mode = os.fstat(source).st_mode
        if stat.S_ISDIR(mode):
            self.directory(source, target, depth)
        elif stat.S_ISREG(mode):
            self.file(source, target)

    def file(self, source: int, target: Path) -> None:
        """Copy what can be read of an open file, however it grows meanwhile."""
        with target.open("xb") as file:
            while data := os.read(source, _CHUNK):
                self.copied += len(data)
                if self.copied > self._max_bytes:
                    raise TooMuch(f"holds over {self._max_bytes} bytes")
                file.write(data)
        target.chmod(os.fstat(source).st_mode & 0o777)
