"""The files of a task directory: reading them, walking them, and what may not be among them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

LARGEST_TEXT = 1024 * 1024
"""Bytes of the largest task file or instruction; real ones have a few thousand."""


class FileFault(Exception):
    """A file that a task may not have, or not so; with its path within the task and the mend."""

    def __init__(self, path: str, value: object, mend: str) -> None:
        super().__init__(path, value, mend)
        self.path = path
        self.value = value
        self.mend = mend


def read_text(file: Path) -> str:
    """The content of a regular file of at most LARGEST_TEXT bytes of UTF-8; else FileFault.

    It neither waits for a writer nor reads on when the file turns out to be a pipe or a device.
    """
    try:
        with open(file, "rb", opener=_open_at_once) as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode):
                kind = _kind(found.st_mode)
                raise FileFault(file.name, None, f"it is {kind}; make it a regular file")
            if found.st_size > LARGEST_TEXT:
                mend = f"it is larger than {LARGEST_TEXT} bytes; shorten it"
                raise FileFault(file.name, None, mend)
            content = stream.read(found.st_size)
    except FileNotFoundError:
        raise FileFault(file.name, None, "there is no such file; write it") from None
    except OSError as error:
        raise FileFault(file.name, None, f"{error.strerror}; make it a file to be read") from None
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise FileFault(
            file.name, None, f"byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from None


def walk(root: Path) -> Iterator[os.DirEntry[str]]:
    """Everything below a directory, a directory before its content, siblings in byte order.

    Links are not followed. Raises OSError when a directory cannot be read.
    """
    with os.scandir(root) as entries:
        waiting = sorted(entries, key=_order, reverse=True)
    while waiting:
        entry = waiting.pop()
        yield entry
        if entry.is_dir(follow_symlinks=False):
            with os.scandir(entry.path) as entries:
                waiting.extend(sorted(entries, key=_order, reverse=True))


def check_tree(root: Path) -> None:
    """Raise FileFault for the first link that leads out of a directory, and for special files.

    A copy of such a link would show a sandbox, or an image, a file of the host. An absolute link is
    refused wherever it leads, since it means another file once it is copied.
    """
    try:
        for entry in walk(root):
            if entry.is_symlink():
                _check_link(Path(entry.path), root)
            elif not (entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)):
                path, mode = Path(entry.path), entry.stat(follow_symlinks=False).st_mode
                raise _fault(path, root, None, f"it is {_kind(mode)}; remove it from the task")
    except OSError as error:
        mend = f"{error.strerror}; make it readable"
        raise _fault(Path(error.filename or root), root, None, mend) from None


def _check_link(link: Path, root: Path) -> None:
    target = link.readlink()
    if target.is_absolute():
        mend = "the link is absolute; make it relative, or a plain file"
        raise _fault(link, root, str(target), mend)
    try:
        inside = link.resolve(strict=True).is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # RuntimeError: a loop, before Python 3.13
        mend = "the link leads nowhere; mend or remove it"
        raise _fault(link, root, str(target), mend) from None
    if not inside:
        mend = "the link leads out of the task's directory; copy the file in instead"
        raise _fault(link, root, str(target), mend)


def _fault(path: Path, root: Path, value: object, mend: str) -> FileFault:
    return FileFault(str(path.relative_to(root)), value, mend)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _order(entry: os.DirEntry[str]) -> bytes:
    return os.fsencode(entry.name)


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if test(mode):
            return name
    return "a device"
