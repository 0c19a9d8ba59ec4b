"""Finding and removing what dead runs left on a Docker engine."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from docker.errors import APIError, NotFound

from pytest_reseval.engines.base import EngineLost
from pytest_reseval.engines.docker import builds
from pytest_reseval.engines.docker.client import Client, engine_answers, reason
from pytest_reseval.engines.docker.orphans import (
    BOOT,
    OWNER_PID,
    PREFIX,
    Place,
    is_orphan,
    process_has_ended,
    remove_container,
)
from pytest_reseval.janitor import CannotRemove, Orphan, whose


class DockerJanitor:
    """Containers, networks and volumes that bear the labels of dead owners, and broken builds."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._here = Place.here()

    def orphans(self) -> list[Orphan]:
        """See ``Janitor.orphans``; raises EngineLost when the engine does not answer."""
        try:
            with engine_answers("looking for what dead runs left behind"):
                return self._labelled() + builds.orphans(self._client)
        except APIError as error:
            raise EngineLost(f"the engine cannot tell what is there: {reason(error)}") from error

    def _labelled(self) -> list[Orphan]:
        ours = {"label": [BOOT]}
        containers = self._client.containers(all=True, filters=ours)
        networks = self._client.networks(filters=ours)
        volumes = self._client.volumes(filters=ours)["Volumes"] or ()
        found = [
            *(("container", one["Names"][0].lstrip("/"), one["Id"], one) for one in containers),
            *(("network", one["Name"], one["Id"], one) for one in networks),
            *(("volume", one["Name"], one["Name"], one) for one in volumes),
        ]
        return [
            Orphan(kind, name, _owner(one["Labels"]), handle)
            for kind, name, handle, one in found
            if is_orphan(one["Labels"], self._here, process_has_ended)
        ]

    def remove(self, orphan: Orphan) -> None:
        """See ``Janitor.remove``; raises EngineLost when the engine does not answer."""
        try:
            with engine_answers(f"removing {orphan.kind} {orphan.name}"), suppress(NotFound):
                if orphan.kind == "container":
                    remove_container(self._client, orphan.handle)
                elif orphan.kind == "network":
                    self._client.remove_network(orphan.handle)
                elif orphan.kind == "volume":
                    self._client.remove_volume(orphan.handle)
                else:
                    builds.remove(self._client, orphan)
        except APIError as error:
            raise CannotRemove(reason(error)) from error


def _owner(labels: Mapping[str, str]) -> str:
    return whose(
        run=labels.get(PREFIX + "run"),
        trial=labels.get(PREFIX + "trial"),
        pid=labels.get(OWNER_PID),
    )
