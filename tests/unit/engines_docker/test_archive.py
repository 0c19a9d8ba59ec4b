"""Archives into the sandbox, and archives out of it, which may hold anything."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import tarfile
from pathlib import Path

import pytest

from pytest_reseval.engines.base import SandboxFileError
from pytest_reseval.engines.docker import archive


def _tar(*members: tuple[str, bytes, bytes]) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, kind, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(data), "elsewhere"
            tar.addfile(info, io.BytesIO(data))
    packed.seek(0)
    return packed


def test_one_regular_file_is_read() -> None:
    packed = _tar(("reward.txt", tarfile.REGTYPE, b"1"))
    assert archive.unpack_file(packed, "/reward.txt", 1) == b"1"


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_anything_else_is_refused(kind: bytes) -> None:
    with pytest.raises(SandboxFileError):
        archive.unpack_file(_tar(("x", kind, b"")), "/x", 100)


def test_two_files_are_refused() -> None:
    two = _tar(("a", tarfile.REGTYPE, b"1"), ("b", tarfile.REGTYPE, b"2"))
    with pytest.raises(SandboxFileError):
        archive.unpack_file(two, "/a", 100)


def test_more_than_the_bound_is_refused() -> None:
    with pytest.raises(SandboxFileError, match="at most"):
        archive.unpack_file(_tar(("x", tarfile.REGTYPE, b"12")), "/x", 1)


@pytest.mark.parametrize("cut", [0, 100, 512, 600])
def test_a_broken_archive_is_refused(cut: int) -> None:
    whole = _tar(("x", tarfile.REGTYPE, b"1" * 400)).getvalue()
    with pytest.raises(SandboxFileError):
        archive.unpack_file(io.BytesIO(whole[:cut]), "/x", 1000)


def test_an_endless_archive_is_not_read_to_its_end() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, amount: int = -1) -> bytes:
            self.given += amount
            return b"\1" * amount

    endless = Endless()
    with pytest.raises(SandboxFileError):
        archive.unpack_file(endless, "/x", 10)
    assert endless.given < 1 << 20


@pytest.mark.parametrize(
    ("mode", "regular"),
    [
        (0o644, True),
        (0o4755 | 1 << 23, True),
        (1 << 31 | 0o755, False),
        (1 << 27 | 0o777, False),
        (1 << 25 | 0o644, False),
        (1 << 26 | 1 << 21, False),
        (1 << 24, False),
    ],
)
def test_what_the_engine_tells_of_a_path(mode: int, regular: bool) -> None:
    told = {"name": "x", "size": 12, "mode": mode, "mtime": "", "linkTarget": ""}
    header = base64.b64encode(json.dumps(told).encode()).decode()
    assert archive.PathStat.from_header(header) == archive.PathStat(12, regular)


def test_a_directory_is_packed_for_root_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    (tmp_path / "file").chmod(0o700)
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "sub" / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        packed = archive.pack(tmp_path, None, ["new", "place"])
    with packed, tarfile.open(fileobj=packed) as tar:
        members = {member.name: member for member in tar.getmembers()}
    assert list(members) == [
        "new",
        "new/place",
        "new/place/file",
        "new/place/link",
        "new/place/sub",
    ]
    assert members["new/place/link"].issym()
    assert members["new/place/file"].mode == 0o700
    assert all((member.uid, member.gid) == (0, 0) for member in members.values())
