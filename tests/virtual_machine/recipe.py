"""What the guest's disk holds: a Debian system with container engines, and the kernels to boot."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

KERNELS = {"6.12": "trixie", "6.1": "bookworm", "5.10": "bullseye"}
"""Kernel series, and the Debian suite that brings it; the first suite is the guest's system.

They differ in ``memory.peak``: it can be reset, it is there, it is not there.
"""

PYTHON = "3.13"
"""Version of the guest's Python: the packages that the tests import are fetched for it."""

PACKAGES = (
    "aardvark-dns",
    "busybox-static",
    "ca-certificates",
    "crun",
    "dbus",
    "dbus-user-session",
    "docker.io",
    "fuse-overlayfs",
    "initramfs-tools",
    "iproute2",
    "iptables",
    "kmod",
    "libpam-systemd",
    "netavark",
    "nftables",
    "passt",
    "podman",
    "procps",
    "python3",
    "python3-venv",
    "systemd",
    "systemd-container",
    "systemd-sysv",
    "udev",
    "uidmap",
)

DISK_BYTES = 8 << 30
"""Size of the guest's disk. It is sparse: most of it is never written."""

INSTALL = Path(__file__).with_name("install.sh")
"""Runs in the new system, with the suites as its arguments."""

BASE_IMAGE = Path(__file__).parents[2] / "example_tasks" / "base_image.py"
"""Makes the image of the example tasks, which is put on the disk too."""


def digest(files: Iterable[Path] = (INSTALL, BASE_IMAGE)) -> str:
    """A name for all that goes into the disk: another digest is another disk."""
    told = hashlib.sha256(repr((KERNELS, PYTHON, PACKAGES, DISK_BYTES)).encode())
    for file in files:
        told.update(hashlib.sha256(file.read_bytes()).digest())
    return told.hexdigest()[:16]
