"""System calls that Python has no function for, through libc. Each raises OSError when it fails.

Only the standard library is imported: the keeper process runs this without site-packages.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
from collections.abc import Iterable

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITIES = range(64)

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1

_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
"""glibc has no wrapper for pivot_root(2), and its number differs between architectures."""

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, subject: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{subject}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    """Put the caller (for CLONE_NEWPID: its future children) into new namespaces; unshare(2)."""
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """mount(2)."""
    encoded = None if kind is None else kind.encode()
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        encoded,
        ctypes.c_ulong(flags),
        os.fsencode(options) or None,
    )
    _checked(result, f"mount {kind or 'bind'} on {target}")


def pivot_root(root: str) -> None:
    """Make the mount at ``root`` the root of the mount namespace and detach the old one for good.

    Old and new root are stacked on one directory, as pivot_root(2) describes under "pivot_root(".",
    ".")"; every process of the namespace that stood in the old root stands in the new one after.
    """
    machine = os.uname().machine
    if machine not in _PIVOT_ROOT:
        raise OSError(f"the number of pivot_root(2) on {machine} is not known")
    os.chdir(root)
    _checked(_libc.syscall(_PIVOT_ROOT[machine], b".", b"."), f"pivot_root to {root}")
    _checked(_libc.umount2(b".", MNT_DETACH), "detach the old root")
    os.chdir("/")


def die_with_parent() -> None:
    """Have the kernel kill the caller when the thread that made it ends; PR_SET_PDEATHSIG."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl PR_SET_PDEATHSIG")


def forbid_tracing() -> None:
    """Keep others from tracing the caller until its next execve; PR_SET_DUMPABLE."""
    _checked(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl PR_SET_DUMPABLE")


def forbid_new_privileges() -> None:
    """Have setuid bits and file capabilities mean nothing from now on; PR_SET_NO_NEW_PRIVS."""
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl PR_SET_NO_NEW_PRIVS")


def keep_capabilities(kept: Iterable[int]) -> None:
    """Give up for ever, over execve too, every capability whose number is not in ``kept``."""
    kept = frozenset(kept)
    for capability in _CAPABILITIES:
        if capability not in kept and _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break  # EINVAL: beyond the last capability that this kernel knows
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    mask = sum(1 << capability for capability in kept)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    sets = struct.pack("6I", low, low, 0, high, high, 0)  # effective, permitted, inheritable
    _checked(_libc.capset(header, sets), "capset")


def raise_loopback() -> None:
    """Bring up ``lo`` of a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        name, flags = struct.unpack(
            "16sh22x", fcntl.ioctl(handle, _SIOCGIFFLAGS, struct.pack("16sh22x", b"lo", 0))
        )
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sh22x", name, flags | _IFF_UP))
