from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_reseval.engines.local.rootfs import FRESH, Step, filesystem, mountpoints, plan

MOUNTINFO = """\
25 1 254:0 / / rw,relatime - ext4 /dev/vda rw
26 25 0:23 / /proc rw - proc proc rw
30 25 254:16 / /mnt/with\\040space rw shared:1 master:2 - xfs /dev/vdb rw
31 25 0:40 / /var/tmp rw - tmpfs tmpfs rw
32 25 254:32 / /var/tmp rw - ext4 /dev/vdc rw
"""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    host = tmp_path / "host"
    for directory in ("usr/bin", "etc", "var/lib/docker", "var/log", "tmp", "run/resolve", "proc",
                      "home", "data", "dev", "sys"):  # fmt: skip
        (host / directory).mkdir(parents=True)
    (host / "bin").symlink_to("usr/bin")
    (host / "swapfile").write_text("")
    (host / "var" / "file").write_text("")
    (host / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
    (host / "run" / "resolve" / "stub.conf").write_text("nameserver 127.0.0.53\n")
    (host / "etc" / "resolv.conf").symlink_to(host / "run" / "resolve" / "stub.conf")
    return host


def steps_of(host: Path, mounts: set[str], *, privileged: bool) -> list[Step]:
    private = host.parent / "state" / "one"
    return plan(private, mounts, privileged=privileged, host=host)


def paths(steps: list[Step], action: str) -> list[str]:
    return [step[1] for step in steps if step[0] == action]


def test_in_a_user_namespace_every_directory_is_an_overlay_with_a_layer_of_its_own(
    host: Path,
) -> None:
    steps = steps_of(host, set(), privileged=False)
    overlays = [step for step in steps if step[0] == "overlay"]
    assert [step[1] for step in overlays] == ["/data", "/etc", "/home", "/usr", "/var"]
    assert len({step[3] for step in overlays}) == len(overlays)
    assert all(step[3].startswith(str(host.parent / "state" / "one")) for step in overlays)
    assert ("symlink", "/bin", "usr/bin") in steps


def test_in_a_user_namespace_where_programs_are_installed_can_be_written(host: Path) -> None:
    (host / "usr" / "local" / "bin").mkdir(parents=True)
    (host / "var" / "tmp").mkdir()
    overlays = paths(steps_of(host, set(), privileged=False), "overlay")
    assert overlays.index("/usr") < overlays.index("/usr/local/bin")
    assert overlays.index("/var") < overlays.index("/var/tmp")
    assert paths(steps_of(host, set(), privileged=True), "overlay") == ["/"]


def test_for_root_one_overlay_has_the_whole_host_below(host: Path) -> None:
    steps = steps_of(host, {"/", "/var/lib/docker"}, privileged=True)
    (overlay,) = [step for step in steps if step[0] == "overlay"]
    assert overlay[1:3] == ("/", str(host))
    assert overlay[3].startswith(str(host.parent / "state" / "one"))
    assert "userxattr" not in overlay[4]


@pytest.mark.parametrize("privileged", [True, False])
def test_state_of_the_running_host_starts_empty(host: Path, privileged: bool) -> None:
    steps = steps_of(host, set(), privileged=privileged)
    for path, mode in FRESH.items():
        (step,) = [step for step in steps if step[0] in ("hidden", "directory") and step[1] == path]
        assert step[-1] == f"{mode:o}"
    assert not {*FRESH, "/proc", "/sys", "/dev"} & set(paths(steps, "overlay"))
    assert "/sys" in paths(steps, "empty")
    assert "/proc" in paths(steps, "proc")


def test_what_other_sandboxes_write_is_hidden(host: Path) -> None:
    steps = plan(Path("/var/state/one"), set(), privileged=True, host=host)
    assert "/var/state" in paths(steps, "covered")
    steps = plan(Path("/tmp/state/one"), set(), privileged=True, host=host)
    assert "/tmp/state" not in paths(steps, "covered")


@pytest.mark.parametrize("privileged", [True, False])
def test_other_disks_start_empty_but_not_parts_of_the_system(host: Path, privileged: bool) -> None:
    steps = steps_of(host, {"/data", "/home"}, privileged=privileged)
    assert "/data" in paths(steps, "hidden" if privileged else "directory")
    assert "/data" not in paths(steps, "overlay")
    assert "/home" in paths(steps, "overlay")


def test_a_user_namespace_splits_directories_with_mounts_below(host: Path) -> None:
    steps = steps_of(host, {"/var/lib/docker"}, privileged=False)
    assert {"/var", "/var/lib", "/var/lib/docker"} <= set(paths(steps, "directory"))
    assert "/var/log" in paths(steps, "overlay")
    assert "/var" not in paths(steps, "overlay")
    assert ("bind-read-only", "/var/file", str(host / "var" / "file")) in steps
    assert all("userxattr" in step[4] for step in steps if step[0] == "overlay")


def test_what_is_hidden_lies_in_the_layer_of_a_later_overlay(host: Path) -> None:
    steps = steps_of(host, {"/data"}, privileged=True)
    (overlay,) = (number for number, step in enumerate(steps) if step[0] == "overlay")
    hidden = {number: step for number, step in enumerate(steps) if step[0] == "hidden"}
    assert all(number < overlay for number in hidden)
    assert all(step[2] == f"{steps[overlay][3]}/upper{step[1]}" for step in hidden.values())


def test_a_closed_directory_is_left_empty(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != host / "home")
    steps = steps_of(host, set(), privileged=False)
    assert ("directory", "/home", "700") in steps
    assert "/home" not in paths(steps, "overlay")


def test_names_that_lie_in_a_fresh_directory_are_written_there(host: Path) -> None:
    steps = steps_of(host, set(), privileged=True)
    assert ("file", "/run/resolve/stub.conf", "nameserver 127.0.0.53\n") in steps
    assert "/etc/hosts" not in paths(steps, "bind-read-only")


def test_names_that_are_mounts_are_bound(host: Path) -> None:
    steps = steps_of(host, {"/etc/hosts"}, privileged=True)
    assert ("bind-read-only", "/etc/hosts", str(host / "etc" / "hosts")) in steps


def test_mountinfo() -> None:
    found = mountpoints(MOUNTINFO)
    assert found["/mnt/with space"] == "xfs"
    assert found["/var/tmp"] == "ext4"
    assert filesystem(Path("/var/tmp/a/b"), found) == "ext4"
    assert filesystem(Path("/usr/lib"), found) == "ext4"
    assert filesystem(Path("/proc/1"), found) == "proc"
    assert filesystem(Path("/anything"), {}) is None
