"""Benchmarks full of faults, and the table of what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pytest_reseval.engines.base import EngineUnavailable
from tests.faults import table
from tests.faults.benchmark import Benchmark, made
from tests.faults.facts import Fact, Record

Observe = Callable[[str, Record, tuple[Fact, ...]], None]

WORKERS = ("-n0", "-n2")


@pytest.fixture(
    scope="session",
    params=[
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("local", marks=pytest.mark.root),
    ],
)
def engine(request: pytest.FixtureRequest) -> str:
    """Every engine in turn; docker with the image that the tasks name."""
    name: str = request.param
    if name == "docker":
        request.getfixturevalue("base_image")
    else:
        from pytest_reseval.engines.local import LocalEngine

        try:
            LocalEngine().close()
        except EngineUnavailable as error:
            pytest.skip(str(error))
    return name


@pytest.fixture(scope="session", params=WORKERS)
def workers(request: pytest.FixtureRequest) -> str:
    """In one process, and in xdist's workers."""
    name: str = request.param
    return name


@pytest.fixture
def benchmark(engine: str) -> Iterator[Benchmark]:
    """An empty benchmark, of whose runs nothing may be left after the test."""
    with made(engine) as empty:
        yield empty


@pytest.fixture
def observe(engine: str, record_property: Callable[[str, object], None]) -> Observe:
    """Say what became of a fault: asserts the facts, and puts the verdict into the table."""

    def observed(fault: str, record: Record, evidence: tuple[Fact, ...]) -> None:
        for fact in evidence:
            assert fact.holds(record), fact.words
        cell = table.Cell(record["outcome"], record["cause"], [fact.words for fact in evidence])
        record_property(table.PROPERTY, table.dump(fault, engine, cell))

    return observed
