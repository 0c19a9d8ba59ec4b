"""Files in and out as tar archives, and what the API tells of a path."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, cast

from pytest_reseval.engines.base import SandboxFileError
from pytest_reseval.resources import MIB, format_memory

_IN_MEMORY = 8 * MIB
_DIRECTORY_MODE = 0o755
_TAR_OVERHEAD = 64 * 1024
_MEMBER_OVERHEAD = 16 * 1024
"""Bytes around one member's content: header, padding, and long names and attributes."""

# Go's io/fs.FileMode: directory, symlink, device, named pipe, socket, character device, irregular.
_GO_DIRECTORY = 1 << 31
_GO_NOT_REGULAR = _GO_DIRECTORY | 1 << 27 | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19


class Readable(Protocol):
    """A stream of bytes that may give less than it was asked for."""

    def read(self, amount: int, /) -> bytes:
        """At most ``amount`` bytes; empty at the end."""


@dataclass(frozen=True, slots=True)
class PathStat:
    """What the engine says of one path; the last part of the path is not followed."""

    size: int
    regular: bool

    @classmethod
    def from_header(cls, header: str) -> PathStat:
        """Read the ``X-Docker-Container-Path-Stat`` header: JSON in base64."""
        told = json.loads(base64.b64decode(header))
        return cls(size=told["size"], regular=not told["mode"] & _GO_NOT_REGULAR)


def pack(source: Path, name: str | None, parents: Sequence[str]) -> IO[bytes]:
    """A tar of a file as ``name``, or of the contents of a directory, below new ``parents``.

    Everything belongs to root, modes are kept, symlinks stay links; what is no file, directory or
    symlink is left out. The archive is in memory up to 8 MiB, above that in a temporary file.
    """
    archive = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
    with tarfile.open(fileobj=archive, mode="w") as tar:
        prefix = _add_directories(tar, parents)
        if name is not None:
            tar.add(source, arcname=prefix + name, recursive=False, filter=_as_root)
        else:
            for entry in sorted(source.iterdir()):
                tar.add(entry, arcname=prefix + entry.name, filter=_as_root)
    archive.seek(0)
    return archive


def pack_bytes(data: bytes, name: str, mode: int, parents: Sequence[str]) -> IO[bytes]:
    """A tar of one file that belongs to root, below new ``parents``."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo(_add_directories(tar, parents) + name)
        member.size, member.mode, member.mtime = len(data), mode, int(time.time())
        tar.addfile(member, io.BytesIO(data))
    archive.seek(0)
    return archive


def unpack_file(stream: Readable, path: str, max_bytes: int) -> bytes:
    """The content of an archive that holds exactly one regular file.

    Reads no more than ``max_bytes`` and some overhead. Raises SandboxFileError for anything else.
    """
    bounded = cast(IO[bytes], _Bounded(stream, max_bytes + _TAR_OVERHEAD))
    try:
        with tarfile.open(fileobj=bounded, mode="r|") as tar:
            member = tar.next()
            if member is None or not member.isreg():
                raise SandboxFileError(f"{path} in the sandbox is not a regular file")
            check_size(path, member.size, max_bytes)
            opened = tar.extractfile(member)
            data = b"" if opened is None else opened.read(max_bytes)
            if len(data) != member.size or tar.next() is not None:
                raise SandboxFileError(f"{path} in the sandbox changed while it was read")
    except tarfile.TarError as error:
        raise SandboxFileError(f"{path} in the sandbox cannot be read: {error}") from error
    return data


def unpack_tree(
    stream: Readable, path: str, target: Path, *, max_bytes: int, max_files: int
) -> int:
    """Unpack an archive of one file or directory as ``target``; see ``Sandbox.fetch``.

    No member is trusted: its name may not lead out of ``target``, and what is no regular file or
    directory is left out. Answers the bytes of content.
    """
    overhead = _TAR_OVERHEAD + max_files * _MEMBER_OVERHEAD
    bounded = cast(IO[bytes], _Bounded(stream, max_bytes + overhead))
    copied = 0
    try:
        with tarfile.open(fileobj=bounded, mode="r|") as tar:
            for number, member in enumerate(tar, start=1):
                if number > max_files:
                    raise SandboxFileError(f"{path} in the sandbox holds over {max_files} files")
                place = _place(member.name, path, target)
                if member.isdir():
                    place.mkdir(mode=0o700, exist_ok=True)
                elif member.isreg():
                    copied += member.size
                    check_size(path, copied, max_bytes)
                    _unpack_member(tar, member, place)
    except (tarfile.TarError, OSError, ValueError) as error:
        raise SandboxFileError(f"{path} in the sandbox cannot be copied: {error}") from error
    if not target.exists():
        raise SandboxFileError(f"{path} in the sandbox is neither a regular file nor a directory")
    return copied


def _place(name: str, path: str, target: Path) -> Path:
    """Where a member goes: below ``target``, which stands for the archive's one top entry."""
    _, *parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts:
        raise SandboxFileError(f"{path} in the sandbox: its archive leads elsewhere ({name!r})")
    return target.joinpath(*parts)


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
    content = tar.extractfile(member)
    assert content is not None
    with open(place, "xb", opener=_open_new) as file:
        shutil.copyfileobj(content, file)
    place.chmod(member.mode & 0o777)


def _open_new(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def check_size(path: str, size: int, max_bytes: int) -> None:
    """Raise SandboxFileError when a file is larger than it may be."""
    if size > max_bytes:
        raise SandboxFileError(
            f"{path} in the sandbox has {format_memory(size)}; "
            f"at most {format_memory(max_bytes)} are read"
        )


class _Bounded:
    """A stream that is refused once it has given more than ``limit`` bytes."""

    def __init__(self, stream: Readable, limit: int) -> None:
        self._stream = stream
        self._left = limit

    def read(self, amount: int) -> bytes:
        data = self._stream.read(amount)
        self._left -= len(data)
        if self._left < 0:
            raise tarfile.ReadError("its archive is larger than the file may be")
        return data


def _add_directories(tar: tarfile.TarFile, names: Sequence[str]) -> str:
    prefix = ""
    for name in names:
        prefix += name
        member = tarfile.TarInfo(prefix)
        member.type, member.mode = tarfile.DIRTYPE, _DIRECTORY_MODE
        member.mtime = int(time.time())
        tar.addfile(member)
        prefix += "/"
    return prefix


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mtime = int(member.mtime)
    return member
