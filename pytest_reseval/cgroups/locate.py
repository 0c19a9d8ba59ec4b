"""Finding the cgroup of a process, and how much of this machine our own cgroup leaves to us.

Formats: cgroups(7) for ``/proc/PID/cgroup``, proc(5) for ``mountinfo``. ``root`` is a directory
that stands for ``/``, so that trees captured elsewhere can be read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pytest_reseval.cgroups import v1, v2
from pytest_reseval.cgroups.kernel import ancestry, read_once
from pytest_reseval.cgroups.meter import Limits, Meter

CgroupVersion = Literal[1, 2]

_ROOT = Path("/")
_CONTROLLERS = ("memory", "cpu", "cpuacct", "pids")
_OCTAL = re.compile(r"\\([0-7]{3})")
_MEM_TOTAL = re.compile(r"^MemTotal:\s+([0-9]+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Location:
    """Where a cgroup is: its version, and its directory for each controller (v2: always one)."""

    version: CgroupVersion
    directories: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class _Mount:
    """One mounted hierarchy: what part of it (``origin``) appears at ``point``."""

    version: CgroupVersion
    options: frozenset[str]
    origin: str
    point: Path

    def directory(self, path: str) -> Path | None:
        """Where the cgroup ``path`` appears; None when it lies outside of what is mounted.

        Both paths are relative to our cgroup namespace and begin with ``/..`` when they lie above
        it, so they are compared part by part and never normalized.
        """
        origin, parts = _parts(self.origin), _parts(path)
        below = parts[len(origin) :]
        if parts[: len(origin)] != origin or ".." in below:
            return None
        place = self.point.joinpath(*below)
        return place if place.is_dir() else None


def host_version(root: Path = _ROOT) -> CgroupVersion | None:
    """The cgroup version whose memory controller governs this host; None when none does.

    A hybrid host, with an empty v2 hierarchy beside the controllers of v1, is 1.
    """
    return _governing(list(_mounts(root)))


def locate(
    pid: int | Literal["self"], root: Path = _ROOT, *, name: str | None = None
) -> Location | None:
    """The cgroup that a process is in; None when it is gone, or out of our sight.

    With ``name``, such as a container's id, it is the uppermost cgroup above the process whose own
    name contains it: runtimes put the process into a child of the cgroup that they limit. A
    process that is in no such cgroup is not the one that was meant, and the answer is None.
    """
    mounts = list(_mounts(root))
    version = _governing(mounts)
    membership = _membership(read_once(root / "proc" / str(pid) / "cgroup") or "")
    if version is None:
        return None
    directories = {}
    for controller in _CONTROLLERS:
        path = membership.get(controller if version == 1 else "")
        place = None if path is None else _visible(path, mounts, version, controller)
        if place is not None and name is not None:
            place = _uppermost(place, name)
        if place is not None:
            directories[controller] = place
    return Location(version, directories) if "memory" in directories else None


def open_meter(
    pid: int | Literal["self"], root: Path = _ROOT, *, name: str | None = None
) -> Meter | None:
    """A meter of the cgroup that ``locate`` finds; None when the kernel shows no memory figures."""
    place = locate(pid, root, name=name)
    if place is None:
        return None
    meter = (
        v1.V1Meter(place.directories)
        if place.version == 1
        else v2.V2Meter(place.directories["memory"])
    )
    if meter.sample() is None:
        meter.close()
        return None
    return meter


def read_limits(
    pid: int | Literal["self"], root: Path = _ROOT, *, name: str | None = None
) -> Limits | None:
    """What the kernel enforces on a process within the cgroup that ``locate`` finds.

    None when it finds none.
    """
    place, own = locate(pid, root, name=name), locate(pid, root)
    if place is None or own is None:
        return None
    if place.version == 1:
        return v1.read_limits(place.directories)
    return v2.read_limits(own.directories["memory"], place.directories["memory"])


def own_memory_ceiling(root: Path = _ROOT) -> int:
    """Bytes of memory that this process could use at most.

    The smallest of the machine's memory and of the limits from our own cgroup up to the root.
    Raises OSError or ValueError when ``/proc/meminfo`` cannot be read.
    """
    meminfo = root / "proc" / "meminfo"
    total = _MEM_TOTAL.search(meminfo.read_text("ascii"))
    if total is None:
        raise ValueError(f"{meminfo}: no line MemTotal; is /proc mounted?")
    own = locate("self", root)
    ceilings: list[int] = []
    if own is not None:
        ceilings = (v1 if own.version == 1 else v2).memory_ceilings(own.directories["memory"])
    return min([int(total[1]) * 1024, *ceilings])


def own_cpu_ceiling(root: Path = _ROOT) -> float:
    """Cores that this process could use at most.

    The smallest of the CPUs that we may be scheduled on and of the quotas from our own cgroup up to
    the root.
    """
    own = locate("self", root)
    ceilings: list[float] = []
    if own is not None and "cpu" in own.directories:
        ceilings = (v1 if own.version == 1 else v2).cpu_ceilings(own.directories["cpu"])
    return min([float(len(os.sched_getaffinity(0))), *ceilings])


def _governing(mounts: list[_Mount]) -> CgroupVersion | None:
    if any(mount.version == 1 and "memory" in mount.options for mount in mounts):
        return 1
    for mount in mounts:
        if mount.version == 2:
            controllers = read_once(mount.point / "cgroup.controllers") or ""
            if "memory" in controllers.split():
                return 2
    return None


def _visible(
    path: str, mounts: list[_Mount], version: CgroupVersion, controller: str
) -> Path | None:
    places = (
        mount.directory(path)
        for mount in mounts
        if mount.version == version and (version == 2 or controller in mount.options)
    )
    return next((place for place in places if place is not None), None)


def _membership(text: str) -> dict[str, str]:
    """Controller to path from ``/proc/PID/cgroup``; the key of the v2 hierarchy is empty."""
    paths = {}
    for line in text.splitlines():
        identifier, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon and identifier.isdigit():
            paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def _mounts(root: Path) -> Iterator[_Mount]:
    for line in (read_once(root / "proc" / "self" / "mountinfo") or "").splitlines():
        before, dash, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if not dash or len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        yield _Mount(
            version=1 if kind[0] == "cgroup" else 2,
            options=frozenset(kind[2].split(",")),
            origin=_unescaped(fields[3]),
            point=root / _unescaped(fields[4]).lstrip("/"),
        )


def _unescaped(field: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), field)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _uppermost(directory: Path, name: str) -> Path | None:
    named = [place for place in ancestry(directory) if name in place.name]
    return named[-1] if named else None
