"""What is concluded from the engine's description of itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from pytest_reseval.engines.docker.engine import can_bound_storage, engine_info

TOLD: dict[str, Any] = {
    "Driver": "overlay2",
    "DockerRootDir": "/var/lib/docker",
    "CgroupVersion": "2",
    "MemTotal": 8 << 30,
    "NCPU": 4,
    "MemoryLimit": True,
    "SecurityOptions": ["name=seccomp,profile=default"],
}
VERSION = {"Version": "27.0", "ApiVersion": "1.46", "Components": [{"Name": "Engine"}]}


class Mounted(NamedTuple):
    """A mounted file system."""

    mountpoint: str
    fstype: str
    opts: str


ROOT = Mounted("/", "ext4", "rw")


@pytest.mark.parametrize(
    ("driver", "mounts", "bounded"),
    [
        ("btrfs", [ROOT], True),
        ("zfs", [ROOT], True),
        ("vfs", [ROOT], False),
        ("overlay2", [ROOT], False),
        ("overlay2", [ROOT, Mounted("/var/lib", "xfs", "rw,prjquota")], True),
        ("overlay2", [ROOT, Mounted("/var/lib/docker", "xfs", "rw,noquota")], False),
        ("overlay2", [ROOT, Mounted("/var/lib/dock", "xfs", "rw,pquota")], False),
        ("overlay2", [Mounted("/", "xfs", "rw,pquota"), Mounted("/var", "ext4", "rw")], False),
        ("overlay2", [], False),
    ],
)
def test_where_disk_use_is_bounded(driver: str, mounts: list[Mounted], bounded: bool) -> None:
    assert can_bound_storage(TOLD | {"Driver": driver}, mounts) is bounded


def test_figures() -> None:
    info = engine_info(TOLD, VERSION, bounds_storage=True)
    assert (info.memory, info.cores, info.cgroup_version) == (8 << 30, 4.0, 2)
    assert info.version == "Engine 27.0 (API 1.46)"
    assert info.notes == ()


def test_what_a_reader_must_know() -> None:
    told = TOLD | {"MemoryLimit": False, "PidsLimit": False, "SecurityOptions": ["name=rootless"]}
    notes = " ".join(engine_info(told, VERSION, bounds_storage=False).notes)
    assert "memory limits, pids limits" in notes
    assert "overlay2" in notes
    assert "rootless" in notes


def test_what_podman_denies_and_does() -> None:
    """Podman 5.4 on v2: all of these are enforced, as the kernel's files say."""
    told = TOLD | {"SwapLimit": False, "CpuCfsQuota": False, "CPUShares": False}
    podman = VERSION | {"Components": [{"Name": "Podman Engine"}]}
    assert engine_info(told, podman, bounds_storage=True).notes == ()
    assert len(engine_info(told, VERSION, bounds_storage=True).notes) == 1


def test_a_short_description_is_enough() -> None:
    told = {key: TOLD[key] for key in ("Driver", "MemTotal", "NCPU")}
    version = {"Version": "5.4", "ApiVersion": "1.41"}
    assert engine_info(told, version, bounds_storage=True).cgroup_version is None
