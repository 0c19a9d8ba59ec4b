"""Labels that say whose a container is, and what they prove once its owner is gone."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from docker.errors import APIError, NotFound

from pytest_reseval.engines.docker.client import CALL_TIMEOUT, Client
from pytest_reseval.engines.docker.forgotten import Mark
from pytest_reseval.engines.docker.processes import START_TIME, STATE, stat_fields

PREFIX = "org.pytest-reseval."
_HOST = PREFIX + "host"
BOOT = PREFIX + "boot"
_PID_NAMESPACE = PREFIX + "pid-namespace"
OWNER_PID = PREFIX + "owner-pid"
_OWNER_START = PREFIX + "owner-start"

_REMOVAL_IN_PROGRESS = 409


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process number means something: one boot of one host, one pid namespace."""

    host: str
    boot: str
    pid_namespace: str

    @classmethod
    def here(cls) -> Place:
        """The place of this process."""
        machine = Path("/etc/machine-id")
        return cls(
            host=machine.read_text().strip() if machine.exists() else socket.gethostname(),
            boot=Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            pid_namespace=os.readlink("/proc/self/ns/pid"),  # noqa: PTH115
        )


def owner_labels(place: Place) -> dict[str, str]:
    """Labels that name this process as the owner."""
    pid = os.getpid()
    return {
        _HOST: place.host,
        BOOT: place.boot,
        _PID_NAMESPACE: place.pid_namespace,
        OWNER_PID: str(pid),
        _OWNER_START: str(_start_ticks(pid)),
    }


def mark_of(owner: Mapping[str, str], container: str) -> Mark:
    """What the first process of an owner's container says of itself."""
    return Mark(
        owner[_PID_NAMESPACE],
        int(owner[OWNER_PID]),
        int(owner[_OWNER_START]),
        container.rpartition("-")[2],
    )


def is_orphan(
    labels: Mapping[str, str], here: Place, has_ended: Callable[[int, int], bool]
) -> bool:
    """True only when the labels prove that the owner can never come back for its container.

    ``has_ended`` answers for a process number of ``here`` and its start time in clock ticks since
    boot. Anything that another host or another pid namespace owns may well be alive.
    """
    if labels.get(_HOST) != here.host or BOOT not in labels:
        return False
    if labels[BOOT] != here.boot:
        return True
    if labels.get(_PID_NAMESPACE) != here.pid_namespace:
        return False
    try:
        pid, started = int(labels[OWNER_PID]), int(labels[_OWNER_START])
    except (KeyError, ValueError):
        return False
    return has_ended(pid, started)


def process_has_ended(pid: int, started: int) -> bool:
    """True when no process ``pid`` that began at ``started`` (ticks since boot) lives any more.

    False when that cannot be known, as under a /proc that hides the processes of others.
    """
    ticks = _start_ticks(pid)
    if ticks is not None:
        return ticks != started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _is_zombie(pid)


def remove_container(client: Client, container_id: str) -> None:
    """Kill and remove a container and its anonymous volumes; harmless when it is gone or going."""
    try:
        client.remove_container(container_id, force=True, v=True)
    except NotFound:
        pass
    except APIError as error:
        if error.status_code != _REMOVAL_IN_PROGRESS:
            raise
        with suppress(NotFound):
            client.wait(container_id, timeout=CALL_TIMEOUT, condition="removed")


def _start_ticks(pid: int) -> int | None:
    fields = stat_fields(pid)
    return None if fields is None or fields[STATE] in (b"Z", b"X") else int(fields[START_TIME])


def _is_zombie(pid: int) -> bool:
    fields = stat_fields(pid)
    return fields is not None and fields[STATE] == b"Z"
