"""Which mounts make up a sandbox's root directory: a decision, carried out by ``mounts.build``.

The root is an overlay with the host's root below and a private upper layer on disk (a tmpfs would
be charged to the sandbox's memory). In a user namespace the kernel refuses that, and each directory
of the host's root becomes an overlay of its own; every overlay costs milliseconds to make and to
remove, so one is better. In a user namespace, too, nothing can be written into directories of
another user, root's among them, except into the uppermost of an overlay; so a few more are made.
Directories that hold state of the running host start empty, and so does every mount point, unless
hosts commonly keep part of their system on it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

Step = tuple[str, ...]

FRESH = {
    "/tmp": 0o1777,
    "/run": 0o755,
    "/run/lock": 0o1777,
    "/mnt": 0o755,
    "/media": 0o755,
}
"""Directories that start empty, with their modes: the host's run-time state and its other disks."""

_KERNEL = frozenset({"/proc", "/sys", "/dev"})
_SYSTEM = frozenset({"/usr", "/etc", "/var", "/opt", "/home", "/root", "/srv", "/nix", "/gnu"})
"""Mount points whose content is shown all the same: parts of a system that may have a disk each."""

_WRITTEN_TO = ("/usr/local/bin", "/var/tmp")
"""Directories below those of the root in which programs are installed and files kept."""

_NAMES = ("/etc/resolv.conf", "/etc/hosts", "/etc/hostname")
"""Files that often are links into /run, or mounts of their own in a container."""

# What container runtimes protect; /proc/sys and its like obey root without any capability.
_PROC_READ_ONLY = "bus fs irq sys sysrq-trigger"
_PROC_MASKED = "acpi asound interrupts kcore keys latency_stats scsi timer_list timer_stats"

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {
    "ptmx": "pts/ptmx",
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
SHM_SIZE = 64 << 20
"""Bytes of /dev/shm, as Docker gives; its pages count as memory of who touches them."""


def plan(
    private: Path,
    mountpoints: Collection[str],
    *,
    privileged: bool,
    hidden: Collection[Path] = (),
    host: Path = Path("/"),
) -> list[Step]:
    """The steps that build the root of one sandbox.

    ``private`` is the sandbox's own directory, whose parent (the state of all sandboxes) is hidden,
    as is what ``hidden`` names.
    Not ``privileged`` means inside a user namespace, where the kernel refuses an overlay over a
    directory that has mounts below it ("locked" ones, mount_namespaces(7)): such a directory is
    split up. ``host`` is the directory taken for the host's root.
    """
    planner = _Planner(private, frozenset(mountpoints), privileged, host)
    return [
        *(planner.whole() if privileged else planner.split()),
        *planner.names(),
        *_kernel_views(privileged),
        *_hidden({private.parent, *hidden}),
    ]


class _Planner:
    def __init__(
        self, private: Path, mountpoints: frozenset[str], privileged: bool, host: Path
    ) -> None:
        self._private = private
        self._mountpoints = mountpoints
        self._privileged = privileged
        self._host = host
        self._layers = 0

    def whole(self) -> Iterator[Step]:
        layer = self._next_layer()
        other_disks = {
            path
            for path in self._mountpoints - _SYSTEM - _KERNEL - FRESH.keys()
            if path.count("/") == 1 and path != "/" and self._source(path).is_dir()
        }
        for path, mode in {**dict.fromkeys(sorted(other_disks), 0o755), **FRESH}.items():
            yield ("hidden", path, f"{layer}/upper{path}", f"{mode:o}")
        yield ("overlay", "/", str(self._host), layer, "")
        for path in sorted(self._mountpoints & _SYSTEM):
            yield ("overlay", path, str(self._source(path)), self._next_layer(), "")

    def split(self) -> Iterator[Step]:
        yield from self.directories("/")
        for path, mode in FRESH.items():
            yield ("directory", path, f"{mode:o}")

    def directories(self, parent: str) -> Iterator[Step]:
        with os.scandir(self._source(parent)) as entries:
            names = sorted(entry.name for entry in entries)
        for name in names:
            path = f"{parent.rstrip('/')}/{name}"
            if path not in FRESH and path not in _KERNEL:
                yield from self._entry(path)

    def _entry(self, path: str) -> Iterator[Step]:
        source = self._source(path)
        mode = source.lstat().st_mode
        if stat.S_ISLNK(mode):
            yield ("symlink", path, str(source.readlink()))
        elif stat.S_ISREG(mode):
            if os.access(source, os.R_OK):
                yield ("bind-read-only", path, str(source))
        elif stat.S_ISDIR(mode):
            yield from self._directory(path, source)

    def _directory(self, path: str, source: Path) -> Iterator[Step]:
        if path in self._mountpoints and path not in _SYSTEM:
            yield ("directory", path, "755")
        elif not os.access(source, os.R_OK | os.X_OK):
            yield ("directory", path, "700")
        elif self._has_mounts(path):
            yield ("directory", path, "755")
            yield from self.directories(path)
        else:
            yield self._writable(path)
            for below in _WRITTEN_TO:
                if below.startswith(f"{path}/") and os.access(
                    self._source(below), os.R_OK | os.X_OK
                ):
                    yield self._writable(below)

    def _writable(self, path: str) -> Step:
        return ("overlay", path, str(self._source(path)), self._next_layer(), ",userxattr")

    def _next_layer(self) -> str:
        self._layers += 1
        return str(self._private / "layers" / str(self._layers))

    def _has_mounts(self, path: str) -> bool:
        return any(mountpoint.startswith(f"{path}/") for mountpoint in self._mountpoints)

    def names(self) -> Iterator[Step]:
        for name in _NAMES:
            source = self._source(name)
            if not source.is_file():
                continue
            target = os.path.realpath(source).removeprefix(str(self._host).rstrip("/"))
            if target.startswith(tuple(f"{path}/" for path in FRESH)):
                yield ("file", target, source.read_text(errors="replace"))
            elif target in self._mountpoints and self._privileged:
                yield ("bind-read-only", target, str(source))

    def _source(self, path: str) -> Path:
        return self._host / path.lstrip("/")


def _hidden(directories: Collection[Path]) -> Iterator[Step]:
    """Cover what is still to be seen; where one lies in another, the outer one is covered first."""
    for path in sorted(map(str, directories)):
        if not path.startswith((*(f"{fresh}/" for fresh in FRESH), *_KERNEL)):
            yield ("covered", path)


def written(private: Path) -> list[Path]:
    """The directories on disk that hold what was written in a sandbox, by the steps of ``plan``."""
    return [private / "root", *(private / "layers").glob("*/upper")]


def _kernel_views(privileged: bool) -> Iterator[Step]:
    yield ("proc", "/proc", _PROC_READ_ONLY, _PROC_MASKED)
    yield ("empty", "/sys")
    yield ("tmpfs", "/dev", "mode=0755,size=64k")
    for name in _DEVICES:
        yield ("bind", f"/dev/{name}", f"/dev/{name}")
    for name, target in _DEVICE_LINKS.items():
        yield ("symlink", f"/dev/{name}", target)
    terminal_group = ",gid=5" if privileged else ""
    yield ("devpts", "/dev/pts", f"newinstance,ptmxmode=0666,mode=0620{terminal_group}")
    yield ("tmpfs", "/dev/shm", f"mode=1777,size={SHM_SIZE}")


def mountpoints(mountinfo: str) -> dict[str, str]:
    """Mount points and the type of the file system on each, from the text of proc_pid_mountinfo(5).

    Of several mounts on one point the last, which is the visible one, counts.
    """
    found = {}
    for line in mountinfo.splitlines():
        fields = line.split()
        kind = fields[fields.index("-", 6) + 1]
        found[_unescape(fields[4])] = kind
    return found


def filesystem(path: Path, mounts: dict[str, str]) -> str | None:
    """The type of the file system that ``path`` lies on, by the answer of ``mountpoints``."""
    for directory in (path, *path.parents):
        if str(directory) in mounts:
            return mounts[str(directory)]
    return None


def _unescape(field: str) -> str:
    for escaped, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(escaped, character)
    return field
