"""Building the guest's disk by debootstrap, once for every recipe, and keeping it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from example_tasks import base_image
from tests.virtual_machine import recipe

LABEL = "reseval-root"
"""Label of the guest's root file system."""

_DISK = "root.ext4"
_PREPARED_IMAGE = "srv/base-image.tar"


class DiskError(Exception):
    """The disk cannot be built; the message says why and what would help."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A folder with a built disk and, beside it, the kernels that can boot it."""

    folder: Path

    @property
    def root(self) -> Path:
        """The image of the root file system."""
        return self.folder / _DISK

    def boot_files(self, series: str) -> tuple[Path, Path]:
        """Kernel and initial RAM disk of a series such as ``6.1``."""
        kernel, initrd = (
            next(self.folder.glob(f"{kind}-{series}.*")) for kind in ("vmlinuz", "initrd.img")
        )
        return kernel, initrd


def cache_folder() -> Path:
    """Where disks and results are kept, outside of the repository."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "pytest-reseval" / "virtual-machine"


def ensure(cache: Path) -> Disk:
    """The disk of today's recipe, built if it is not there; older ones are then removed.

    Safe to call from several processes at once. Raises DiskError.
    """
    wanted = cache / f"disk-{recipe.digest()}"
    cache.mkdir(parents=True, exist_ok=True)
    with _one_builder(cache):
        if not wanted.exists():
            _check_may_build()
            for old in cache.glob("disk-*"):
                shutil.rmtree(old)
            with tempfile.TemporaryDirectory(prefix="building-", dir=cache) as scratch:
                _build(Path(scratch)).rename(wanted)
    return Disk(wanted)


@contextmanager
def _one_builder(cache: Path) -> Iterator[None]:
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _check_may_build() -> None:
    if os.geteuid() != 0:
        raise DiskError(
            "debootstrap needs root to build the guest's disk. Run this once as root with the same "
            "XDG_CACHE_HOME; after that an ordinary user can boot it"
        )


def _build(scratch: Path) -> Path:
    """Build everything below ``scratch``; answers the finished folder."""
    root, finished = scratch / "root", scratch / "finished"
    finished.mkdir()
    suites = list(recipe.KERNELS.values())
    _run(
        *("unshare", "--mount", "debootstrap", "--variant=minbase"),
        f"--include={','.join(recipe.PACKAGES)}",
        *(suites[0], str(root), *base_image.host_mirror(suites[0])),
    )
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    shutil.copy(recipe.INSTALL, root / "root/install.sh")
    # A pid namespace of its own: daemons that packages start end with it, and so do its mounts.
    _run(
        *("unshare", "--mount", "--pid", "--fork", f"--root={root}", "--mount-proc"),
        *("/bin/sh", "/root/install.sh", *suites),
    )
    with base_image.bootstrapped() as archive, (root / _PREPARED_IMAGE).open("wb") as kept:
        shutil.copyfileobj(archive, kept)
    for kind in ("vmlinuz", "initrd.img"):
        for file in (root / "boot").glob(f"{kind}-*"):
            shutil.move(file, finished)
    size = f"{recipe.DISK_BYTES >> 10}k"
    _run("mke2fs", "-q", "-t", "ext4", "-L", LABEL, "-d", str(root), str(finished / _DISK), size)
    shutil.rmtree(root)
    return finished


def _run(*command: str) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-20:])
        raise DiskError(f"{' '.join(command)} ended with status {done.returncode}:\n{tail}")
