"""The connection to a Docker API: its address, its errors in our words, and hijacked streams."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException, create_api_error_from_http_exception
from docker.utils import kwargs_from_env

from pytest_reseval.engines.base import EngineLost, EngineUnavailable

CALL_TIMEOUT = 60
"""Seconds after which a silent API call counts as a lost engine."""

_GREETING_TIMEOUT = 10
_UNIX = "unix://"
_DEFAULT_ADDRESS = "unix:///var/run/docker.sock"


class Client(docker.APIClient):
    """docker-py's low-level client, with the calls that it has no deadline or no method for."""

    @classmethod
    def connect(cls) -> Client:
        """A client for DOCKER_HOST, or for Docker's own socket when that is unset.

        Raises EngineUnavailable with the address that was tried and the reason.
        """
        try:
            _knock()
            client = cls(version="auto", timeout=_GREETING_TIMEOUT, **kwargs_from_env())
        except (DockerException, requests.RequestException, OSError, ValueError) as error:
            raise EngineUnavailable(
                f"no Docker API answers at {address()}: {error}",
                "Start the engine, or point DOCKER_HOST at its socket (rootless Docker: "
                "unix://$XDG_RUNTIME_DIR/docker.sock, Podman: "
                "unix://$XDG_RUNTIME_DIR/podman/podman.sock), or use another engine",
            ) from error
        client.timeout = CALL_TIMEOUT
        return client

    @cached_property
    def engine_id(self) -> str:
        """What tells this engine from all others, in characters for a file name."""
        return re.sub(r"[^A-Za-z0-9]+", "-", str(self.info().get("ID") or "engine"))

    def endpoint(self, path: str) -> str:
        """The address of one API path, for the session's own get, post, put and head."""
        return f"{self.base_url}/v{self.api_version}{path}"

    def hijack(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Hijacked:
        """POST to a path that turns its connection into a raw stream. Raises APIError."""
        response = self.post(
            self.endpoint(path),
            params=params,
            json=body,
            headers={"Connection": "Upgrade", "Upgrade": "tcp"},
            stream=True,
            timeout=CALL_TIMEOUT,
        )
        raise_for_status(response)
        return Hijacked(response)


class Hijacked:
    """A connection taken over from HTTP; reading and writing never block."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self._socket = socket_of(response)
        self._socket.setblocking(False)
        try:
            # Bytes that came in the same packet as the headers wait in http.client's buffer.
            self._early: bytes = _raw(response).peek()
        except ssl.SSLWantReadError:
            self._early = b""

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._socket.fileno()

    def receive(self) -> bytes | None:
        """The next bytes, None when there are none yet, ``b""`` when the stream has ended."""
        if self._early:
            early, self._early = self._early, b""
            return early
        try:
            return self._socket.recv(256 * 1024)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except OSError:
            return b""

    def send(self, data: bytes) -> None:
        """Send what fits at once. Raises OSError when the peer is gone, BlockingIOError if full."""
        self._socket.send(data)

    def close(self) -> None:
        """Close the connection; harmless when called twice."""
        self._response.close()


def address() -> str:
    """Where the Docker API is looked for."""
    return os.environ.get("DOCKER_HOST") or _DEFAULT_ADDRESS


def _knock() -> None:
    """Raise OSError when nobody listens; docker-py would leave its socket open then."""
    if address().startswith(_UNIX):
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(_GREETING_TIMEOUT)
            door.connect(address().removeprefix(_UNIX))


@contextmanager
def engine_answers(doing: str) -> Iterator[None]:
    """Turn every failure of the connection into EngineLost; an APIError is an answer and passes."""
    try:
        yield
    except APIError:
        raise
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise EngineLost(
            f"the Docker API at {address()} did not answer while {doing}: {error}"
        ) from error


def raise_for_status(response: requests.Response) -> None:
    """Raise docker-py's APIError, with the engine's own words, for an HTTP error."""
    try:
        response.raise_for_status()
    except requests.HTTPError as error:
        try:
            raise create_api_error_from_http_exception(error) from error
        finally:
            response.close()


def reason(error: APIError) -> str:
    """The engine's own words, without the HTTP around them."""
    return str(error.explanation or error).strip()


def socket_of(response: requests.Response) -> socket.socket:
    """The socket under a streamed response; docker-py reaches for it in the same way."""
    found: socket.socket = _raw(response).raw._sock
    return found


def _raw(response: requests.Response) -> Any:
    body: Any = response.raw
    return body._fp.fp
