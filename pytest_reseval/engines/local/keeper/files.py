"""Opening and copying files inside a sandbox, done by the keeper, which stands in its root.

Paths come from the harness, the file tree from the agent: nothing here waits on a FIFO or a device,
and whatever a symlink points to is still inside the sandbox, because the old root is gone.
"""

from __future__ import annotations

import contextlib
import os
import stat

_CHUNK = 1 << 30
"""Bytes asked of one sendfile(2), which moves at most 2 GiB - 4 KiB."""


class Refused(Exception):
    """The path is not what was asked for; the message says what it is instead."""


def open_for_reading(path: str, or_directory: bool = False) -> int:
    """A descriptor of one regular file, or directory if that may be, whose path holds no symlink.

    Raises Refused for anything else and OSError when it cannot be opened.
    """
    *parents, name = _parts(path)
    directory = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        for part in parents:
            inner = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            os.close(directory)
            directory = inner
        return _open(name, directory, or_directory)
    finally:
        os.close(directory)


def _open(name: str, directory: int, or_directory: bool) -> int:
    handle = os.open(
        name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=directory
    )
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode) or (or_directory and stat.S_ISDIR(mode)):
        return handle
    os.close(handle)
    raise Refused(
        "neither a regular file nor a directory" if or_directory else "not a regular file"
    )


def _parts(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not path.startswith("/") or not parts or ".." in parts:
        raise Refused("not an absolute path without '..'")
    return parts


def open_for_writing(path: str, mode: int) -> int:
    """A descriptor of a new, empty regular file; parents are made, an old file is replaced.

    Raises Refused for a path that is not absolute, and OSError.
    """
    path = "/" + "/".join(_parts(path))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        return _create(path, mode, root)
    finally:
        os.close(root)


def _create(name: str, mode: int, directory: int) -> int:
    _remove(name, directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    handle = os.open(name, flags, 0o600, dir_fd=directory)
    os.fchmod(handle, mode)
    return handle


def _remove(name: str, directory: int) -> None:
    """Remove what stands in the way; a directory stays, and the caller then fails on it."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=directory)


def copy(source: int, target: str) -> None:
    """Copy an open host file to ``target``, or the contents of an open host directory into it.

    Modes are kept, symlinks copied as links, and everything belongs to root, as the keeper does.
    Raises Refused for a source that is neither, and OSError.
    """
    status = os.fstat(source)
    if stat.S_ISDIR(status.st_mode):
        os.makedirs(target, exist_ok=True)
        directory = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _copy_directory(source, directory)
        finally:
            os.close(directory)
    elif stat.S_ISREG(status.st_mode):
        handle = open_for_writing(target, stat.S_IMODE(status.st_mode))
        _copy_content(source, handle)
    else:
        raise Refused("the source is neither a file nor a directory")


def _copy_directory(source: int, target: int) -> None:
    for name in sorted(os.listdir(source)):
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISLNK(status.st_mode):
            _remove(name, target)
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        elif stat.S_ISREG(status.st_mode):
            _copy_file(name, source, target, mode)
        elif stat.S_ISDIR(status.st_mode):
            _copy_subdirectory(name, source, target, mode)
        else:
            raise Refused(f"the source holds {name!r}, which is no file, directory or link")


def _copy_file(name: str, source: int, target: int, mode: int) -> None:
    reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=source)
    try:
        _copy_content(reading, _create(name, mode, target))
    finally:
        os.close(reading)


def _copy_content(source: int, target: int) -> None:
    """Copy all bytes and close ``target``."""
    try:
        while os.sendfile(target, source, None, _CHUNK):
            pass
    finally:
        os.close(target)


def _copy_subdirectory(name: str, source: int, target: int, mode: int) -> None:
    _remove(name, target)
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=target)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    inner_source = os.open(name, flags, dir_fd=source)
    try:
        inner_target = os.open(name, flags, dir_fd=target)
        try:
            _copy_directory(inner_source, inner_target)
            os.fchmod(inner_target, mode)
        finally:
            os.close(inner_target)
    finally:
        os.close(inner_source)
