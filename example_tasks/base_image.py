"""Makes the base image of the example tasks: ``python example_tasks/base_image.py``.

The image is Debian with Python's standard library. It is built from ``base-image/Dockerfile``
where the Dockerfile's own base can be pulled, else made by debootstrap, which needs a Debian
mirror only.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound

if TYPE_CHECKING:
    from docker import DockerClient

IMAGE = "reseval-examples:1"

_DOCKERFILE = Path(__file__).parent / "base-image" / "Dockerfile"
_SUITE = "bookworm"
_CHANGES = ["WORKDIR /app", 'CMD ["bash"]']
_LEFT_OUT = (
    "./dev/*",
    "./etc/hostname",
    "./etc/resolv.conf",
    "./usr/share/doc/*",
    "./usr/share/locale/*",
    "./usr/share/man/*",
    "./var/cache/apt/*",
    "./var/lib/apt/lists/*",
    "./var/log/*",
)


class BaseImageError(Exception):
    """The base image can be had in no way here; the message says why and what would help."""


def ensure(client: DockerClient) -> str:
    """Make sure that the engine behind ``client`` holds IMAGE.

    Answers which way it went: "present", "built" or "bootstrapped". Safe to call from several
    processes at once. Raises BaseImageError when no way is open, and docker's own DockerException
    when the engine does not answer.
    """
    if _present(client):
        return "present"
    with _one_builder():
        if _present(client):
            return "present"
        obstacle = _build(client)
        if obstacle is None:
            return "built"
        _bootstrap(client, obstacle)
        return "bootstrapped"


def _present(client: DockerClient) -> bool:
    try:
        client.images.get(IMAGE)
    except ImageNotFound:
        return False
    return True


@contextmanager
def _one_builder() -> Iterator[None]:
    """Hold the lock on the Dockerfile; the kernel releases it if this process dies."""
    with _DOCKERFILE.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(client: DockerClient) -> str | None:
    """Build from the Dockerfile; the reason when that fails, else None."""
    try:
        client.images.build(path=str(_DOCKERFILE.parent), tag=IMAGE, rm=True, forcerm=True)
    except (APIError, BuildError) as error:
        return " ".join(str(error).split())
    return None


def _bootstrap(client: DockerClient, obstacle: str) -> None:
    """Make IMAGE with debootstrap. ``obstacle`` tells why it could not be built."""
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        raise BaseImageError(
            f"{IMAGE} cannot be built ({obstacle}). Pull debian:{_SUITE}-slim into this engine, "
            "or install debootstrap and run this as root, or use --reseval-engine=local"
        )
    try:
        with bootstrapped() as archive:
            load(client, archive)
    except BaseImageError:
        with suppress(ImageNotFound):
            client.images.remove(IMAGE)
        raise
    if not _present(client):
        raise BaseImageError(f"the engine took the file system of {IMAGE} but holds no such image")


@contextmanager
def bootstrapped() -> Iterator[IO[bytes]]:
    """The file system of IMAGE as a stream in tar's format, made by debootstrap, as root.

    Raises BaseImageError; at the end too, when the stream was not all there is.
    """
    with tempfile.TemporaryDirectory(prefix="reseval-base-", ignore_cleanup_errors=True) as made:
        root = Path(made) / "root"
        _debootstrap(root)
        (root / "app").mkdir()
        exclude = [f"--exclude={pattern}" for pattern in _LEFT_OUT]
        tar = subprocess.Popen(
            ["tar", "--create", "--numeric-owner", *exclude, f"--directory={root}", "."],
            stdout=subprocess.PIPE,
        )
        stream = cast(IO[bytes], tar.stdout)
        try:
            yield stream
        finally:
            stream.close()
            status = tar.wait()
    if status != 0:
        raise BaseImageError(f"tar of the new file system of {IMAGE} ended with status {status}")


def load(client: DockerClient, archive: IO[bytes]) -> None:
    """Hand the file system of IMAGE, in tar's format, to the engine behind ``client``."""
    repository, tag = IMAGE.split(":")
    client.api.import_image_from_data(
        cast(bytes, archive), repository=repository, tag=tag, changes=_CHANGES
    )


def _debootstrap(root: Path) -> None:
    # A mount namespace of its own: whatever debootstrap mounts below root goes when it ends, so
    # removing the tree afterwards cannot reach the host's /proc or /sys.
    command = ["unshare", "--mount", "debootstrap", "--variant=minbase", "--include=python3"]
    done = subprocess.run(
        [*command, _SUITE, str(root), *host_mirror(_SUITE)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-5:])
        raise BaseImageError(
            f"debootstrap of {_SUITE} ended with status {done.returncode}; is a Debian mirror in "
            f"reach, and is {root.parent.parent} mounted without nodev and noexec? It said:\n{tail}"
        )


def host_mirror(suite: str) -> list[str]:
    """The mirror that the host's apt uses for a suite; empty for debootstrap's default."""
    if shutil.which("apt-get") is None:
        return []
    query = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    answer = subprocess.run(
        [*query, "Origin: Debian", f"Codename: {suite}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    return answer.stdout.split()[:1]


def main() -> int:
    """Print one line that says which way it went; exit status 1 when there is no image."""
    try:
        with closing(docker.from_env()) as client:
            print(f"{IMAGE}: {ensure(client)}")
    except BaseImageError as error:
        print(error, file=sys.stderr)
        return 1
    except DockerException as error:
        print(f"{error}; start a Docker engine, or use --reseval-engine=local", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
