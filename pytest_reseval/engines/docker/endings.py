"""On whose account a container ended: an agent that is root can end its own.

Its first process takes no signal from inside, but whoever has the same user and capabilities may
trace it (ptrace(2)) and have it exit. The engine's event log tells such an end from one that was
asked of the engine: a container that the engine stops or removes has a ``kill`` before its ``die``
(Docker Engine API, SystemEvents).
"""

from __future__ import annotations

import time

from docker.errors import APIError

from pytest_reseval.engines.base import EngineError, SandboxEnded, SandboxLost
from pytest_reseval.engines.docker.client import Client, engine_answers

_PATIENCE = 5.0
_ASK_AGAIN = 0.1


def explain(client: Client, container_id: str, lost: SandboxLost) -> EngineError:
    """SandboxEnded when nobody asked the engine for the end, else ``lost``.

    An engine that tells of no end at all, as after a restart, proves nothing. Raises EngineLost.
    """
    end = time.monotonic() + _PATIENCE
    while "die" not in (seen := _events(client, container_id)):
        if time.monotonic() >= end:
            return lost
        time.sleep(_ASK_AGAIN)
    if seen & {"kill", "oom"}:
        return lost
    return SandboxEnded("what ran in the sandbox ended it: nobody asked the engine for that")


def _events(client: Client, container_id: str) -> set[str]:
    """The actions of interest that the engine remembers of a container."""
    filters = {"container": container_id, "event": ["die", "kill", "oom"]}
    try:
        with engine_answers("asking how a sandbox ended"):
            told = client.events(since=1, until=int(time.time()) + 1, filters=filters, decode=True)
            return {event["Action"] for event in told}
    except APIError:
        return set()
