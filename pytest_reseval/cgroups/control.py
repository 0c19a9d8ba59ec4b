"""Making, limiting, filling and removing the cgroup of one sandbox, in version 1 or 2.

Rules are those of Documentation/admin-guide/cgroup-v1/ and cgroup-v2.rst of the kernel.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_reseval.cgroups import v1, v2
from pytest_reseval.cgroups.kernel import ancestry
from pytest_reseval.cgroups.locate import CgroupVersion, Location, locate
from pytest_reseval.cgroups.meter import Limits, Meter
from pytest_reseval.resources import Resources

CONTROLLERS = ("memory", "cpu", "pids")
"""Controllers without which limits would be gaps; v1 keeps CPU time in a fourth, ``cpuacct``."""

LEAF = "pytest-reseval-harness"
"""The v2 cgroup that the harness moves into where its own has to become an inner node."""

_PERIOD = 100_000
"""Microseconds of a CPU bandwidth period, the kernel's default."""

_SMALLEST_QUOTA = 1_000
"""Microseconds; the kernel refuses less."""

_END_SECONDS = 10.0
"""How long killed processes may take to leave a cgroup."""


class CgroupError(Exception):
    """A cgroup cannot be made, limited or removed; the message says why and what would help."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where cgroups of sandboxes are made: the parent directory for each controller."""

    version: CgroupVersion
    directories: Mapping[str, Path]


def find_home(root: Path = Path("/")) -> Home:
    """A place below which this process may make limited cgroups.

    On v1 that is our own cgroup. On v2 inner nodes hold no processes ("no internal process
    constraint"), so it is the nearest ancestor that holds none, or the hierarchy's root, which is
    exempt. Where our own cgroup has a limit of its own, or no ancestor will do, our own cgroup
    becomes the inner node and its processes move into a leaf below it.

    ``root`` stands for ``/``. Raises CgroupError where cgroups cannot be written.
    """
    own = locate("self", root)
    if own is None:
        raise CgroupError("no memory controller is visible below /sys/fs/cgroup")
    if own.version == 1:
        return _v1_home(own)
    home = _v2_home(own.directories["memory"])
    return Home(2, dict.fromkeys(CONTROLLERS, home))


def _v1_home(own: Location) -> Home:
    missing = [name for name in CONTROLLERS if name not in own.directories]
    if missing:
        raise CgroupError(f"the cgroup v1 controllers {', '.join(missing)} are not mounted")
    for directory in own.directories.values():
        if not os.access(directory, os.W_OK):
            raise CgroupError(
                f"{directory} cannot be written; run as root, or on a host with cgroup v2 under "
                "'systemd-run --user --scope -p Delegate=yes'"
            )
    return Home(1, own.directories)


def _v2_home(own: Path) -> Path:
    home = None
    if not _has_limit(own):
        home = next((place for place in ancestry(own) if _can_hold_cgroups(place)), None)
    if home is None:
        if not _is_writable(own):
            raise CgroupError(
                f"{own} cannot be written; run as root, or under "
                "'systemd-run --user --scope -p Delegate=yes'"
            )
        home = own
        _move_into_leaf(own)
    enabled = (home / "cgroup.subtree_control").read_text().split()
    for controller in CONTROLLERS:
        if controller not in enabled:
            _write(home / "cgroup.subtree_control", f"+{controller}")
    return home


def _has_limit(place: Path) -> bool:
    limits = v2.read_limits(place)
    return limits.memory_limit is not None or limits.cpu_limit is not None


def _can_hold_cgroups(place: Path) -> bool:
    available = (place / "cgroup.controllers").read_text().split()
    is_root = not (place / "cgroup.type").exists()
    return (
        _is_writable(place)
        and set(CONTROLLERS) <= set(available)
        and (is_root or not (place / "cgroup.procs").read_text().strip())
    )


def _is_writable(place: Path) -> bool:
    files = (place, place / "cgroup.procs", place / "cgroup.subtree_control")
    return all(os.access(file, os.W_OK) for file in files)


def _move_into_leaf(place: Path) -> None:
    leaf = place / LEAF
    leaf.mkdir(exist_ok=True)
    while processes := _processes(place):
        for pid in processes:
            with suppress(ProcessLookupError):
                (leaf / "cgroup.procs").write_text(str(pid))


class Cgroup:
    """The cgroup of one sandbox: one directory on v2, one in each controller's hierarchy on v1."""

    def __init__(self, home: Home, name: str) -> None:
        """Name, but do not make yet, a cgroup below ``home``."""
        self.version = home.version
        self._by_controller = {key: parent / name for key, parent in home.directories.items()}

    @property
    def directories(self) -> list[Path]:
        """Every directory of this cgroup, once."""
        return list(dict.fromkeys(self._by_controller.values()))

    @property
    def procs_files(self) -> list[Path]:
        """The files that a process writes ``0`` to in order to come into this cgroup itself."""
        return [directory / "cgroup.procs" for directory in self.directories]

    def create(self, resources: Resources) -> None:
        """Make the directories and set the limits. Raises CgroupError; nothing is then left."""
        made = []
        try:
            for directory in self.directories:
                directory.mkdir()
                made.append(directory)
            for controller, file, value in settings(self.version, resources):
                path = self._by_controller[controller] / file
                if path.exists() or file not in _OPTIONAL:
                    _write(path, value)
        except (OSError, CgroupError) as error:
            remove(made)
            raise CgroupError(str(error)) from error

    def meter(self) -> Meter:
        """A new meter of this cgroup."""
        if self.version == 1:
            return v1.V1Meter(self._by_controller)
        return v2.V2Meter(self._by_controller["memory"])

    def limits(self) -> Limits:
        """What the kernel enforces, read back."""
        if self.version == 1:
            return v1.read_limits(self._by_controller)
        return v2.read_limits(self._by_controller["memory"])

    def attach(self, pid: int) -> None:
        """Move a process into this cgroup. Raises CgroupError."""
        for file in self.procs_files:
            _write(file, str(pid))

    def remove(self) -> None:
        """Kill all processes in it and remove it; harmless when it is not there."""
        remove(self.directories)


_OPTIONAL = {"memory.memsw.limit_in_bytes", "memory.swap.max"}
"""Files that are absent where the kernel does not account swap, or was built without it."""


def settings(version: CgroupVersion, resources: Resources) -> Iterator[tuple[str, str, str]]:
    """Controller, file and content of everything to write for ``resources``, in order.

    Memory and swap together are limited to what memory alone is, and CPU weight follows the
    guarantee: 1024 shares a core on v1, on v2 the kubelet's mapping of those shares to a weight.
    """
    shares = max(2, round(1024 * resources.cpu_guarantee))
    quota = None
    if resources.cpu_limit is not None:
        quota = max(_SMALLEST_QUOTA, round(resources.cpu_limit * _PERIOD))
    limit = None if resources.memory_ceiling is None else str(resources.memory_ceiling)
    guarantee = str(resources.memory_guarantee)
    if version == 1:
        if limit is not None:
            yield "memory", "memory.limit_in_bytes", limit
            yield "memory", "memory.memsw.limit_in_bytes", limit
        yield "memory", "memory.soft_limit_in_bytes", guarantee
        yield "cpu", "cpu.shares", str(shares)
        yield "cpu", "cpu.cfs_period_us", str(_PERIOD)
        yield "cpu", "cpu.cfs_quota_us", str(quota or -1)
    else:
        yield "memory", "memory.max", limit or "max"
        yield "memory", "memory.swap.max", "max" if limit is None else "0"
        yield "memory", "memory.low", guarantee
        yield "cpu", "cpu.weight", str(1 + (shares - 2) * 9999 // 262142)
        yield "cpu", "cpu.max", f"{quota or 'max'} {_PERIOD}"
    yield "pids", "pids.max", str(resources.pids_limit)


def remove(directories: Iterable[Path]) -> None:
    """Kill every process in the cgroup of these directories and remove them.

    Raises CgroupError when processes do not leave in time; directories that are gone are no error.
    """
    deadline = time.monotonic() + _END_SECONDS
    for directory in directories:
        while directory.exists():
            _kill(directory)
            try:
                directory.rmdir()
            except FileNotFoundError:
                break
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > deadline:
                    raise CgroupError(f"{directory} cannot be removed: {error.strerror}") from error
                time.sleep(0.001)


def named(prefix: str, root: Path = Path("/")) -> Iterator[Path]:
    """Every cgroup directory, in any hierarchy, whose name begins with ``prefix``.

    ``root`` stands for ``/``.
    """
    for parent, names, _ in os.walk(root / "sys/fs/cgroup"):
        found = [name for name in names if name.startswith(prefix)]
        yield from (Path(parent, name) for name in found)
        names[:] = [name for name in names if name not in found]


def _kill(directory: Path) -> None:
    with suppress(OSError):
        if (directory / "cgroup.kill").exists():
            (directory / "cgroup.kill").write_text("1")
            return
        for pid in _processes(directory):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _processes(directory: Path) -> list[int]:
    """Processes of one cgroup; those outside of our pid namespace, shown as 0, are left out."""
    words = (directory / "cgroup.procs").read_text().split()
    return [int(word) for word in words if int(word) > 0]


def _write(path: Path, value: str) -> None:
    try:
        path.write_text(value)
    except OSError as error:
        raise CgroupError(f"{path} does not take {value!r}: {error.strerror}") from error
