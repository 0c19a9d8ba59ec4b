"""The engine of a run in a process that joins it: connected when first needed, and again if away.

A worker may start, in a dead one's place, while the engine that its run goes on with is starting
too. That is the engine's failure, and no mistake in the settings.
"""

from __future__ import annotations

from collections.abc import Callable

from pytest_reseval.engines.base import (
    Engine,
    EngineInfo,
    EngineUnavailable,
    Sandbox,
    SandboxRequest,
)
from pytest_reseval.tasks.model import Environment, Task


class AwaitedEngine:
    """Stands for an engine of which all is known but whether it answers; see ``Engine``.

    What needs the engine raises EngineUnavailable as long as it does not answer.
    """

    def __init__(self, info: EngineInfo, connect: Callable[[], Engine]) -> None:
        """``connect`` raises EngineUnavailable."""
        self.info = info
        self._connect = connect
        self._connected: Engine | None = None
        self._network: tuple[str, str | None] | None = None
        self._unasked: dict[str, Task] = {}
        """By name, tasks of which the engine could not be asked whether it can run them."""

    def _engine(self) -> Engine:
        if self._connected is None:
            engine = self._connect()
            if self._network is not None:
                engine.join_network(*self._network)
            self._connected = engine
        return self._connected

    def unsupported(self, task: Task) -> str | None:
        """See ``Engine.unsupported``; while it does not answer, ``prepare`` asks in the end."""
        try:
            return self._engine().unsupported(task)
        except EngineUnavailable:
            self._unasked[task.name] = task
            return None

    def prepare(self, name: str, environment: Environment, *, timeout: float | None) -> str | None:
        """See ``Engine.prepare``."""
        engine = self._engine()
        task = self._unasked.pop(name, None)
        if task is not None and (reason := engine.unsupported(task)):
            raise EngineUnavailable(reason)
        return engine.prepare(name, environment, timeout=timeout)

    def join_network(self, run: str, name: str | None = None) -> str | None:
        """See ``Engine.join_network``; it is joined once the engine answers."""
        self._network = run, name
        return name if self._connected is None else self._connected.join_network(run, name)

    def start(self, request: SandboxRequest) -> Sandbox:
        """See ``Engine.start``."""
        return self._engine().start(request)

    def sweep(self) -> list[str]:
        """See ``Engine.sweep``."""
        return self._engine().sweep()

    def close(self) -> None:
        """See ``Engine.close``."""
        if self._connected is not None:
            self._connected.close()
