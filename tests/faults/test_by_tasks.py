"""Every fault that a task can bring about, on each engine, in one process and in workers."""

from __future__ import annotations

import pytest

from tests.faults.benchmark import made
from tests.faults.catalogue import CATALOGUE, Fault
from tests.faults.conftest import Observe
from tests.faults.facts import Record


@pytest.fixture(scope="session")
def verdicts(engine: str, workers: str) -> dict[str, Record]:
    """What was recorded of all these faults in one run, of which nothing was left."""
    with made(engine) as benchmark:
        for fault in CATALOGUE:
            if engine not in fault.elsewhere:
                benchmark.add(fault)
        benchmark.run(workers, "-o", "reseval_pids_limit=256")
        return benchmark.records()


@pytest.mark.parametrize("fault", CATALOGUE, ids=lambda fault: fault.name)
def test_fault(
    fault: Fault, engine: str, workers: str, verdicts: dict[str, Record], observe: Observe
) -> None:
    if engine in fault.elsewhere:
        assert fault.name not in verdicts
        return
    record = verdicts[fault.name]
    assert (record["outcome"], record["cause"]) == (fault.outcome, fault.cause), record["message"]
    observe(fault.name, record, fault.evidence)
