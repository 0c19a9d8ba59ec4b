"""What is written to cgroups, on directories that stand for the kernel's.

A directory in place of a cgroup keeps what is written and cannot say what a kernel would refuse;
the local engine's tests use real cgroups of this kernel's version.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_reseval.cgroups import control
from pytest_reseval.cgroups.control import (
    CONTROLLERS,
    LEAF,
    Cgroup,
    CgroupError,
    Home,
    find_home,
    settings,
)
from pytest_reseval.resources import GIB, MIB, Resources

RESOURCES = Resources(512 * MIB, 1024 * MIB, 1.5, 2.5, pids_limit=100, storage_limit=GIB)
UNCAPPED = Resources(512 * MIB, None, 1.0, None, pids_limit=100, storage_limit=GIB)

V1 = Path("sys/fs/cgroup")
V2 = Path("sys/fs/cgroup")


def test_settings_of_v1() -> None:
    assert list(settings(1, RESOURCES)) == [
        ("memory", "memory.limit_in_bytes", "1073741824"),
        ("memory", "memory.memsw.limit_in_bytes", "1073741824"),
        ("memory", "memory.soft_limit_in_bytes", "536870912"),
        ("cpu", "cpu.shares", "1536"),
        ("cpu", "cpu.cfs_period_us", "100000"),
        ("cpu", "cpu.cfs_quota_us", "250000"),
        ("pids", "pids.max", "100"),
    ]


def test_settings_of_v2() -> None:
    assert list(settings(2, RESOURCES)) == [
        ("memory", "memory.max", "1073741824"),
        ("memory", "memory.swap.max", "0"),
        ("memory", "memory.low", "536870912"),
        ("cpu", "cpu.weight", "59"),
        ("cpu", "cpu.max", "250000 100000"),
        ("pids", "pids.max", "100"),
    ]


def test_settings_without_limits() -> None:
    v1 = {file: value for _, file, value in settings(1, UNCAPPED)}
    assert "memory.limit_in_bytes" not in v1
    assert "memory.memsw.limit_in_bytes" not in v1
    assert v1["cpu.cfs_quota_us"] == "-1"
    v2 = {file: value for _, file, value in settings(2, UNCAPPED)}
    assert v2["memory.max"] == v2["memory.swap.max"] == "max"
    assert v2["cpu.max"] == "max 100000"
    assert v2["cpu.weight"] == "39"


def test_tiny_shares_and_quotas_stay_what_the_kernel_takes() -> None:
    tiny = Resources(64 * MIB, None, 0.001, 0.001, pids_limit=1, storage_limit=GIB)
    assert ("cpu", "cpu.shares", "2") in list(settings(1, tiny))
    assert ("cpu", "cpu.cfs_quota_us", "1000") in list(settings(1, tiny))
    assert ("cpu", "cpu.weight", "1") in list(settings(2, tiny))


def v1_host(
    root: Path, *, controllers: tuple[str, ...] = ("memory", "cpu,cpuacct", "pids")
) -> None:
    """Each controller in a hierarchy, and this process in /own of each."""
    (root / "proc" / "self").mkdir(parents=True)
    mountinfo, membership = "", ""
    for number, controller in enumerate(controllers):
        own = root / V1 / controller / "own"
        own.mkdir(parents=True)
        (own / "cgroup.procs").touch()
        mountinfo += (
            f"{number} 1 0:{number} / /{V1}/{controller} rw - cgroup cgroup rw,{controller}\n"
        )
        membership += f"{number}:{controller}:/own\n"
    (root / "proc" / "self" / "mountinfo").write_text(mountinfo)
    (root / "proc" / "self" / "cgroup").write_text(membership)


def v2_host(root: Path, own: str) -> None:
    """A hierarchy whose nodes have all controllers, and this process in ``own``."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "mountinfo").write_text(f"1 1 0:1 / /{V2} rw - cgroup2 cgroup2 rw\n")
    (root / "proc" / "self" / "cgroup").write_text(f"0::{own}\n")
    place = root / V2
    for part in ("", *own.strip("/").split("/")):
        place = place / part
        v2_node(place, is_root=part == "")
    (place / "cgroup.procs").write_text(f"{os.getpid()}\n")


def v2_node(place: Path, *, is_root: bool = False) -> None:
    place.mkdir(parents=True, exist_ok=True)
    (place / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (place / "cgroup.subtree_control").write_text("memory pids\n")
    (place / "cgroup.procs").touch()
    if not is_root:
        (place / "cgroup.type").write_text("domain\n")
        (place / "memory.max").write_text("max\n")
        (place / "cpu.max").write_text("max 100000\n")


def test_on_v1_sandboxes_live_below_our_own_cgroups(tmp_path: Path) -> None:
    v1_host(tmp_path)
    home = find_home(tmp_path)
    assert home.version == 1
    assert home.directories["memory"] == tmp_path / V1 / "memory" / "own"
    assert home.directories["cpu"] == home.directories["cpuacct"]
    assert len(Cgroup(home, "box").directories) == 3


def test_on_v1_a_missing_controller_is_named(tmp_path: Path) -> None:
    v1_host(tmp_path, controllers=("memory", "cpu,cpuacct"))
    with pytest.raises(CgroupError, match="pids"):
        find_home(tmp_path)


def test_without_any_controller(tmp_path: Path) -> None:
    with pytest.raises(CgroupError, match="no memory controller"):
        find_home(tmp_path)


def test_on_v2_the_nearest_ancestor_without_processes(tmp_path: Path) -> None:
    v2_host(tmp_path, "/user.slice/session.scope")
    home = find_home(tmp_path)
    assert home.version == 2
    assert home.directories == dict.fromkeys(CONTROLLERS, tmp_path / V2 / "user.slice")
    enabled = tmp_path / V2 / "user.slice" / "cgroup.subtree_control"
    assert enabled.read_text() == "+cpu"


def test_on_v2_an_ancestor_that_lacks_a_controller_is_passed_over(tmp_path: Path) -> None:
    v2_host(tmp_path, "/user.slice/session.scope")
    (tmp_path / V2 / "user.slice" / "cgroup.controllers").write_text("memory pids\n")
    assert find_home(tmp_path).directories["memory"] == tmp_path / V2


def test_on_v2_only_the_root_may_hold_processes_and_cgroups(tmp_path: Path) -> None:
    v2_host(tmp_path, "/a/b")
    (tmp_path / V2 / "a" / "cgroup.procs").write_text("1\n")
    (tmp_path / V2 / "cgroup.procs").write_text("1\n")
    assert find_home(tmp_path).directories["memory"] == tmp_path / V2


@pytest.mark.parametrize(("file", "limit"), [("memory.max", "1073741824"), ("cpu.max", "1 2")])
def test_on_v2_our_own_limits_hold_for_sandboxes_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, limit: str
) -> None:
    v2_host(tmp_path, "/service")
    own = tmp_path / V2 / "service"
    (own / file).write_text(f"{limit}\n")
    present = [[4711, 4712], [4713], []]  # one was started while the others were moved
    monkeypatch.setattr(control, "_processes", lambda place: present.pop(0))
    moved: list[tuple[Path, str]] = []
    write_text = Path.write_text

    def note(path: Path, text: str) -> int:
        if path.name == "cgroup.procs":
            moved.append((path, text))
        return write_text(path, text)

    monkeypatch.setattr(Path, "write_text", note)
    assert find_home(tmp_path).directories["memory"] == own
    assert moved == [(own / LEAF / "cgroup.procs", pid) for pid in ("4711", "4712", "4713")]


@pytest.fixture
def v2_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A parent whose new cgroups come with files, as the kernel's do."""
    mkdir = Path.mkdir

    def mkdir_with_files(path: Path) -> None:
        mkdir(path)
        for _, file, _ in settings(2, RESOURCES):
            (path / file).touch()

    monkeypatch.setattr(Path, "mkdir", mkdir_with_files)
    return Home(2, dict.fromkeys(CONTROLLERS, tmp_path))


def test_creating_writes_everything(v2_home: Home, tmp_path: Path) -> None:
    cgroup = Cgroup(v2_home, "box")
    cgroup.create(RESOURCES)
    for _, file, value in settings(2, RESOURCES):
        assert (tmp_path / "box" / file).read_text() == value
    assert cgroup.procs_files == [tmp_path / "box" / "cgroup.procs"]
    limits = cgroup.limits()
    assert limits.memory_limit == limits.memory_swap_limit == RESOURCES.memory_limit
    assert limits.memory_reservation == RESOURCES.memory_guarantee
    assert limits.cpu_limit == RESOURCES.cpu_limit
    assert limits.pids_limit == RESOURCES.pids_limit


def test_a_name_that_is_taken_is_told(tmp_path: Path, v2_home: Home) -> None:
    (tmp_path / "box").touch()
    with pytest.raises(CgroupError, match=r"File exists.*box"):
        Cgroup(v2_home, "box").create(RESOURCES)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
class TestRealCgroup:
    def test_a_refused_value_leaves_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cgroup = Cgroup(find_home(), f"pytest-reseval-test-{os.getpid()}")
        refused = [("pids", "pids.max", "many")]
        monkeypatch.setattr(control, "settings", lambda version, resources: refused)
        with pytest.raises(CgroupError, match=r"pids\.max does not take 'many'"):
            cgroup.create(RESOURCES)
        assert not any(directory.exists() for directory in cgroup.directories)

    def test_removing_kills_what_is_in_it(self) -> None:
        import subprocess

        cgroup = Cgroup(find_home(), f"pytest-reseval-test-{os.getpid()}")
        cgroup.create(RESOURCES)
        try:
            with subprocess.Popen(["sleep", "600"]) as process:
                cgroup.attach(process.pid)
                assert cgroup.limits().memory_limit == RESOURCES.memory_limit
                cgroup.remove()
                assert process.wait(30) == -9
        finally:
            cgroup.remove()
        assert not any(directory.exists() for directory in cgroup.directories)
