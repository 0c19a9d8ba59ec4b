"""What one container occupies on the host's disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docker.errors import APIError

from pytest_reseval.cgroups.locate import Location, processes
from pytest_reseval.disk.usage import Usage, measure
from pytest_reseval.engines.docker.client import (
    CALL_TIMEOUT,
    Client,
    engine_answers,
    raise_for_status,
)

_FILES = ("HostsPath", "HostnamePath", "ResolvConfPath")
"""Files of the host that are mounted into a container, in which its root may write at will."""


class ContainerDisk:
    """Measures a container from the host, or by the engine's word where we may not look."""

    def __init__(
        self,
        client: Client,
        container_id: str,
        cgroup: Location,
        layer: Path | None,
        beside: list[Path],
    ) -> None:
        self._client = client
        self._container_id = container_id
        self._cgroup = cgroup
        self._layer = layer
        self._beside = beside

    @classmethod
    def of(cls, client: Client, told: Mapping[str, Any], cgroup: Location) -> ContainerDisk:
        """From what the engine tells of a container, and its cgroup."""
        return cls(client, told["Id"], cgroup, writable_layer(told), written_beside(told))

    def used(self) -> int | None:
        """Bytes now; None when its writable layer cannot be seen. Raises EngineLost.

        The engine counts the layer's files by their length, and neither volumes nor deleted files.
        """
        beside = measure(self._beside, processes(self._cgroup)).size
        layer = Usage(0, complete=False) if self._layer is None else measure([self._layer])
        if layer.complete:
            return layer.size + beside
        told = self._told()
        return None if told is None else max(layer.size, told) + beside

    def _told(self) -> int | None:
        """``SizeRw`` of Docker Engine API, ContainerInspect."""
        try:
            with engine_answers("measuring a sandbox"):
                response = self._client.get(
                    self._client.endpoint(f"/containers/{self._container_id}/json"),
                    params={"size": "1"},
                    timeout=CALL_TIMEOUT,
                )
                raise_for_status(response)
                told: int | None = response.json().get("SizeRw")
        except APIError:
            return None
        return told


def writable_layer(told: Mapping[str, Any]) -> Path | None:
    """The directory of a container's own layer; None with storage drivers that have none."""
    data = (told.get("GraphDriver") or {}).get("Data") or {}
    return Path(data["UpperDir"]) if data.get("UpperDir") else None


def written_beside(told: Mapping[str, Any]) -> list[Path]:
    """What a container can write to on the host's disk outside of its own layer."""
    volumes = [mount["Source"] for mount in told["Mounts"] if mount["Type"] == "volume"]
    return [Path(path) for path in (*volumes, *(told.get(key) for key in _FILES)) if path]
