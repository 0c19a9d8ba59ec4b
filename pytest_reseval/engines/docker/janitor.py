"""Finding and removing what dead runs left on a Docker engine."""

from __future__ import annotations

from collections.abc import Container, Mapping
from contextlib import suppress

import psutil
from docker.errors import APIError, NotFound

from pytest_reseval.engines.base import EngineLost
from pytest_reseval.engines.docker import builds, forgotten
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

_WITHOUT_PROCESSES = ("created", "exited", "dead", "removing")
"""States of a container in which the engine knows of no process of it."""


class DockerJanitor:
    """What bears the marks of dead owners, and broken builds.

    Containers, networks and volumes bear labels; first processes of containers that the engine has
    forgotten bear a mark.
    """

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
        alive = {one["Id"] for one in containers if one["State"] not in _WITHOUT_PROCESSES}
        found = [
            *(("container", one["Names"][0].lstrip("/"), one["Id"], one) for one in containers),
            *(("network", one["Name"], one["Id"], one) for one in networks),
            *(("volume", one["Name"], one["Name"], one) for one in volumes),
        ]
        labelled = [
            Orphan(kind, name, _owner(one["Labels"]), handle)
            for kind, name, handle, one in found
            if is_orphan(one["Labels"], self._here, process_has_ended)
        ]
        return self._forgotten(alive) + labelled

    def _forgotten(self, alive: Container[str]) -> list[Orphan]:
        found = [
            (process, mark, forgotten.container_of(process))
            for process, mark in forgotten.marked()
            if mark.pid_namespace == self._here.pid_namespace
            and process_has_ended(mark.pid, mark.started)
        ]
        return [
            Orphan(
                "process",
                f"{process.pid} of container {container[:12]}",
                whose(pid=mark.pid),
                str(mark),
            )
            for process, mark, container in found
            if container is not None and container not in alive
        ]

    def remove(self, orphan: Orphan) -> None:
        """See ``Janitor.remove``; raises EngineLost when the engine does not answer."""
        try:
            with engine_answers(f"removing {orphan.kind} {orphan.name}"), suppress(NotFound):
                if orphan.kind == "container":
                    remove_container(self._client, orphan.handle)
                    forgotten.end_processes_of({orphan.handle})
                elif orphan.kind == "network":
                    self._client.remove_network(orphan.handle)
                elif orphan.kind == "volume":
                    self._client.remove_volume(orphan.handle)
                elif orphan.kind == "process":
                    _kill(orphan.handle)
                else:
                    builds.remove(self._client, orphan)
        except APIError as error:
            raise CannotRemove(reason(error)) from error


def _kill(handle: str) -> None:
    for process, mark in forgotten.marked():
        if str(mark) == handle:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
            except psutil.AccessDenied as error:
                raise CannotRemove(f"process {process.pid} is another user's") from error


def _owner(labels: Mapping[str, str]) -> str:
    return whose(
        run=labels.get(PREFIX + "run"),
        trial=labels.get(PREFIX + "trial"),
        pid=labels.get(OWNER_PID),
    )
