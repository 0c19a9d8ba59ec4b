"""Engines and sandboxes for tests; whatever cannot be had here is skipped with the reason."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest

from pytest_reseval.engines import choose
from pytest_reseval.engines.base import Engine, EngineUnavailable, Sandbox, SandboxRequest
from pytest_reseval.resources import MIB, Resources

REPOSITORY = Path(__file__).parents[2]
SLOWNESS = float(os.environ.get("RESEVAL_TESTS_SLOWNESS", "1"))
"""By what factor to be more patient than on a real processor."""

PATIENCE = 120.0 * SLOWNESS


class Start(Protocol):
    """Starts a sandbox that is closed after the test."""

    def __call__(
        self,
        *,
        memory_guarantee: int = 64 * MIB,
        memory_limit: int | None = 512 * MIB,
        cpu_guarantee: float = 0.5,
        cpu_limit: float | None = 2.0,
        pids_limit: int = 256,
        storage_limit: int = 1024 * MIB,
        **request: Any,
    ) -> Sandbox: ...


def wait_until(true: Callable[[], bool], what: str) -> None:
    """Wait for a condition; the test fails when it does not come true in PATIENCE seconds."""
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"not within {PATIENCE:g} s: {what}")
        time.sleep(0.02)


def _marked(mark: str) -> Iterator[tuple[psutil.Process, list[str]]]:
    """This host's living processes one argument of which is ``mark``, with their arguments."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            arguments = process.cmdline()
            if mark in arguments and process.status() != psutil.STATUS_ZOMBIE:
                yield process, arguments


def marked_processes(mark: str) -> list[psutil.Process]:
    """This host's living processes one argument of which is ``mark``."""
    return [process for process, _ in _marked(mark)]


def wait_for_process(mark: str) -> psutil.Process:
    """The process with this mark, once it has come to be: a shell does not wait for its orphans.

    ``setsid`` bears the mark too before it becomes, or forks, what it was asked to run. Arguments
    are read once: in the middle of an exec a process shows none.
    """
    found: list[psutil.Process] = []

    def has_come() -> bool:
        found.extend(process for process, arguments in _marked(mark) if arguments[0] != "setsid")
        return bool(found)

    wait_until(has_come, f"a process with argument {mark}")
    return found[0]


def first_process(inside: psutil.Process) -> psutil.Process:
    """The process that is number 1 in the pid namespace of another."""
    namespace = Path(f"/proc/{inside.pid}/ns/pid").readlink()
    for process in psutil.process_iter():
        try:
            if Path(f"/proc/{process.pid}/ns/pid").readlink() != namespace:
                continue
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            continue
        if "NSpid" in status and status.split("NSpid:")[1].splitlines()[0].split()[-1] == "1":
            return process
    raise LookupError(f"no first process in {namespace}")


@pytest.fixture
def mark() -> str:
    """A number of seconds to sleep that no other process on this host has as an argument."""
    return f"9{uuid.uuid4().int % 10**6:06}.{uuid.uuid4().int % 10**9:09}"


@pytest.fixture(
    scope="session",
    params=[
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("local", marks=pytest.mark.root),
    ],
)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Every engine in turn."""
    yield from _opened(request.param)


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Engine]:
    """The Docker engine alone."""
    yield from _opened("docker")


def _opened(name: str) -> Iterator[Engine]:
    if name == "local" and os.geteuid() != 0:
        pytest.skip("the local engine needs root for namespaces and cgroups")
    try:
        engine, _ = choose(name)
    except EngineUnavailable as unavailable:
        pytest.skip(str(unavailable))
    yield engine
    engine.close()


@pytest.fixture
def image(engine: Engine, request: pytest.FixtureRequest) -> str | None:
    """What the engine wants in a request: an image for docker, nothing for local."""
    if engine.info.name != "docker":
        return None
    found: str = request.getfixturevalue("base_image")
    return found


@pytest.fixture
def start(engine: Engine, image: str | None, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Start sandboxes of the engine under test."""
    yield from _starter(engine, image, request.node.name)


@pytest.fixture
def start_docker(
    docker_engine: Engine, base_image: str, request: pytest.FixtureRequest
) -> Iterator[Start]:
    """Start containers, whatever other engines there are."""
    yield from _starter(docker_engine, base_image, request.node.name)


def _starter(engine: Engine, image: str | None, test: str) -> Iterator[Start]:
    started: list[Sandbox] = []

    def start(
        *,
        memory_guarantee: int = 64 * MIB,
        memory_limit: int | None = 512 * MIB,
        cpu_guarantee: float = 0.5,
        cpu_limit: float | None = 2.0,
        pids_limit: int = 256,
        storage_limit: int = 1024 * MIB,
        **request: Any,
    ) -> Sandbox:
        resources = Resources(
            memory_guarantee, memory_limit, cpu_guarantee, cpu_limit, pids_limit, storage_limit
        )
        asked = SandboxRequest(test, image, resources, labels={"trial": test}, **request)
        started.append(engine.start(asked))
        return started[-1]

    yield start
    for sandbox in started:
        sandbox.close()


@pytest.fixture
def sandbox(start: Start) -> Sandbox:
    """A sandbox with room enough for anything but the tests of limits."""
    return start()
