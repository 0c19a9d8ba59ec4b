"""Where sandboxes run, and which of the engines a run takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from pytest_reseval.engines.base import Engine, EngineUnavailable
from pytest_reseval.janitor import Janitor


def choose(name: str) -> tuple[Engine, str]:
    """The engine by that name and why; ``auto`` takes docker if it answers, else local.

    Raises EngineUnavailable when it, or for ``auto`` neither, can be used on this machine.
    """
    if name == "docker":
        return _docker(), "asked for"
    if name == "local":
        return _local(), "asked for"
    try:
        engine = _docker()
    except EngineUnavailable as no_docker:
        try:
            return _local(), f"auto: {no_docker.reason}"
        except EngineUnavailable as no_local:
            raise EngineUnavailable(f"docker: {no_docker}; local: {no_local}") from None
    return engine, "auto: it answers"


@contextmanager
def janitor(name: str) -> Iterator[Janitor]:
    """Who finds and removes what dead runs left on the engine by that name; changes nothing yet.

    Raises EngineUnavailable.
    """
    if name == "docker":
        from pytest_reseval.engines.docker.client import Client
        from pytest_reseval.engines.docker.janitor import DockerJanitor

        with closing(Client.connect()) as client:
            yield DockerJanitor(client)
    else:
        from pytest_reseval.engines.local import janitor as local

        yield local.default_janitor()


def _docker() -> Engine:
    from pytest_reseval.engines.docker import DockerEngine

    return DockerEngine()


def _local() -> Engine:
    from pytest_reseval.engines.local import LocalEngine

    return LocalEngine()
