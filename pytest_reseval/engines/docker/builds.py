"""What a build makes on its way to an image, and removing it when the build is over or broken.

The engine labels only what the last step of a build makes, and forgets whose the rest was. So every
build has a journal: a file with the ids that the engine told of, before anything can be left by
them, and a lock that the kernel releases if the builder dies. Then the journal proves that they are
ours and nobody's any more. What others have tagged or built upon meanwhile is theirs, and stays.

A layer that was finished in the moment in which the builder died, before it was told of, is in no
journal; unless it came out of a container that is.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

import requests
from docker.errors import APIError, NotFound

from pytest_reseval.engines.base import EngineLost, ImageBuildError
from pytest_reseval.engines.docker.client import Client, engine_answers
from pytest_reseval.engines.docker.orphans import remove_container
from pytest_reseval.janitor import CannotRemove, Orphan

_END_SECONDS = 10
"""How long the engine may take to end a build that nobody waits for any more."""

_UNTAGGED = frozenset({"<none>:<none>", "<none>@<none>"})
_TOLD = re.compile(r" ---> (Running in )?([0-9a-f]{12,64})\n?")


@dataclass(slots=True)
class Made:
    """What one build made, by the ids that the engine told."""

    tag: str = ""
    pid: int = 0
    began: int = 0
    """Seconds since the epoch; the engine runs on this machine, by the same clock."""
    containers: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)


class Narration:
    """Understands what the engine's classic builder says of its steps."""

    def __init__(self) -> None:
        self._not_new = False

    def hear(self, text: str) -> tuple[str, str] | None:
        """Take one message of the build's stream: ``("container" | "image", id)`` if one was made.

        An image that a step starts from or finds in the cache was not.
        """
        if text.startswith("Step "):
            self._not_new = " : FROM " in text.upper()
        elif text.strip() == "---> Using cache":
            self._not_new = True
        elif told := _TOLD.fullmatch(text):
            running, found = told.groups()
            if running:
                return "container", found
            if not self._not_new:
                return "image", found
        return None


class Journal:
    """The record of one build, and the lock that says that its builder lives."""

    def __init__(self, path: Path, file: FileIO) -> None:
        self._path = path
        self._file = file
        self._narration = Narration()

    @classmethod
    def claim(cls, path: Path) -> Journal | None:
        """Take the journal at ``path``, made if it is missing; None while another process has it.

        It may hold what an earlier builder died of.
        """
        file = FileIO(path, "a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return cls(path, file)
        except (BlockingIOError, FileNotFoundError):
            pass
        file.close()
        return None

    def begin(self, tag: str) -> None:
        """Write down that this process builds ``tag`` from now on."""
        self._write({"tag": tag, "pid": os.getpid(), "began": int(time.time())})

    def hear(self, text: str) -> None:
        """Write down what a message of the build's stream tells."""
        if made := self._narration.hear(text):
            self._write(dict([made]))

    def _write(self, line: Mapping[str, object]) -> None:
        self._file.write(json.dumps(line).encode() + b"\n")

    def read(self) -> Made:
        """What has been written down."""
        return _read(self._path)

    def clear(self) -> None:
        """Forget everything: nothing of it is left."""
        self._file.truncate(0)

    def close(self) -> None:
        """Release the lock; a journal that holds nothing is removed."""
        if not os.fstat(self._file.fileno()).st_size:
            self._path.unlink(missing_ok=True)
        self._file.close()


def journal_path(client: Client, digest: str) -> Path:
    """Where the builder of this digest on this engine keeps its journal."""
    return _state_directory() / f"{_prefix(client)}{digest}"


def _prefix(client: Client) -> str:
    return f"build-{client.engine_id}-"


def _state_directory() -> Path:
    """A directory of this user alone. Raises ImageBuildError when it belongs to another."""
    directory = _directory()
    directory.mkdir(mode=0o700, exist_ok=True)
    if not _is_ours(directory):
        raise ImageBuildError(f"{directory} belongs to another user; remove it or set TMPDIR")
    return directory


def _directory() -> Path:
    return Path(tempfile.gettempdir()) / f"pytest-reseval-{os.getuid()}"


def _is_ours(directory: Path) -> bool:
    """Whether no other user can have put anything into it."""
    try:
        status = directory.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()


def _read(path: Path) -> Made:
    made = Made()
    for line in path.read_bytes().splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue  # torn by a death in mid-write
        if "container" in told:
            made.containers.append(told["container"])
        elif "image" in told:
            made.images.append(told["image"])
        else:
            made.tag, made.pid, made.began = told["tag"], told["pid"], told["began"]
    return made


def clear(client: Client, journal: Journal) -> None:
    """Remove what the build in the journal left; what cannot be removed now stays written down."""
    made = journal.read()
    with suppress(APIError, EngineLost), engine_answers("removing what a build left"):
        for container in _containers(client, made):
            _end(client, container)
        for image in _images(client, made):
            _remove_image(client, image)
        journal.clear()


def orphans(client: Client) -> list[Orphan]:
    """What builds left whose builders are dead; the journals come last."""
    directory = _directory()
    if not _is_ours(directory):
        return []
    found, journals = [], []
    for path in sorted(directory.glob(f"{_prefix(client)}*")):
        with _abandoned(path) as abandoned:
            if not abandoned:
                continue
            made = _read(path)
            owner = f"build of {made.tag}, process {made.pid}"
            found += [
                Orphan("container", container[:12], owner, container)
                for container in _containers(client, made)
            ]
            found += [
                Orphan("image", image.removeprefix("sha256:")[:12], owner, image)
                for image in _images(client, made)
            ]
            journals.append(Orphan("journal", str(path), owner, str(path)))
    return found + journals


def remove(client: Client, orphan: Orphan) -> None:
    """Remove what ``orphans`` found. Raises CannotRemove, APIError, EngineLost."""
    if orphan.kind == "image":
        _remove_image(client, orphan.handle)
        return
    path = Path(orphan.handle)
    with _abandoned(path) as abandoned:
        if not abandoned:
            return
        made = _read(path)
        if _containers(client, made) or _images(client, made):
            raise CannotRemove("what it tells of is still there")
        path.unlink()


@contextmanager
def _abandoned(path: Path) -> Iterator[bool]:
    """Whether nobody holds this journal; nobody can take it inside the block then."""
    try:
        file = FileIO(path, "r+")
    except FileNotFoundError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _containers(client: Client, made: Made) -> list[str]:
    if not made.containers:
        return []
    return [
        container["Id"]
        for container in client.containers(all=True, filters={"id": made.containers})
        if container["Created"] >= made.began
    ]


def _images(client: Client, made: Made) -> list[str]:
    """Images that the build made and nobody else has a use for, children first."""
    if not made.containers and not made.images:
        return []
    listed = client.images(all=True)
    ours = {
        image["Id"]
        for image in listed
        if image["Created"] >= made.began and _is_from(client, image["Id"], made)
    }
    return removable(listed, ours)


def _is_from(client: Client, image: str, made: Made) -> bool:
    if image.removeprefix("sha256:").startswith(tuple(made.images)):
        return True
    try:
        container = client.inspect_image(image).get("Container")  # type: ignore[no-untyped-call]
    except NotFound:
        return False
    return bool(container) and container.startswith(tuple(made.containers))


def removable(listed: Iterable[Mapping[str, Any]], ours: Collection[str]) -> list[str]:
    """Which of ``ours`` are nameless and below nothing but each other, children first.

    ``listed`` are all images of the engine, as its API lists them.
    """
    left = {image["Id"]: image for image in listed}
    found: list[str] = []
    while True:
        parents = {image["ParentId"] for image in left.values()}
        leaves = [
            name
            for name, image in left.items()
            if name in ours and name not in parents and not _has_name(image)
        ]
        if not leaves:
            return found
        found += leaves
        for name in leaves:
            del left[name]


def _has_name(image: Mapping[str, Any]) -> bool:
    names = {*(image["RepoTags"] or ()), *(image["RepoDigests"] or ())}
    return bool(names - _UNTAGGED)


def _remove_image(client: Client, image: str) -> None:
    """Remove one image and nothing above it; one that somebody uses by now is left to them."""
    try:
        client.remove_image(image, force=False, noprune=True)
    except NotFound:
        pass
    except APIError as error:
        if error.status_code != requests.codes.conflict:
            raise


def _end(client: Client, container: str) -> None:
    """Wait for the engine to end and remove a build's container, which it does after its image."""
    with suppress(NotFound, requests.RequestException):
        client.wait(container, timeout=_END_SECONDS, condition="removed")
    remove_container(client, container)
