"""Networks on which containers reach the outside, and not each other."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress

from docker.errors import APIError, NotFound

from pytest_reseval.engines.base import EngineLost
from pytest_reseval.engines.docker.client import Client, engine_answers, reason
from pytest_reseval.engines.docker.orphans import PREFIX

_OPTIONS = {"com.docker.network.bridge.enable_icc": "false"}
"""Docker, "Bridge network driver": no inter-container connectivity."""


class CannotSeparate(Exception):
    """No such network can be had; the message says why."""


class Networks:
    """The networks that this process made."""

    def __init__(self, client: Client, owner: Mapping[str, str]) -> None:
        self._client = client
        self._owner = owner
        self._made: list[str] = []

    def make(self, run: str) -> str:
        """A new network's name, which no other has. Raises CannotSeparate."""
        name = f"reseval-{run}-{secrets.token_hex(4)}"
        self._made.append(name)
        try:
            with engine_answers("making a network"):
                created = self._client.create_network(
                    name,
                    driver="bridge",
                    options=_OPTIONS,
                    labels={PREFIX + "run": run, **self._owner},
                )
        except APIError as error:
            raise CannotSeparate(reason(error)) from error
        except EngineLost as error:
            raise CannotSeparate(str(error)) from error
        if created.get("Warning"):  # how Podman says that it makes the network without the option
            self.remove()
            raise CannotSeparate(created["Warning"])
        return name

    def remove(self) -> None:
        """Remove them all, those too whose making was broken off.

        What other processes' containers still use, or a lost engine holds, is left to a janitor.
        """
        while self._made:
            with (
                suppress(APIError, EngineLost),
                engine_answers("removing a network"),
            ):
                self._client.remove_network(self._made.pop())


def is_missing(name: str | None, error: BaseException | None) -> bool:
    """Whether a container could not be started because somebody removed its network meanwhile.

    ``docker network prune`` removes what no container uses at that moment.
    """
    return name is not None and isinstance(error, NotFound) and name in reason(error)
