from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_reseval.outcomes import Cause, Outcome
from pytest_reseval.records import TrialRecord
from pytest_reseval.reports.findings import Findings, findings
from pytest_reseval.reports.findings.headline import Progress
from pytest_reseval.reports.findings.timeline import BRIEF, Load, averaged, loads
from pytest_reseval.resources import GIB, MIB
from pytest_reseval.runs import Run
from tests.unit.builders import make_manifest, make_phase, make_record

GUARANTEE = 128 * MIB
"""Of the records that are made here; the limit is twice as much."""


def trial(task: str, configuration: str, sample: int = 0) -> str:
    return f"tasks/{task}/task.toml::run[{configuration}-s{sample}]"


def record(task: str, cause: Cause, configuration: str = "3x", **fields: Any) -> TrialRecord:
    name = trial(task, configuration, fields.get("sample", 0))
    return make_record(task, cause, configuration=configuration, trial=name, **fields)


def found(records: Sequence[TrialRecord], **manifest: Any) -> Findings:
    told = {"order": tuple(one.trial for one in records), "ended": "2026-01-02", "not_run": 0}
    return findings(Run(Path("run"), make_manifest(**(told | manifest)), tuple(records)))


MIXED = [
    record("unpack", Cause.OOM_LIMIT, "1x"),
    record("unpack", Cause.SOLVED, "3x"),
    record("sort", Cause.SOLVED, "1x"),
    record("sort", Cause.WRONG, "3x"),
]


def test_a_whole_run_misses_nothing() -> None:
    head = found(MIXED).headline
    assert head.missing is None
    assert (head.tasks, head.configurations, head.samples, head.trials) == (2, 2, 1, 4)
    assert head.outcomes == {Outcome.PASSED: 2, Outcome.FAILED: 1, Outcome.INFRA_ERROR: 1}


def test_an_interrupted_run_says_what_is_missing_and_where() -> None:
    order = tuple(
        trial(task, configuration)
        for task in ("unpack", "sort", "link")
        for configuration in ("1x", "3x", "uncapped")
    )
    assert found(MIXED, order=(trial("unpack", "3x", 4),)).headline.samples == 5
    report = found(MIXED, order=order, ended=None, not_run=None)
    missing = "Interrupted, or still running: 5 of 9 trials have no verdict"
    assert report.headline.missing == missing
    assert report.headline.progress == (
        Progress("1x", 3, 1),
        Progress("3x", 3, 1),
        Progress("uncapped", 3, 3),
    )
    assert report.configurations == ("1x", "3x", "uncapped")
    assert {row.task: [cell.missing for cell in row.cells] for row in report.matrix} == {
        "link": [1, 1, 1],
        "sort": [0, 0, 1],
        "unpack": [0, 0, 1],
    }


def test_a_run_without_any_verdict_can_be_reported() -> None:
    report = found([], order=(trial("unpack", "3x"),), ended=None)
    assert report.headline.missing == "Interrupted, or still running: 1 of 1 trials have no verdict"
    assert report.curve == ()
    assert report.timeline is None


def test_the_curve_counts_infra_errors_in_four_ways() -> None:
    tight, loose = found(MIXED).curve
    assert (tight.configuration, loose.configuration) == ("1x", "3x")
    assert tight.scores.headline.value == 0.5
    assert tight.scores.graded is not None
    assert tight.scores.graded.value == 1.0
    assert tight.scores.at_most.value == 1.0
    assert tight.scores.infra.value == 0.5


def test_a_cell_leads_to_the_first_trial_that_did_not_pass() -> None:
    samples = [
        record("sort", Cause.SOLVED, sample=0),
        record("sort", Cause.WRONG, sample=1),
        record("sort", Cause.OOM_LIMIT, sample=2),
    ]
    (row,) = found(samples).matrix
    (cell,) = row.cells
    assert cell.first == 1
    assert cell.worst is Outcome.INFRA_ERROR
    assert cell.causes == {"wrong": 1, "oom-limit": 1}
    assert not row.spotless


def test_peaks_are_the_highest_of_a_tasks_trials() -> None:
    records = [
        record("low", Cause.SOLVED, phases=[make_phase(peak=10 * MIB)]),
        record("high", Cause.SOLVED, sample=0, phases=[make_phase(peak=200 * MIB)]),
        record(
            "high",
            Cause.OOM_LIMIT,
            sample=1,
            phases=[make_phase(peak=256 * MIB, nonreclaimable_peak=250 * MIB, oom_kill=1)],
        ),
        record("unmeasured", Cause.START),
    ]
    high, low = found(records).peaks
    assert (high.task, high.peak, high.need, high.oom_kills, high.trials) == (
        "high",
        256 * MIB,
        250 * MIB,
        1,
        2,
    )
    assert high.ratio == 2.0
    assert (low.task, low.oom_kills) == ("low", 0)


def test_causes_come_by_outcome_and_number_with_an_example() -> None:
    records = [
        record("a", Cause.WRONG),
        record("a", Cause.START, "1x", message="no image"),
        record("b", Cause.OOM_LIMIT),
        record("c", Cause.OOM_LIMIT),
    ]
    causes = found(records).causes
    assert [(one.cause, one.trials, one.tasks) for one in causes] == [
        (Cause.OOM_LIMIT, 2, 2),
        (Cause.START, 1, 1),
        (Cause.WRONG, 1, 1),
    ]
    assert (causes[1].example, causes[1].message) == ("a[1x-s0]", "no image")


def test_a_retry_does_not_hide_an_infra_error() -> None:
    first = record("a", Cause.START).attempt
    attempts = found([record("a", Cause.SOLVED, earlier=(first,)), record("b", Cause.WRONG)])
    assert attempts.attempts.infra_first == 1
    assert attempts.attempts.retried == 1
    assert attempts.attempts.ended == Counter({Outcome.PASSED: 1})


def later(seconds: int) -> str:
    return f"2026-01-02T03:04:{seconds:02}.000+00:00"


def test_the_timeline_adds_up_what_was_promised() -> None:
    records = [
        record("a", Cause.SOLVED, started=later(0), waited=0.0, seconds=10.0, worker="gw0"),
        record("b", Cause.WRONG, started=later(2), waited=3.0, seconds=8.0, worker="gw1"),
    ]
    timeline = found(records).timeline
    assert timeline is not None
    assert timeline.loads == (
        Load(0.0, 0, 1, GUARANTEE, 1.0),
        Load(2.0, 1, 1, GUARANTEE, 1.0),
        Load(5.0, 0, 2, 2 * GUARANTEE, 2.0),
        Load(10.0, 0, 0, 0, 0.0),
    )
    assert [(span.asked, span.admitted, span.ended) for span in timeline.spans] == [
        (0.0, 0.0, 10.0),
        (2.0, 5.0, 10.0),
    ]


def test_an_earlier_attempt_has_its_own_span() -> None:
    first = record("a", Cause.START, started=later(0), seconds=1.0).attempt
    again = record("a", Cause.SOLVED, started=later(5), seconds=2.0, earlier=(first,))
    timeline = found([again]).timeline
    assert timeline is not None
    assert [(span.outcome, span.asked) for span in timeline.spans] == [
        (Outcome.INFRA_ERROR, 0.0),
        (Outcome.PASSED, 5.0),
    ]


@pytest.mark.parametrize(
    ("admission", "memory"),
    [("guarantee", GUARANTEE), ("limit", 2 * GUARANTEE), ("off", GUARANTEE)],
)
def test_what_is_promised_depends_on_admission(admission: str, memory: int) -> None:
    timeline = found(MIXED, options={"admission": admission}, budget_memory=7 * GIB).timeline
    assert timeline is not None
    assert {span.memory for span in timeline.spans} == {memory}


def test_a_load_too_brief_to_be_sure_of_is_left_out() -> None:
    records = [
        record("a", Cause.SOLVED, started=later(0), seconds=10.02, worker="gw0"),
        record("b", Cause.SOLVED, started=later(0), waited=10.0, seconds=20.0, worker="gw1"),
    ]
    timeline = found(records).timeline
    assert timeline is not None
    assert BRIEF > 0.02
    assert max(load.running for load in timeline.loads) == 1
    assert max(load.running for load in loads(timeline.spans)) == 1


def test_means_are_weighted_by_time() -> None:
    steps = [Load(0.0, 0, 4, 100, 1.0), Load(1.0, 0, 0, 0, 0.0), Load(4.0, 2, 0, 0, 0.0)]
    first, second, last = averaged(steps, 2)
    assert (first.time, first.running, first.memory) == (0.0, 2.0, 50.0)
    assert (second.time, second.running) == (2.0, 0.0)
    assert (last.time, last.waiting) == (4.0, 2)
