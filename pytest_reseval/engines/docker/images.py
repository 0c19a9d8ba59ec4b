"""Images: pulled when they are prebuilt, built once when there is a Dockerfile."""

from __future__ import annotations

import json
import re
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

import requests
import urllib3
from docker import auth
from docker.errors import APIError, DockerException, ImageNotFound
from docker.utils import parse_repository_tag
from docker.utils.build import tar as tar_context

from pytest_reseval.engines.base import EngineLost, ImageBuildError, ImagePullError
from pytest_reseval.engines.docker import builds
from pytest_reseval.engines.docker.builds import Journal
from pytest_reseval.engines.docker.client import (
    Client,
    engine_answers,
    raise_for_status,
    reason,
    socket_of,
)
from pytest_reseval.engines.docker.orphans import PREFIX
from pytest_reseval.tasks.model import Environment, TaskError

_LAST_LINES = 15
_LONGEST_NAME = 100
_ASK_AGAIN = 0.1


class Deadline:
    """A moment by which something must be done; one without seconds never comes."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._at = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Seconds that are left, at least a little; None for no deadline."""
        return None if self._at is None else max(0.001, self._at - time.monotonic())

    def passed(self) -> bool:
        """True once the moment has come."""
        return self._at is not None and time.monotonic() >= self._at


class _TooLate(Exception):
    """The deadline came while the engine was still at work."""


def is_present(client: Client, image: str) -> bool:
    """True when the engine holds the image. Raises EngineLost."""
    try:
        with engine_answers(f"looking for image {image}"):
            client.inspect_image(image)  # type: ignore[no-untyped-call]
    except ImageNotFound:
        return False
    except APIError as error:
        raise EngineLost(f"the engine cannot tell of image {image}: {reason(error)}") from error
    return True


def pull(client: Client, image: str, deadline: Deadline) -> None:
    """Pull an image unless it is present. Raises ImagePullError with the engine's reason."""
    if is_present(client, image):
        return
    repository, tag = parse_repository_tag(image)
    try:
        registry, _ = auth.resolve_repository_name(repository)
        credentials = auth.get_config_header(client, registry)
        with engine_answers(f"pulling image {image}"), _in_time(deadline):
            response = client.post(
                client.endpoint("/images/create"),
                params={"fromImage": repository, "tag": tag or "latest"},
                headers={"X-Registry-Auth": credentials} if credentials else None,
                stream=True,
                timeout=deadline.left(),
            )
            raise_for_status(response)
            with closing(response):
                lines = (json.loads(line) for line in response.iter_lines() if line)
                for message in _until(deadline, [socket_of(response)], lines):
                    if "error" in message:
                        raise ImagePullError(f"image {image} cannot be pulled: {message['error']}")
    except _TooLate as late:
        raise ImagePullError(
            f"image {image} was not pulled within {deadline.seconds:g} s"
        ) from late
    except APIError as error:
        raise ImagePullError(f"image {image} cannot be pulled: {reason(error)}") from error
    except DockerException as error:
        raise ImagePullError(f"image {image} cannot be pulled: {error}") from error


def image_tag(name: str, digest: str) -> str:
    """The name under which an image is built: one for every name and content of its context."""
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower())[:_LONGEST_NAME].strip("-")
    return f"pytest-reseval/{readable or 'task'}:{digest}"


def build(client: Client, name: str, environment: Environment, deadline: Deadline) -> str:
    """Build the Dockerfile unless its image is present, one process at a time; answers the tag.

    Raises ImageBuildError with the last lines of output, EngineLost.
    """
    dockerfile, context = environment.dockerfile, environment.context
    try:
        digest = environment.context_digest
    except TaskError as error:
        raise ImageBuildError(str(error)) from error
    if dockerfile is None or context is None or digest is None:
        raise ImageBuildError(f"{name} has no Dockerfile with a build context")
    tag = image_tag(name, digest)
    if is_present(client, tag):
        return tag
    try:
        with _only_builder(builds.journal_path(client, digest), deadline) as journal:
            builds.clear(client, journal)
            if not is_present(client, tag):
                journal.begin(tag)
                try:
                    _build(tag, digest, dockerfile, context, deadline, journal)
                finally:
                    builds.clear(client, journal)
    except _TooLate as late:
        raise ImageBuildError(
            f"{dockerfile}: the build took longer than {deadline.seconds:g} s"
            + "".join(f"\n  {line}" for line in late.args)
        ) from late
    return tag


def _build(
    tag: str,
    digest: str,
    dockerfile: Path,
    context: Path,
    deadline: Deadline,
    journal: Journal,
) -> None:
    try:
        inside = dockerfile.relative_to(context).as_posix()
    except ValueError as error:
        raise ImageBuildError(
            f"{dockerfile}: is outside its build context {context}; move it there"
        ) from error
    last_lines: deque[str] = deque(maxlen=_LAST_LINES)
    connections: list[socket.socket] = []
    responses: list[requests.Response] = []

    def watch(response: requests.Response, **_: object) -> None:
        connections.append(socket_of(response))
        responses.append(response)

    # A client of its own, so that the hook sees the connection of this build only.
    with closing(Client.connect()) as client, _context_archive(context, inside) as archive:
        client.hooks["response"].append(watch)
        try:
            with engine_answers(f"building {dockerfile}"), _in_time(deadline):
                messages = client.build(
                    fileobj=archive,
                    custom_context=True,
                    dockerfile=inside,
                    tag=tag,
                    labels={PREFIX + "digest": digest},
                    rm=True,
                    forcerm=True,
                    decode=True,
                    timeout=cast(int, deadline.left()),
                )
                for message in _until(deadline, connections, messages):
                    journal.hear(str(message.get("stream", "")))
                    last_lines.extend(str(message.get("stream", "")).split("\n"))
                    if "error" in message:
                        raise ImageBuildError(_failure(dockerfile, message["error"], last_lines))
        except APIError as error:
            raise ImageBuildError(_failure(dockerfile, reason(error), last_lines)) from error
        except _TooLate as late:
            raise _TooLate(*filter(str.strip, last_lines)) from late
        finally:
            for connection in connections:
                # Hanging up is what cancels a build that is still going on.
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for response in responses:
                response.close()


def _failure(dockerfile: Path, why: str, last_lines: deque[str]) -> str:
    shown = [f"\n  {line.rstrip()}" for line in last_lines if line.strip()]
    return f"{dockerfile}: the build failed: {why.strip()}{''.join(shown)}"


@contextmanager
def _context_archive(context: Path, dockerfile: str) -> Iterator[IO[bytes]]:
    """The build context as a tar, without what .dockerignore leaves out; links stay links."""
    ignore = context / ".dockerignore"
    patterns: list[str] = []
    if ignore.is_file() and not ignore.is_symlink():
        lines = (line.strip() for line in ignore.read_text(errors="replace").splitlines())
        patterns = [line for line in lines if line and not line.startswith("#")]
    archive = tar_context(context, exclude=patterns, dockerfile=(dockerfile, None))
    with cast(IO[bytes], archive) as opened:
        yield opened


@contextmanager
def _in_time(deadline: Deadline) -> Iterator[None]:
    """Tell a connection that broke off because of our own deadline from a lost engine."""
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(error, APIError) or not deadline.passed():
            raise
        raise _TooLate from error


def _until(
    deadline: Deadline, connections: Sequence[socket.socket], messages: Iterator[Any]
) -> Iterator[Any]:
    """The messages that come over a connection, no read of which may outlast the deadline."""
    while True:
        if deadline.passed():
            raise _TooLate
        for connection in connections:
            if connection.fileno() >= 0:
                connection.settimeout(deadline.left())
        try:
            yield next(messages)
        except StopIteration:
            return


@contextmanager
def _only_builder(path: Path, deadline: Deadline) -> Iterator[Journal]:
    """Hold the journal of one build; the kernel releases it if this process dies."""
    while (journal := Journal.claim(path)) is None:
        if deadline.passed():
            raise _TooLate("another process was building the same image all the time")
        time.sleep(_ASK_AGAIN)
    with closing(journal):
        yield journal
