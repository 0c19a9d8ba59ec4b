from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.conditions import Conditions, HostLoad, Stalls
from pytest_reseval.outcomes import Cause
from pytest_reseval.records import TrialRecord
from pytest_reseval.service import ServiceUse
from pytest_reseval.statistics.intervals import wilson_interval
from pytest_reseval.study import confounders
from pytest_reseval.study.confounders import (
    CONDITIONS,
    Association,
    Balance,
    associations,
    balances,
    throttled_share,
)
from tests.unit.builders import make_phase, make_record

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CONFIGURATIONS = ("1x", "3x", "uncapped")
THROTTLED = {"1x": 3.0, "3x": 0.5, "uncapped": 0.0}
MEDIATOR = "throttled"


def trial(
    configuration: str = "1x",
    task: str = "task",
    sample: int = 0,
    start: float = 0.0,
    *,
    pressure: float = 0.0,
    cause: Cause = Cause.SOLVED,
    service: ServiceUse | None = None,
    **fields: Any,
) -> TrialRecord:
    """A trial that began ``start`` seconds into the run; pressure of everything as a share."""
    stalls = Stalls(some=10 * pressure, full=0.0)
    host = HostLoad(
        seconds=10.0,
        busy_share=pressure,
        steal_seconds=pressure,
        steal_share=pressure / 10,
        cpu_pressure=stalls,
        memory_pressure=stalls,
        io_pressure=stalls,
    )
    phase = make_phase(cpu_seconds=1.0, throttled_seconds=THROTTLED[configuration])
    return make_record(
        task,
        cause,
        configuration=configuration,
        phases=[phase],
        sample=sample,
        started=(BEGAN + timedelta(seconds=start)).isoformat(timespec="milliseconds"),
        conditions=Conditions(host, service),
        **fields,
    )


def run_of(
    seed: int, order: str, tasks: int = 6, samples: int = 2, load: float = 0.0
) -> list[TrialRecord]:
    """A run of which the conditions drift, one trial each minute.

    ``order``: ``rotated`` within blocks, as runs are; ``shuffled`` altogether; ``by configuration``
    one after the other. ``load`` is how much pressure an uncapped trial makes by itself.
    """
    random = Random(seed)
    blocks = [(f"task-{task}", sample) for sample in range(samples) for task in range(tasks)]
    random.shuffle(blocks)
    places = [
        (*block, CONFIGURATIONS[(turn + place) % 3])
        for turn, block in enumerate(blocks)
        for place in range(3)
    ]
    if order == "shuffled":
        random.shuffle(places)
    if order == "by configuration":
        places.sort(key=lambda place: CONFIGURATIONS.index(place[2]))
    drift, records = 0.3, []
    for number, (task, sample, configuration) in enumerate(places):
        drift = min(0.8, max(0.0, 0.9 * drift + random.gauss(0.03, 0.1)))
        records.append(
            trial(
                configuration,
                task,
                sample,
                start=60.0 * number + random.uniform(0, 5),
                pressure=drift + load * (configuration == "uncapped"),
                service=ServiceUse(requests=4, seconds=random.lognormvariate(2, 1)),
                waited=max(0.0, random.gauss(-20, 30)),
                neighbours_at_start=random.randrange(4),
                neighbours_at_end=random.randrange(4),
            )
        )
    return records


def balance_of(records: Sequence[TrialRecord], name: str) -> Balance:
    return next(one for one in balances(records) if one.condition.name == name)


def association_of(records: Sequence[TrialRecord], name: str) -> Association:
    return next(one for one in associations(records) if one.condition.name == name)


@pytest.mark.parametrize("order", ["rotated", "shuffled"])
def test_where_nothing_ties_conditions_to_configurations_alarms_are_as_rare_as_promised(
    monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """Of 150 runs at a level of 5%, 7.5 may alarm; more than 16 would have a chance of 0.2%.

    Of the 1500 single tests 5% should: the test is no test that never rejects.
    """
    monkeypatch.setattr(confounders, "RESAMPLES", 499)
    found = [balances(run_of(seed, order)) for seed in range(150)]
    tested = [[one for one in run if one.condition.name != MEDIATOR] for run in found]
    sure = sum(
        any(one.corrected is not None and one.corrected <= 0.05 for one in run) for run in tested
    )
    assert sure <= 16
    assert sum(any(one.unbalanced for one in run) for run in found) <= sure
    single = fmean(one.p is not None and one.p <= 0.05 for run in tested for one in run)
    assert 0.02 < single < 0.08


def test_configurations_one_after_the_other_are_told_with_how_far_they_are_apart() -> None:
    balance = balance_of(run_of(1, "by configuration", tasks=7), "started")
    assert balance.unbalanced
    assert balance.condition.nature == "confounder"
    assert (balance.low, balance.high, balance.blocks) == ("1x", "uncapped", 14)
    assert balance.sentence == (
        "uncapped trials started 28 minutes later than 1x trials on average: "
        "time of day and configuration cannot be told apart"
    )
    assert [level.configuration for level in balance.levels] == list(CONFIGURATIONS)
    assert balance.levels[0].mean == pytest.approx(6.5 * 60, abs=5)


def test_rotated_blocks_leave_time_of_day_balanced() -> None:
    balance = balance_of(run_of(1, "rotated"), "started")
    assert not balance.unbalanced
    assert balance.sentence == "time of day: no difference beyond chance between configurations"


def test_what_a_loosened_limit_lets_a_sandbox_do_to_its_host_is_worded_as_either() -> None:
    balance = balance_of(run_of(2, "rotated", load=0.3), "cpu_pressure")
    assert balance.unbalanced
    assert balance.high == "uncapped"
    assert balance.sentence.startswith("CPU pressure of the host: ")
    assert balance.sentence.endswith(
        "the configuration's own doing or a cause beside it, not told apart"
    )


def test_throttling_is_what_a_limit_does_and_never_called_a_confounder() -> None:
    found = balances(run_of(3, "rotated"))
    (throttled,) = [one for one in found if one.condition.nature == "mediator"]
    assert throttled.p is not None
    assert throttled.p < 0.01
    assert not throttled.unbalanced
    assert throttled.corrected is None
    assert throttled.sentence == (
        "throttling by the CPU limit: 75.0% in 1x trials, 0.0% in uncapped trials on average: "
        "part of what a CPU limit does, and no confounder"
    )


def test_sure_but_trifling_differences_are_not_shouted_about() -> None:
    """Each block's uncapped trial started ten seconds later, always: sure, and of no account."""
    records = [
        trial(configuration, f"task-{block}", start=60.0 * block + 10 * (configuration == "3x"))
        for block in range(20)
        for configuration in ("1x", "3x")
    ]
    balance = balance_of(records, "started")
    assert balance.corrected is not None
    assert balance.corrected <= 0.05
    assert not balance.unbalanced
    assert "too little to matter" in balance.sentence


def test_differences_small_beside_the_spread_are_not_either() -> None:
    records = [
        trial(one, f"task-{block}", start=7200.0 * block + 90 * (one == "3x"))
        for block in range(20)
        for one in ("1x", "3x")
    ]
    balance = balance_of(records, "started")
    assert balance.difference == pytest.approx(90)
    assert balance.standardized is not None
    assert balance.standardized < confounders.NOTABLE
    assert not balance.unbalanced


def test_with_few_blocks_it_is_said_that_they_are_too_few() -> None:
    records = [trial(one, start=3600.0 * CONFIGURATIONS.index(one)) for one in CONFIGURATIONS]
    balance = balance_of(records, "started")
    assert not balance.unbalanced
    assert balance.p == pytest.approx(1.0)
    assert balance.sentence.startswith("time of day: too few blocks to tell (1); uncapped trials")


def test_tasks_that_differ_are_compared_with_themselves_alone() -> None:
    """A task that always waits long, and one that was run under one configuration alone."""
    records = [
        trial(one, f"task-{block}", waited=1000.0 * (block == 0))
        for block in range(10)
        for one in CONFIGURATIONS
    ]
    records.append(trial("uncapped", "alone", waited=100_000.0))
    balance = balance_of(records, "waited")
    assert balance.blocks == 10
    assert balance.difference == 0
    assert balance.p == pytest.approx(1.0)
    assert balance.levels[-1].mean > balance.levels[0].mean, "means are of all trials"


def test_a_block_that_lacks_a_configuration_is_left_out() -> None:
    records = run_of(4, "rotated")
    whole = balance_of(records, "cpu_pressure").blocks
    lost = replace(records[0], conditions=None)
    balance = balance_of([lost, *records[1:]], "cpu_pressure")
    assert balance.blocks == whole - 1
    assert sum(level.trials for level in balance.levels) == len(records) - 1


@pytest.mark.parametrize(
    "records",
    [[], [make_record()], [make_record(configuration="1x"), make_record("other")]],
    ids=["nothing", "one trial", "no block"],
)
def test_where_nothing_can_be_compared_it_is_said_so(records: list[TrialRecord]) -> None:
    found = balances(records)
    assert [one.condition for one in found] == list(CONDITIONS)
    assert not any(one.unbalanced for one in found)
    assert all(
        one.sentence.endswith("not on record for two configurations of one block") for one in found
    )


def test_records_of_before_there_were_conditions_are_compared_in_what_they_hold() -> None:
    records = [replace(record, conditions=None) for record in run_of(5, "by configuration")]
    assert balance_of(records, "started").unbalanced
    assert balance_of(records, "cpu_pressure").p is None
    assert association_of(records, "cpu_pressure") == Association(
        next(one for one in CONDITIONS if one.name == "cpu_pressure"), (), len(records)
    )


def test_the_same_records_and_seed_have_the_same_balance() -> None:
    records = run_of(6, "shuffled")
    assert balances(records) == balances(list(records))


@pytest.mark.parametrize(
    ("phases", "share"),
    [
        ([], None),
        ([make_phase(cpu_seconds=1.0, throttled_seconds=3.0)], 0.75),
        ([make_phase(cpu_seconds=1.0, throttled_seconds=None)], None),
        ([make_phase(cpu_seconds=0.0, throttled_seconds=0.0)], None),
        (
            [
                make_phase(cpu_seconds=1.0, throttled_seconds=3.0),
                make_phase("verifier", cpu_seconds=4.0, throttled_seconds=0.0),
            ],
            0.375,
        ),
    ],
)
def test_throttling_is_a_share_of_the_cpu_time_that_was_wanted(
    phases: Any, share: float | None
) -> None:
    assert throttled_share(make_record(phases=phases)) == share


def test_score_and_infra_errors_are_shown_against_what_trials_met() -> None:
    records = [
        trial(
            task=f"task-{number}",
            pressure=number / 40,
            cause=Cause.SOLVED if number < 10 else Cause.OOM_LIMIT if number >= 30 else Cause.WRONG,
        )
        for number in range(40)
    ]
    bins = association_of(records, "cpu_pressure").bins
    assert [one.trials for one in bins] == [10, 10, 10, 10]
    assert [one.score.value for one in bins] == [1.0, 0.0, 0.0, 0.0]
    assert [one.infra_error.value for one in bins] == [0.0, 0.0, 0.0, 1.0]
    assert (bins[0].score.low, bins[0].score.high) == wilson_interval(1.0, 10)
    assert bins[1].low == pytest.approx(10 / 40)
    assert bins[1].mean == pytest.approx(14.5 / 40)


def test_more_samples_of_the_same_tasks_do_not_narrow_an_interval() -> None:
    records = [trial(sample=sample) for sample in range(100)]
    (only,) = association_of(records, "cpu_pressure").bins
    assert (only.trials, only.tasks) == (100, 1)
    assert (only.score.low, only.score.high) == wilson_interval(1.0, 1)


def test_trials_that_met_the_same_are_never_parted_and_the_rest_still_is() -> None:
    waits = [0.0] * 80 + [float(wait) for wait in range(1, 21)]
    records = [trial(sample=number, waited=wait) for number, wait in enumerate(waits)]
    bins = association_of(records, "waited").bins
    assert (bins[0].low, bins[0].high, bins[0].trials) == (0.0, 0.0, 80)
    assert len(bins) == 4


@given(st.lists(st.integers(0, 6), max_size=60), st.integers(1, 6))
def test_bins_hold_every_trial_once_in_order(waits: list[int], bins: int) -> None:
    records = [trial(sample=number, waited=float(wait)) for number, wait in enumerate(waits)]
    found = next(one for one in associations(records, bins) if one.condition.name == "waited").bins
    assert sum(one.trials for one in found) == len(records)
    assert len(found) <= bins
    for earlier, later in pairwise(found):
        assert earlier.high < later.low
    for one in found:
        assert one.low <= one.mean + 1e-9
        assert one.mean <= one.high + 1e-9
