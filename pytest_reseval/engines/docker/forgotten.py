"""Processes of containers that their engine has forgotten.

An engine that is killed while it starts a container may not know, once it runs again, that it did
(seen on Docker 20.10): the container is listed as created or not at all, and its standard input
never ends, because the shim holds it open. Who knows the container's id finds its processes by
their cgroups, be it that the runtime has not come to start the command. For all others the first
process itself says whose it is, by an argument that serves nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from pytest_reseval.engines.docker import idle

_MARK = re.compile(r"reseval:(?P<space>[^:]+:\[\d+\]):(?P<pid>\d+):(?P<started>\d+):(?P<token>\w+)")
_CONTAINER = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose a first process is, and of which of the owner's containers."""

    pid_namespace: str
    pid: int
    started: int
    """Of the owner, in clock ticks since boot."""
    token: str

    def __str__(self) -> str:
        return f"reseval:{self.pid_namespace}:{self.pid}:{self.started}:{self.token}"

    @classmethod
    def parse(cls, text: str) -> Mark | None:
        """The mark that was written so; None if this is none."""
        found = _MARK.fullmatch(text)
        if found is None:
            return None
        return cls(found["space"], int(found["pid"]), int(found["started"]), found["token"])


def marked() -> Iterator[tuple[psutil.Process, Mark]]:
    """The first processes of all containers of ours that this process can see."""
    for pid in psutil.pids():
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            *command, last = process.cmdline() or [""]
            if tuple(command) == idle.COMMAND and (mark := Mark.parse(last)):
                yield process, mark


def end_processes_of(containers: Container[str]) -> None:
    """Kill what there is of these containers, by id, as far as this user may."""
    for pid in psutil.pids():
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            if (container := container_of(process)) is not None and container in containers:
                process.kill()


def container_of(process: psutil.Process) -> str | None:
    """The id of the innermost container that a process is in, by its cgroups; None if in none."""
    try:
        found = _CONTAINER.findall(Path(f"/proc/{process.pid}/cgroup").read_text())
    except OSError:
        return None
    return found[-1] if found else None
