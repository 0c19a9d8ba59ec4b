"""Benchmarks full of faults, and the table of what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pytest_reseval.engines.base import EngineUnavailable
from tests.faults import by_hand, table
from tests.faults.benchmark import Benchmark, made
from tests.faults.catalogue import CATALOGUE
from tests.faults.facts import Fact, Record

Observe = Callable[[str, Record, tuple[Fact, ...]], None]

WORKERS = ("-n0", "-n2")


_seen: list[table.Seen] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-fault-table",
        action="store_true",
        help="write the table in docs/outcomes.md from what the fault suite saw",
    )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed:
        _seen.extend(
            table.load(str(text)) for name, text in report.user_properties if name == table.PROPERTY
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hold the documentation to what was seen, once every fault was."""
    if hasattr(session.config, "workerinput") or not _seen:
        return
    titles = {fault.name: fault.title for fault in CATALOGUE} | by_hand.TITLES
    elsewhere = {fault.name: fault.elsewhere for fault in CATALOGUE} | by_hand.ELSEWHERE
    try:
        rendered = table.rendered(titles, elsewhere, _seen)
    except ValueError as gap:
        print(f"\nthe table of faults was not looked at: {gap}")
        return
    if session.config.getoption("--write-fault-table", default=False):
        table.write(rendered)
    elif rendered != table.written():
        print(f"\n{table.DOCUMENT} says something else of faults; --write-fault-table mends it")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


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
