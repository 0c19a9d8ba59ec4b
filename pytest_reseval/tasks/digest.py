"""SHA-256 over files and directories: names, executable bits, contents, nothing else."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from pytest_reseval.tasks.tree import walk

_KINDS = ((stat.S_ISREG, b"f"), (stat.S_ISDIR, b"d"), (stat.S_ISLNK, b"l"))


def tree_digest(path: Path) -> str:
    """The digest, in hex, of one file or of a directory with all below it.

    The name of ``path`` itself does not count, so a copy elsewhere has the same digest. Links count
    by their target's text. Raises OSError when something cannot be read or is a special file.
    """
    total = hashlib.sha256(_entry_digest(path))
    if stat.S_ISDIR(path.lstat().st_mode):
        for entry in walk(path):
            name = os.fsencode(os.path.relpath(entry.path, path))
            total.update(len(name).to_bytes(8, "big"))
            total.update(name)
            total.update(_entry_digest(Path(entry.path)))
    return total.hexdigest()


def combined_digest(parts: Iterable[tuple[str, str]]) -> str:
    """One digest, in hex, of names and their digests; the order counts."""
    total = hashlib.sha256()
    for name, digest in parts:
        encoded = os.fsencode(name)
        total.update(len(encoded).to_bytes(8, "big"))
        total.update(encoded)
        total.update(bytes.fromhex(digest))
    return total.hexdigest()


def _entry_digest(path: Path) -> bytes:
    """34 bytes: kind, executable or not, and the SHA-256 of a file's content or a link's target."""
    mode = path.lstat().st_mode
    kind = next((letter for test, letter in _KINDS if test(mode)), None)
    if kind is None:
        raise OSError(errno.EINVAL, "not a regular file, directory or link", str(path))
    executable = kind == b"f" and bool(mode & stat.S_IXUSR)
    if kind == b"f":
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").digest()
    else:
        content = hashlib.sha256(os.fsencode(path.readlink()) if kind == b"l" else b"").digest()
    return kind + (b"x" if executable else b"-") + content
