"""Directories of sandboxes on disk, named after their owner so that orphans can be told.

The name is boot id, pid namespace, pid and start time of the owner, and a random part: made in one
step by mkdir, and enough to know whether the owner lives.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from pytest_reseval.engines.local.rootfs import filesystem

_CGROUPS = "cgroups.json"
_LABELS = "labels.json"
_PROC = Path("/proc")


class StateError(Exception):
    """The directory for sandboxes cannot be used; the message says why and what would help."""


_UNFIT = frozenset({"tmpfs", "ramfs", "overlay"})
"""File systems that are memory, or that the kernel does not take as an upper layer."""


def choose_directory(mounts: dict[str, str]) -> Path:
    """Where sandboxes of this user live: on disk, and kept over a reboot to be swept then.

    ``mounts`` is the answer of ``rootfs.mountpoints``. Raises StateError when no place will do.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    candidates = [Path("/var/tmp") / f"pytest-reseval-{os.geteuid()}", cache / "pytest-reseval"]
    for candidate in candidates:
        if filesystem(candidate, mounts) not in _UNFIT:
            return candidate
    raise StateError(
        f"{' and '.join(map(str, candidates))} lie on tmpfs or an overlay, which cannot hold what "
        "sandboxes write; let XDG_CACHE_HOME name a directory on a disk"
    )


def prepare_directory(directory: Path) -> None:
    """Make ``directory`` for this user alone. Raises StateError when it belongs to another."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    if directory.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise StateError(
            f"{directory} must be a directory that belongs to uid {os.geteuid()} with mode 0700; "
            "remove it or change its owner"
        )


def new_private_directory(directory: Path) -> Path:
    """Make and answer the directory of one new sandbox that this process owns."""
    private = directory / f"{_owner(os.getpid())}-{secrets.token_hex(4)}"
    private.mkdir(mode=0o700)
    return private


def record_cgroups(private: Path, directories: Iterable[Path]) -> None:
    """Note, before they are made, the cgroup directories that go with a sandbox."""
    (private / _CGROUPS).write_text(json.dumps([str(path) for path in directories]))


def record_labels(private: Path, labels: Mapping[str, str]) -> None:
    """Note whose the sandbox is, for people."""
    (private / _LABELS).write_text(json.dumps(dict(labels)))


def recorded_labels(private: Path) -> dict[str, str]:
    """What ``record_labels`` noted; nothing if the owner did not get that far."""
    try:
        labels: dict[str, str] = json.loads((private / _LABELS).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return labels


def remove(private: Path) -> None:
    """Remove a private directory, whatever depth and modes the sandbox left in it.

    Raises OSError when something remains.
    """
    # shutil.rmtree recurses, and so would fail on directories that are nested deep enough.
    for command in (("rm", "-rf"), ("chmod", "-R", "u+rwX"), ("rm", "-rf")):
        subprocess.run([*command, "--", private], stderr=subprocess.DEVNULL, check=False)
        if not private.exists():
            return
    raise OSError(f"{private} could not be removed")


def orphans(directory: Path) -> list[Path]:
    """Private directories whose owner is dead.

    Owners in another pid namespace of this boot cannot be judged and count as living.
    """
    return [entry for entry in sorted(directory.iterdir()) if is_orphan(entry.name)]


def recorded_cgroups(private: Path) -> list[Path]:
    """What ``record_cgroups`` noted; nothing if the owner did not get that far."""
    try:
        return [Path(path) for path in json.loads((private / _CGROUPS).read_text())]
    except (FileNotFoundError, json.JSONDecodeError):
        return []


def _owner(pid: int) -> str:
    return f"{_boot()}-{_pid_namespace()}-{pid}-{_start_time(pid)}"


def owner_pid(name: str) -> str:
    """The owner's process number in the name of a private directory."""
    return name.split("-")[2]


def is_orphan(name: str) -> bool:
    """Whether the owner in the name of a private directory is dead."""
    try:
        boot, namespace, pid, start, _ = name.split("-")
    except ValueError:
        return False
    if boot != _boot():
        return True
    return namespace == str(_pid_namespace()) and start != str(_start_time(int(pid)))


def _boot() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text()[:8]


def _pid_namespace() -> int:
    return (_PROC / "self/ns/pid").stat().st_ino


def _start_time(pid: int) -> int | None:
    """Field 22 of proc_pid_stat(5), clock ticks since boot; None for a dead process."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = text.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])
