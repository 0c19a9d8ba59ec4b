from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_reseval.cgroups.locate import (
    host_version,
    locate,
    open_meter,
    own_cpu_ceiling,
    own_memory_ceiling,
    read_limits,
)
from pytest_reseval.resources import GIB, KIB, MIB

Tree = Callable[[str], Path]

V1_DOCKER = "9946e9e4881ccaeb757b21eab4ce928e16b898a9960575952b4cd25dbf4ca540"
V2_PODMAN = "6d1a2c1f0c5a4a5f9c9d3d4be1b7c1a0f2d3e4b5a69788766554433221100fed"


def host(
    root: Path, mountinfo: str, cgroup: str, *directories: str, controllers: str = "memory cpu"
) -> Path:
    """A small tree with the given cgroups below /sys/fs/cgroup."""
    for path, text in (("proc/self/mountinfo", mountinfo), ("proc/7/cgroup", cgroup)):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    for directory in ("", *directories):
        place = root / "sys/fs/cgroup" / directory
        place.mkdir(parents=True, exist_ok=True)
        (place / "cgroup.procs").touch()
    (root / "sys/fs/cgroup/cgroup.controllers").write_text(controllers + "\n")
    return root


def v2_mount(origin: str) -> str:
    return (
        f"26 22 0:23 {origin} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
    )


@pytest.mark.parametrize(
    ("name", "version"), [("v1-docker", 1), ("v1-hybrid", 1), ("v2-docker", 2), ("v2-podman", 2)]
)
def test_the_host_has_the_version_that_governs_memory(tree: Tree, name: str, version: int) -> None:
    assert host_version(tree(name)) == version


def test_a_host_without_a_memory_controller_has_no_version(tmp_path: Path) -> None:
    assert host_version(tmp_path) is None
    root = host(tmp_path, v2_mount("/"), "0::/\n", controllers="cpuset cpu pids")
    assert host_version(root) is None
    assert locate(7, root) is None


def test_v1_has_a_directory_for_each_controller(tree: Tree) -> None:
    root = tree("v1-docker")
    place = locate(4242, root)
    assert place is not None
    assert place.version == 1
    assert place.directories == {
        controller: root / "sys/fs/cgroup" / controller / "docker" / V1_DOCKER
        for controller in ("memory", "cpu", "cpuacct", "pids")
    }


def test_controllers_mounted_together_share_a_directory(tree: Tree) -> None:
    root = tree("v1-hybrid")
    place = locate("self", root)
    assert place is not None
    service = root / "sys/fs/cgroup/cpu,cpuacct/system.slice/evaluation.service"
    memory = root / "sys/fs/cgroup/memory/system.slice/evaluation.service/harness"
    assert place.directories == {"memory": memory, "cpu": service, "cpuacct": service}


def test_a_name_leads_from_the_child_to_the_cgroup_that_is_limited(tree: Tree) -> None:
    root = tree("v2-podman")
    scope = root / f"sys/fs/cgroup/machine.slice/libpod-{V2_PODMAN}.scope"
    child, named = locate(4242, root), locate(4242, root, name=V2_PODMAN)
    assert child is not None
    assert named is not None
    assert child.directories["memory"] == scope / "container"
    assert set(named.directories.values()) == {scope}


def test_a_process_outside_of_the_named_cgroup_is_not_found(tree: Tree) -> None:
    assert locate("self", tree("v2-podman"), name=V2_PODMAN) is None
    assert open_meter("self", tree("v1-hybrid"), name=V2_PODMAN) is None
    assert read_limits("self", tree("v1-docker"), name=V2_PODMAN) is None


def test_a_process_that_is_gone_is_not_found(tree: Tree) -> None:
    for name in ("v1-docker", "v2-docker"):
        root = tree(name)
        assert locate(4243, root) is None
        assert open_meter(4243, root) is None
        assert read_limits(4243, root) is None


def test_a_cgroup_that_is_removed_is_not_found(tmp_path: Path) -> None:
    root = host(tmp_path, v2_mount("/"), "0::/job (deleted)\n", "job")
    assert locate(7, root) is None


@pytest.mark.parametrize(
    ("origin", "path", "directory"),
    [
        ("/", "/", ""),
        ("/", "/job", "job"),
        ("/docker/abc", "/docker/abc", ""),
        ("/docker/abc", "/docker/abc/job", "job"),
        ("/docker/abc", "/docker/abcdef/job", None),
        ("/docker/abc", "/docker/other", None),
        ("/..", "/../job", "job"),
        ("/../..", "/../../other/job", "other/job"),
        ("/", "/../job", None),
        ("/..", "/../../job", None),
        ("/..", "/job", None),
    ],
)
def test_paths_are_seen_through_the_cgroup_namespace(
    tmp_path: Path, origin: str, path: str, directory: str | None
) -> None:
    root = host(tmp_path, v2_mount(origin), f"0::{path}\n", "job", "other", "other/job")
    place = locate(7, root)
    seen = None if place is None else place.directories["memory"]
    assert seen == (None if directory is None else root / "sys/fs/cgroup" / directory)


def test_a_hierarchy_mounted_twice_is_found_where_it_shows_the_process(tmp_path: Path) -> None:
    elsewhere = v2_mount("/docker/abc").replace("/sys/fs/cgroup", "/mnt")
    root = host(tmp_path, elsewhere + v2_mount("/"), "0::/job\n", "job")
    place = locate(7, root)
    assert place is not None
    assert place.directories["memory"] == root / "sys/fs/cgroup/job"


def test_a_mount_point_with_a_space(tmp_path: Path) -> None:
    mount = "26 22 0:23 / /sys/fs/cgroup/a\\040b rw - cgroup cgroup rw,memory\n"
    root = host(tmp_path, mount, "4:memory:/job\n", "a b", "a b/job")
    place = locate(7, root)
    assert place is not None
    assert place.directories == {"memory": root / "sys/fs/cgroup/a b/job"}


@pytest.mark.parametrize(
    "text", ["", "\n", "nonsense\n", "0:/x\n", "::\n", "a:memory:/\n", "0::\n\n:::\n"]
)
def test_a_malformed_membership_is_no_error(tmp_path: Path, text: str) -> None:
    root = host(tmp_path, "junk\n26 22 - cgroup2\n" + v2_mount("/"), text)
    place = locate(7, root)
    assert place is None or place.directories["memory"] == root / "sys/fs/cgroup"


def test_no_meter_without_memory_figures(tree: Tree) -> None:
    root = tree("v2-docker")
    assert read_limits("self", root) is not None
    assert open_meter("self", root) is None


def test_own_memory_ceiling_on_v1_is_the_kernels_own_smallest(tree: Tree) -> None:
    assert own_memory_ceiling(tree("v1-hybrid")) == 2 * GIB


def test_own_memory_ceiling_on_v2_is_the_smallest_on_the_way_up(tree: Tree) -> None:
    assert own_memory_ceiling(tree("v2-podman")) == 4 * GIB


def test_own_memory_ceiling_without_any_limit_is_the_machine(tree: Tree) -> None:
    assert own_memory_ceiling(tree("v1-docker")) == 24684084 * KIB
    assert own_memory_ceiling(tree("v2-docker")) == 8123456 * KIB


def test_a_limit_above_the_machine_does_not_raise_the_ceiling(tree: Tree) -> None:
    root = tree("v2-podman")
    (root / "proc/meminfo").write_text("MemTotal:  524288 kB\n")
    assert own_memory_ceiling(root) == 512 * MIB


def test_no_meminfo_is_an_error_that_names_the_file(tree: Tree) -> None:
    root = tree("v2-docker")
    (root / "proc/meminfo").write_text("")
    with pytest.raises(ValueError, match="meminfo"):
        own_memory_ceiling(root)


@pytest.mark.parametrize(
    ("name", "quota"), [("v1-docker", None), ("v1-hybrid", 1.5), ("v2-docker", None)]
)
def test_own_cpu_ceiling(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, name: str, quota: float | None
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    assert own_cpu_ceiling(tree(name)) == (4.0 if quota is None else quota)


def test_own_cpu_ceiling_on_v2_is_the_smallest_on_the_way_up(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree("v2-podman")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    assert own_cpu_ceiling(root) == 1.5
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert own_cpu_ceiling(root) == 1.0


def test_the_ceilings_of_this_machine_are_sane() -> None:
    assert 64 * MIB < own_memory_ceiling() < 1024 * 1024 * GIB
    assert 0 < own_cpu_ceiling() <= len(os.sched_getaffinity(0))
