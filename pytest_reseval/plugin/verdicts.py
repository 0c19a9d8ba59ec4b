"""From a trial's record to what pytest reports of its item."""

from __future__ import annotations

import pytest

from pytest_reseval.outcomes import Outcome
from pytest_reseval.plugin.fixtures import OPEN_TRIAL, RECORD
from pytest_reseval.records import TrialRecord

RECALLED = pytest.StashKey[bool]()
"""On an item whose verdict was on file before this run."""


def failure_text(record: TrialRecord) -> str:
    """What a person needs to see of a trial that did not pass."""
    name = str(record.cause)
    if record.outcome is Outcome.INFRA_ERROR:
        name = f"{record.outcome} ({record.cause})"
    lines = [f"{name}: {record.message}"]
    for phase in record.evidence.phases:
        if phase.output_tail.strip():
            lines += [f"--- end of the {phase.name}'s output ---", phase.output_tail.rstrip()]
    return "\n".join(lines)


def attach(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Put the verdict on the report that carries it: the failed setup, or the call.

    An infra-error in the body of a test is an error, not a failure; reporters, JUnit among them,
    tell the two by ``when`` alone, so the report is moved to the setup.
    """
    opened = item.stash.get(OPEN_TRIAL, None)
    if opened is not None and report.when == "call":
        del item.stash[OPEN_TRIAL]
        if report.skipped:
            return
        error = call.excinfo.value if call.excinfo else None
        verdict = item.stash[RECORD] = opened.judge(report.passed, error)
        if verdict.outcome is Outcome.INFRA_ERROR:
            report.when = "setup"
            report.longrepr = f"{failure_text(verdict)}\n\n{report.longreprtext}"
    record = item.stash.get(RECORD, None)
    if record is None or report.when == "teardown":
        return
    if report.failed or report.when == "call":
        mark(report, record)
        report.reseval_recalled = RECALLED in item.stash  # type: ignore[attr-defined]
        item.user_properties.extend(report.user_properties)


def retell(report: pytest.TestReport, record: TrialRecord) -> None:
    """Make the report of a worker's death that of the trial it was running."""
    passed = record.outcome is Outcome.PASSED
    report.outcome = "passed" if passed else "failed"
    report.when = "setup" if record.outcome is Outcome.INFRA_ERROR else "call"
    report.longrepr = None if passed else failure_text(record)
    mark(report, record)


def as_teardown(report: pytest.TestReport) -> None:
    """Make the report of a worker's death the end of an item of which all else was reported."""
    report.outcome, report.when, report.longrepr = "passed", "teardown", None


def mark(report: pytest.TestReport, record: TrialRecord) -> None:
    """Let the report carry the record, as plain builtins, and its main figures as properties."""
    report.location = (report.location[0], None, record.label)
    report.reseval = record.builtins()  # type: ignore[attr-defined]
    resources = record.evidence.resources
    figures = {
        "outcome": record.outcome,
        "cause": record.cause,
        "attempts": len(record.earlier) + 1,
        "headroom": record.configuration,
        "memory_guarantee_bytes": resources.memory_guarantee,
        "memory_limit_bytes": resources.memory_limit,
        "memory_peak_bytes": record.peak,
        "cpu_guarantee_cores": resources.cpu_guarantee,
        "cpu_limit_cores": resources.cpu_limit,
    }
    report.user_properties.extend(
        (f"reseval.{name}", "none" if figure is None else str(figure))
        for name, figure in figures.items()
    )
