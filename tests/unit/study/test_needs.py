"""What the measured peaks say of each task's guarantee."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.outcomes import Cause, Evidence, Outcome
from pytest_reseval.records import TrialRecord
from pytest_reseval.resources import GIB, MIB, Headroom
from pytest_reseval.study.needs import MARGIN, Need, Status, needs, readable
from tests.unit.builders import ENFORCED, RESOURCES, make_phase, make_record

GUARANTEE = 128 * MIB


def measured(
    headroom: str,
    peak: int | None,
    held: int | None = None,
    *,
    killed: bool = False,
    sample: int = 0,
    **fields: Any,
) -> TrialRecord:
    """A trial whose agent's phase had such peaks in MiB."""
    phase = make_phase(
        peak=None if peak is None else peak * MIB,
        nonreclaimable_peak=None if peak is None else (peak if held is None else held) * MIB,
        oom_kill=int(killed),
        **fields.pop("phase", {}),
    )
    terms = Headroom.parse(headroom)
    resources = replace(
        RESOURCES,
        memory_limit=terms.memory_limit(GUARANTEE),
        cpu_limit=None,
        memory_grace=terms.grace,
    )
    record = make_record(
        "unpack",
        Cause.OOM_LIMIT if killed else Cause.SOLVED,
        configuration=headroom,
        sample=sample,
        trial=f"tasks/unpack/task.toml::run[{headroom}-s{sample}]",
        task_digest="d",
        **({"agent": "cmd:solve"} | fields),
    )
    return replace(record, evidence=Evidence(resources, ENFORCED, phases=(phase,)))


def need(*records: TrialRecord) -> Need:
    (found,) = needs(records)
    return found


def test_a_kill_at_the_guarantee_is_too_low_and_the_peak_above_says_by_how_much() -> None:
    found = need(measured("1x", 128, killed=True), measured("3x", 200), measured("uncapped", 210))
    assert (found.status, found.under) == (Status.TOO_LOW, "uncapped")
    assert (found.low, found.high) == (210 * MIB, 210 * MIB)
    assert found.proposal == 256 * MIB


def test_a_peak_that_cannot_be_reclaimed_is_enough_to_show_it() -> None:
    found = need(measured("uncapped", 300, held=290))
    assert found.status is Status.TOO_LOW
    assert found.proposal == readable(300 * MIB)


def test_where_every_headroom_kills_no_amount_is_proposed() -> None:
    found = need(measured("1x", 128, killed=True), measured("3x", 384, killed=True))
    assert (found.status, found.proposal) == (Status.TOO_LOW, None)
    assert (found.low, found.high, found.under) == (384 * MIB, None, None)


def test_a_kill_far_below_the_guarantee_says_nothing_of_it() -> None:
    found = need(measured("1x", 50, killed=True))
    assert (found.status, found.proposal) == (Status.UNTESTED, None)


def test_page_cache_beyond_the_guarantee_is_unclear() -> None:
    found = need(measured("uncapped", 500, held=20))
    assert (found.status, found.proposal) == (Status.UNCLEAR, None)
    assert (found.low, found.high) == (20 * MIB, 500 * MIB)


def test_what_was_not_killed_at_its_guarantee_needs_no_more() -> None:
    found = need(measured("1x", 128, held=20), measured("uncapped", 500, held=140))
    assert found.status is Status.FITTING
    assert found.high == GUARANTEE


def test_a_kill_tells_more_than_a_tighter_limit_without_one() -> None:
    found = need(measured("2x", 250), measured("3x", 384, killed=True))
    assert found.low == 384 * MIB
    assert found.status is Status.TOO_LOW


def test_an_end_above_a_lenient_limit_is_a_kill() -> None:
    ended = measured("lenient:2x/5s", 300, phase={"ended_above_limit": 5.2})
    assert need(ended).status is Status.TOO_LOW
    assert need(ended, measured("uncapped", 310)).proposal == readable(310 * MIB)


def test_a_lenient_limit_that_killed_nothing_bounds_nothing() -> None:
    assert need(measured("lenient:2x/5s", 300, held=290)).high == 300 * MIB


def test_the_highest_of_all_samples_counts() -> None:
    found = need(*(measured("uncapped", peak, sample=k) for k, peak in enumerate((150, 180, 160))))
    assert (found.high, found.samples) == (180 * MIB, 3)


def test_generous_is_twice_what_would_be_proposed() -> None:
    assert need(measured("uncapped", 50)).status is Status.GENEROUS
    assert need(measured("uncapped", 60)).status is Status.FITTING


def test_a_sampled_peak_bounds_nothing_from_above() -> None:
    found = need(measured("uncapped", 100, phase={"peak_source": "sampled"}))
    assert (found.status, found.high) == (Status.UNTESTED, None)


@pytest.mark.parametrize(
    "record",
    [
        measured("uncapped", None),
        measured("uncapped", 300, agent="nop"),
    ],
)
def test_what_was_not_measured_is_untested(record: TrialRecord) -> None:
    found = need(record)
    assert (found.status, found.proposal) == (Status.UNTESTED, None)


def test_a_trial_that_was_cut_off_before_its_end_is_no_measurement() -> None:
    cut = replace(measured("uncapped", 10), outcome=measured("1x", 1, killed=True).outcome)
    assert need(cut).status is Status.UNTESTED


def test_the_sandbox_of_a_separate_verifier_is_not_the_task_s() -> None:
    record = measured("uncapped", 50)
    verifier = make_phase("verifier", peak=900 * MIB, nonreclaimable_peak=900 * MIB)
    evidence = replace(
        record.evidence,
        phases=(*record.evidence.phases, verifier),
        verifier_resources=RESOURCES,
    )
    assert need(replace(record, evidence=evidence)).high == 50 * MIB
    shared = replace(evidence, verifier_resources=None)
    assert need(replace(record, evidence=shared)).high == 900 * MIB


def test_the_oracle_and_nop_are_no_models() -> None:
    assert need(measured("uncapped", 50)).of_a_model
    assert not need(measured("uncapped", 50, agent="oracle")).of_a_model


def test_tests_without_a_task_file_have_no_spec() -> None:
    assert needs([replace(measured("uncapped", 50), task_digest=None)]) == []


def test_after_a_change_of_the_task_what_came_last_counts() -> None:
    old = replace(measured("1x", 128, killed=True), task_digest="old")
    assert need(old, measured("uncapped", 60)).digest == "d"
    assert need(old, measured("uncapped", 60)).status is Status.FITTING


def test_cpu_is_means_and_throttling() -> None:
    cpu = need(
        measured("1x", 50, phase={"throttled_seconds": 2.0, "cpu_seconds": 1.0}),
        measured("1x", 50, sample=1),
        measured("3x", 50, phase={"cpu_seconds": 6.0, "seconds": 4.0}),
    ).cpu
    assert (cpu.throttled, cpu.throttled_of, cpu.throttled_seconds) == (1, 2, 2.0)
    assert cpu.busiest == 1.5


@given(st.integers(1, 64 * GIB))
def test_a_proposal_holds_the_need_and_its_margin_and_is_not_far_above(amount: int) -> None:
    proposed = readable(amount)
    assert proposed >= amount * MARGIN
    assert proposed % (32 * MIB) == 0
    assert proposed <= max(64 * MIB, amount * MARGIN * 1.25 + 32 * MIB)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["1x", "3x", "uncapped"]),
            st.integers(1, 1000),
            st.integers(1, 1000),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_bounds_are_in_order_and_only_what_is_too_low_is_raised(
    trials: list[tuple[str, int, int, bool]],
) -> None:
    found = need(
        *(
            measured(headroom, max(peak, held), held, killed=killed, sample=k)
            for k, (headroom, peak, held, killed) in enumerate(trials)
        )
    )
    assert found.high is None or (found.low is not None and found.low <= found.high)
    if found.proposal is not None:
        assert found.status is Status.TOO_LOW
        assert found.proposal > found.guarantee


def test_what_no_trial_solved_is_untested_however_little_it_used() -> None:
    gave_up = replace(measured("uncapped", 8), outcome=Outcome.FAILED, cause=Cause.WRONG)
    assert need(gave_up).status is Status.UNTESTED
    assert need(gave_up, measured("3x", 8)).status is Status.GENEROUS
