"""What files occupy, on a real disk: sizes are the file system's own, seen by stat."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_reseval.disk import usage
from pytest_reseval.disk.usage import Walk, measure
from pytest_reseval.resources import KIB, MIB


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory on a disk, which the temporary directory need not be."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="reseval-disk-") as name:
        yield Path(name)
        subprocess.run(["rm", "-rf", "--", name], check=True)
        Path(name).mkdir()


def fill(file: Path, size: int) -> None:
    with file.open("wb") as stream:
        stream.write(b"x" * size)
        os.fsync(stream.fileno())


def held(place: Path) -> int:
    found = measure([place])
    assert found.complete
    return found.size


def told_by_du(place: Path) -> int:
    told = subprocess.run(["du", "-sxk", place], capture_output=True, text=True, check=True)
    return int(told.stdout.split()[0]) * KIB


def test_all_of_a_tree_counts_as_du_counts_it(place: Path) -> None:
    for number in range(20):
        inner = place / f"{number % 3}" / f"{number}"
        inner.mkdir(parents=True)
        fill(inner / "file", number * 5000)
    os.mkfifo(place / "pipe")
    assert held(place) == told_by_du(place) > 20 * 19 // 2 * 5000


def test_hard_links_count_once(place: Path) -> None:
    fill(place / "file", MIB)
    before = held(place)
    (place / "inner").mkdir()
    directory = (place / "inner").stat().st_blocks * 512
    for number in range(10):
        (place / "inner" / f"{number}").hardlink_to(place / "file")
    assert held(place) == before + directory


def test_sparse_files_count_by_their_blocks(place: Path) -> None:
    before = held(place)
    with (place / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 40)
    assert held(place) - before < MIB


def test_links_are_not_followed(place: Path) -> None:
    before = held(place)
    (place / "loop").symlink_to(".")
    (place / "out").symlink_to("/usr")
    (place / "nowhere").symlink_to("missing")
    assert held(place) - before < MIB


def test_a_link_in_place_of_the_root_is_not_followed(place: Path) -> None:
    fill(place / "large", MIB)
    (place / "link").symlink_to("large")
    assert held(place / "link") < MIB


def test_names_are_any_bytes(place: Path) -> None:
    inner = os.fsencode(place) + b"/\xff\xfe\n "
    os.mkdir(inner)  # noqa: PTH102
    fill(Path(os.fsdecode(inner + b"/\x80")), MIB)
    assert held(place) >= MIB


def test_a_file_is_a_place_too(place: Path) -> None:
    fill(place / "file", MIB)
    assert held(place / "file") == (place / "file").stat().st_blocks * 512


def test_a_missing_place_is_not_complete(place: Path) -> None:
    found = measure([place / "missing"])
    assert (found.size, found.complete) == (0, False)


def test_neither_depth_nor_length_of_paths_matters(place: Path) -> None:
    here, depth = os.open(place, os.O_RDONLY), 3000
    assert depth > sys.getrecursionlimit()
    for _ in range(depth):
        os.mkdir("a directory", dir_fd=here)
        inner = os.open("a directory", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    with open("bottom", "wb", opener=lambda name, flags: os.open(name, flags, dir_fd=here)) as file:
        file.write(b"x" * MIB)
    os.close(here)
    statuses = list(Walk(place))
    assert len(statuses) == depth + 2
    assert held(place) >= MIB


def test_what_vanishes_on_the_way_is_passed_over(place: Path) -> None:
    for number in range(100):
        (place / f"{number}").mkdir()
        fill(place / f"{number}" / "file", 1)
    walk = Walk(place)
    statuses = iter(walk)
    next(statuses)
    subprocess.run(["rm", "-rf", *place.iterdir()], check=True)
    assert len(list(statuses)) < 101
    assert walk.complete


def test_a_walk_goes_on_beside_what_moved(place: Path) -> None:
    """The directory being read is moved away; its siblings are still found."""
    for top in ("first", "second", "third"):
        (place / top / "inner").mkdir(parents=True)
        fill(place / top / "inner" / "file", MIB)
    large, moved = 0, False
    for status in Walk(place):
        if status.st_blocks * 512 >= MIB:
            large += 1
        if large and not moved:
            moved = True
            open_now = [
                link.readlink()
                for link in Path("/proc/self/fd").iterdir()
                if str(os.path.realpath(link)).startswith(str(place))
            ]
            [here] = {path for path in open_now if path.name == "inner"}
            here.rename(place / "moved")
    assert moved
    assert large == 3


def test_what_may_not_be_read_makes_it_incomplete(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so the refusal is made up."""
    (place / "closed").mkdir()
    (place / "open").mkdir()
    fill(place / "open" / "file", MIB)
    really_open = os.open

    def refusing(path: str, flags: int, **rest: Any) -> int:
        if path == "closed":
            raise PermissionError(13, "Permission denied")
        return really_open(path, flags, **rest)

    monkeypatch.setattr(os, "open", refusing)
    found = measure([place])
    assert not found.complete
    assert found.size >= MIB


def test_descriptors_are_given_back(place: Path) -> None:
    (place / "inner").mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    measure([place], [os.getpid()])
    statuses = iter(Walk(place))
    next(statuses)
    del statuses
    assert len(list(Path("/proc/self/fd").iterdir())) == before


class TestDeletedFiles:
    def test_a_deleted_file_counts_while_it_is_open(self, place: Path) -> None:
        before = measure([place], [os.getpid()]).size
        with (place / "file").open("wb") as file:
            file.write(b"x" * MIB)
            file.flush()
            (place / "file").unlink()
            twice = os.dup(file.fileno())
            assert measure([place], [os.getpid()]).size >= before + MIB
            assert measure([place], [os.getpid()]).size < before + 2 * MIB
            os.close(twice)
        assert measure([place], [os.getpid()]).size < before + MIB

    def test_an_open_file_with_a_name_counts_once(self, place: Path) -> None:
        with (place / "file").open("wb") as file:
            file.write(b"x" * MIB)
            file.flush()
            assert measure([place], [os.getpid()]).size < 2 * MIB

    def test_a_deleted_file_counts_while_it_is_mapped(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Python keeps a descriptor of what it maps, so descriptors are hidden."""
        if os.geteuid() != 0:
            pytest.skip("the kernel shows mapped files to root alone")
        fill(place / "file", MIB)
        names = usage._names
        with (place / "file").open("r+b") as file, mmap.mmap(file.fileno(), MIB):
            (place / "file").unlink()
            monkeypatch.setattr(usage, "_names", lambda path: [] if "fd" in path else names(path))
            assert measure([place], [os.getpid()]).size >= MIB

    def test_files_in_memory_do_not_count(self, place: Path) -> None:
        before = measure([place], [os.getpid()]).size
        memory = os.memfd_create("memory")
        shared = mmap.mmap(-1, MIB)
        shared.write(b"x" * MIB)
        os.write(memory, b"x" * MIB)
        try:
            assert measure([place], [os.getpid()]).size < before + MIB
        finally:
            os.close(memory)
            shared.close()

    def test_deleted_files_of_a_tmpfs_do_not_count(self, place: Path) -> None:
        shm = Path("/dev/shm")
        if not os.access(shm, os.W_OK):
            pytest.skip("there is no /dev/shm to write to")
        before = measure([place], [os.getpid()]).size
        with tempfile.TemporaryFile(dir=shm) as file:
            file.write(b"x" * MIB)
            file.flush()
            assert measure([place], [os.getpid()]).size < before + MIB

    def test_a_process_that_is_gone_holds_nothing(self, place: Path) -> None:
        gone = subprocess.Popen(["true"])
        gone.wait()
        assert measure([place], [gone.pid]).complete
