"""The steps that build a sandbox's root directory, and how the first process carries them out.

A step is a tuple of strings, so that it travels as JSON: what to do, the path in the new root, and
the rest as the function of that name in this module says. ``rootfs.plan`` decides on them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from . import syscalls

_KEPT_FLAGS = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC


def build(root: str, steps: Sequence[Sequence[str]]) -> None:
    """Make ``root`` a mount of its own, carry out the steps in it, and pivot into it.

    Raises OSError that names the step.
    """
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount(root, root, None, syscalls.MS_BIND)
    for action, path, *rest in steps:
        try:
            _ACTIONS[action](root + path, *rest)
        except OSError as error:
            message = f"{action} {path}: {error.strerror or error}"
            raise OSError(error.errno or 0, message) from error
    syscalls.pivot_root(root)


def _directory(target: str, mode: str) -> None:
    os.makedirs(target, exist_ok=True)
    os.chmod(target, int(mode, 8))


def _symlink(target: str, destination: str) -> None:
    os.symlink(destination, target)


def _file(target: str, content: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "w") as handle:
        handle.write(content)


def _hidden(_target: str, directory: str, mode: str) -> None:
    """Have an overlay that is mounted later show this directory of its upper layer alone.

    Such a directory is not merged with what lies below; filesystems/overlayfs.rst of the kernel,
    "whiteouts and opaque directories".
    """
    os.makedirs(directory)
    os.chmod(directory, int(mode, 8))
    os.setxattr(directory, "trusted.overlay.opaque", b"y")


def _overlay(target: str, lower: str, layer: str, options: str) -> None:
    upper, work = f"{layer}/upper", f"{layer}/work"
    for directory in (target, upper, work):
        os.makedirs(directory, exist_ok=True)
    os.chmod(upper, os.stat(lower).st_mode & 0o7777)
    layers = f"lowerdir={_escape(lower)},upperdir={_escape(upper)},workdir={_escape(work)}"
    syscalls.mount("overlay", target, "overlay", syscalls.MS_NODEV, f"{layers}{options}")


def _escape(path: str) -> str:
    for character in "\\:,":
        path = path.replace(character, "\\" + character)
    return path


def _bind(target: str, source: str) -> None:
    if not os.path.exists(target):
        os.close(os.open(target, os.O_CREAT | os.O_EXCL, 0o644))
    syscalls.mount(source, target, None, syscalls.MS_BIND)


def _bind_read_only(target: str, source: str) -> None:
    _bind(target, source)
    _read_only(target)


def _read_only(target: str) -> None:
    # A user namespace may not drop flags that the mount came with, so they are named again.
    kept = os.statvfs(target).f_flag & _KEPT_FLAGS
    syscalls.mount(
        "none", target, None, syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY | kept
    )


def _tmpfs(target: str, options: str) -> None:
    os.makedirs(target, exist_ok=True)
    syscalls.mount("tmpfs", target, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, options)


def _empty(target: str) -> None:
    _tmpfs(target, "mode=0755,size=4k,nr_inodes=1")
    _read_only(target)


def _covered(target: str) -> None:
    """Put something empty over a directory, if it is there; links on its way are the host's own."""
    if os.path.isdir(target):
        _empty(target)


def _proc(target: str, protected: str, masked: str) -> None:
    """A new procfs: its ``protected`` entries are read-only, its ``masked`` ones empty."""
    os.makedirs(target, exist_ok=True)
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.mount("proc", target, "proc", flags)
    for path in (f"{target}/{name}" for name in protected.split()):
        if os.path.exists(path):
            _bind_read_only(path, path)
    for path in (f"{target}/{name}" for name in masked.split()):
        if os.path.isdir(path):
            _empty(path)
        elif os.path.exists(path):
            _bind(path, "/dev/null")


def _devpts(target: str, options: str) -> None:
    os.makedirs(target, exist_ok=True)
    syscalls.mount("devpts", target, "devpts", syscalls.MS_NOSUID | syscalls.MS_NOEXEC, options)


_ACTIONS: dict[str, Callable[..., None]] = {
    "directory": _directory,
    "symlink": _symlink,
    "file": _file,
    "hidden": _hidden,
    "overlay": _overlay,
    "bind": _bind,
    "bind-read-only": _bind_read_only,
    "tmpfs": _tmpfs,
    "empty": _empty,
    "covered": _covered,
    "proc": _proc,
    "devpts": _devpts,
}
