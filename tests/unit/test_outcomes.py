from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_reseval.engines.base import Enforced
from pytest_reseval.outcomes import (
    Cause,
    Control,
    Evidence,
    Fault,
    OomPolicy,
    Outcome,
    PhaseFacts,
    PhaseName,
    classify,
    needs_control,
)
from pytest_reseval.resources import GIB, MIB, Resources
from tests.unit.builders import ENFORCED, make_phase

GUARANTEE = 128 * MIB
RESOURCES = Resources(
    memory_guarantee=GUARANTEE,
    memory_limit=2 * GUARANTEE,
    cpu_guarantee=1.0,
    cpu_limit=2.0,
    pids_limit=100,
    storage_limit=GIB,
)


def phase(name: PhaseName, **facts: Any) -> PhaseFacts:
    """As cgroup v1 tells it, without a counter of limits hit."""
    return make_phase(name, **({"oom": None} | facts))


def evidence(
    agent: dict[str, Any] | None = None,
    verifier: dict[str, Any] | None = None,
    reward: float | None = 0.0,
    **rest: Any,
) -> Evidence:
    phases = (phase("agent", **(agent or {})), phase("verifier", **(verifier or {})))
    return replace(Evidence(RESOURCES, None, phases=phases, reward=reward), **rest)


FAULTS = (
    Cause.IMAGE_BUILD,
    Cause.IMAGE_PULL,
    Cause.START,
    Cause.HEALTHCHECK,
    Cause.ENFORCEMENT_MISMATCH,
    Cause.GUARANTEE_UNMET,
    Cause.ENGINE_LOST,
    Cause.SANDBOX_LOST,
    Cause.DISK_LIMIT,
    Cause.OOM_LIMIT,
    Cause.WORKER_CRASH,
    Cause.AGENT_SERVICE,
)
WORKS = Control("2026-01-02T03:04:05.678+00:00", 1.0, True, "it wrote reward 0")
BROKEN_ANYWHERE = Control("2026-01-02T03:04:05.678+00:00", 1.0, False, "it wrote no reward")
POLLED = ENFORCED
QUOTA = replace(ENFORCED, storage_by="quota")
KILLED_AT_LIMIT = {"oom_kill": 1, "peak": 2 * GUARANTEE}
KILLED_FAR_BELOW = {"oom_kill": 1, "peak": GUARANTEE // 2}

LENIENT = replace(RESOURCES, memory_grace=2.0)
ENDED_ABOVE = {"ended_above_limit": 2.5}
GRACE_OVER = Fault(Cause.OOM_LIMIT, "the sandbox was ended")

ROWS: list[tuple[str, Evidence, Outcome, Cause]] = [
    ("reward 1", evidence(reward=1.0), Outcome.PASSED, Cause.SOLVED),
    (
        "a kill survived on the way",
        evidence(agent=KILLED_AT_LIMIT, reward=1.0),
        Outcome.PASSED,
        Cause.SOLVED,
    ),
    ("reward 0", evidence(), Outcome.FAILED, Cause.WRONG),
    ("reward below the mark", evidence(reward=0.99), Outcome.FAILED, Cause.WRONG),
    (
        "the agent ends with an error",
        evidence(agent={"exit_code": 3}),
        Outcome.FAILED,
        Cause.AGENT_ERROR,
    ),
    (
        "exit code 137 without any kill",
        evidence(agent={"exit_code": 137}),
        Outcome.FAILED,
        Cause.AGENT_ERROR,
    ),
    (
        "the agent runs out of time",
        evidence(agent={"timed_out": True, "exit_code": None}),
        Outcome.FAILED,
        Cause.AGENT_TIMEOUT,
    ),
    (
        "v1: killed at the limit",
        evidence(agent=KILLED_AT_LIMIT),
        Outcome.INFRA_ERROR,
        Cause.OOM_LIMIT,
    ),
    (
        "v2: the limit's own counter rose",
        evidence(agent={"oom_kill": 1, "oom": 1, "peak": GUARANTEE}),
        Outcome.INFRA_ERROR,
        Cause.OOM_LIMIT,
    ),
    (
        "v1: killed far below the limit",
        evidence(agent=KILLED_FAR_BELOW),
        Outcome.INFRA_ERROR,
        Cause.OOM_HOST,
    ),
    (
        "v2: killed, but not by its own limit",
        evidence(agent={"oom_kill": 1, "oom": 0, "peak": 2 * GUARANTEE}),
        Outcome.INFRA_ERROR,
        Cause.OOM_HOST,
    ),
    (
        "killed in both phases",
        evidence(agent=KILLED_AT_LIMIT, verifier=KILLED_AT_LIMIT, reward=None),
        Outcome.INFRA_ERROR,
        Cause.OOM_LIMIT,
    ),
    (
        "ended above a lenient limit",
        evidence(agent=ENDED_ABOVE, fault=GRACE_OVER, reward=None),
        Outcome.INFRA_ERROR,
        Cause.OOM_LIMIT,
    ),
    (
        "killed by the host under a lenient limit",
        evidence(agent={"oom_kill": 1, "peak": 2 * GUARANTEE}, resources=LENIENT),
        Outcome.INFRA_ERROR,
        Cause.OOM_HOST,
    ),
    (
        "the verifier ended above a lenient limit",
        evidence(verifier=ENDED_ABOVE, fault=GRACE_OVER, reward=None, resources=LENIENT),
        Outcome.INFRA_ERROR,
        Cause.VERIFIER_OOM,
    ),
    (
        "the verifier ended above a lenient limit by what the agent left",
        evidence(
            verifier=ENDED_ABOVE | {"residue": 2 * GUARANTEE},
            fault=GRACE_OVER,
            reward=None,
            resources=LENIENT,
        ),
        Outcome.FAILED,
        Cause.WRONG,
    ),
    (
        "page cache at the limit without a kill",
        evidence(agent={"peak": 2 * GUARANTEE, "cache_saturated": True}),
        Outcome.FAILED,
        Cause.WRONG,
    ),
    (
        "forks refused",
        evidence(agent={"pids_max_events": 7}),
        Outcome.INFRA_ERROR,
        Cause.PIDS_LIMIT,
    ),
    (
        "more on disk than the bound",
        evidence(agent={"disk_peak": GIB + 1}),
        Outcome.INFRA_ERROR,
        Cause.DISK_LIMIT,
    ),
    (
        "as much on disk as the bound, which no quota keeps",
        evidence(agent={"disk_peak": GIB}, enforced=POLLED),
        Outcome.FAILED,
        Cause.WRONG,
    ),
    (
        "a full quota",
        evidence(verifier={"disk_peak": 99 * GIB // 100}, reward=None, enforced=QUOTA),
        Outcome.INFRA_ERROR,
        Cause.DISK_LIMIT,
    ),
    (
        "a quota with some room",
        evidence(agent={"disk_peak": 97 * GIB // 100}, enforced=QUOTA),
        Outcome.FAILED,
        Cause.WRONG,
    ),
    (
        "too much on disk, and yet solved",
        evidence(agent={"disk_peak": 2 * GIB}, reward=1.0),
        Outcome.PASSED,
        Cause.SOLVED,
    ),
    (
        "killed at the memory limit, and too much on disk",
        evidence(agent=KILLED_AT_LIMIT | {"disk_peak": 2 * GIB}),
        Outcome.INFRA_ERROR,
        Cause.OOM_LIMIT,
    ),
    (
        "verifier killed at the limit",
        evidence(verifier=KILLED_AT_LIMIT, reward=None),
        Outcome.INFRA_ERROR,
        Cause.VERIFIER_OOM,
    ),
    (
        "verifier killed because the agent left the memory full",
        evidence(verifier=KILLED_AT_LIMIT | {"residue": GUARANTEE + 17 * MIB}, reward=None),
        Outcome.FAILED,
        Cause.WRONG,
    ),
    (
        "verifier runs out of time",
        evidence(verifier={"timed_out": True, "exit_code": None}, reward=None),
        Outcome.INFRA_ERROR,
        Cause.VERIFIER_TIMEOUT,
    ),
    (
        "no reward",
        evidence(reward=None, reward_problem="reward.txt is empty"),
        Outcome.INFRA_ERROR,
        Cause.VERIFIER_INCOMPLETE,
    ),
    (
        "no reward, and none in a pristine sandbox",
        evidence(reward=None, control=BROKEN_ANYWHERE),
        Outcome.INFRA_ERROR,
        Cause.VERIFIER_INCOMPLETE,
    ),
    (
        "no reward, though the verifier works in a pristine sandbox",
        evidence(reward=None, control=WORKS),
        Outcome.FAILED,
        Cause.WRONG,
    ),
    (
        "reward 0 without the report, in a pristine sandbox too",
        evidence(checks_reported=False, control=BROKEN_ANYWHERE),
        Outcome.INFRA_ERROR,
        Cause.VERIFIER_INCOMPLETE,
    ),
    (
        "reward 0 without the report, which is there in a pristine sandbox",
        evidence(checks_reported=False, control=WORKS),
        Outcome.FAILED,
        Cause.WRONG,
    ),
    (
        "reward 0 without the report, and no pristine sandbox to be had",
        evidence(checks_reported=False),
        Outcome.FAILED,
        Cause.WRONG,
    ),
    (
        "verifier out of time, in a pristine sandbox too",
        evidence(verifier={"timed_out": True}, reward=None, control=BROKEN_ANYWHERE),
        Outcome.INFRA_ERROR,
        Cause.VERIFIER_TIMEOUT,
    ),
    (
        "verifier out of time, though it works in a pristine sandbox",
        evidence(verifier={"timed_out": True}, reward=None, control=WORKS),
        Outcome.FAILED,
        Cause.WRONG,
    ),
    (
        "the agent ended its own sandbox",
        evidence(verifier={}, reward=None, fault=Fault(Cause.AGENT_ERROR, "told")),
        Outcome.FAILED,
        Cause.AGENT_ERROR,
    ),
    *(
        (
            f"fault {cause}",
            Evidence(RESOURCES, None, fault=Fault(cause, "told")),
            Outcome.INFRA_ERROR,
            cause,
        )
        for cause in FAULTS
    ),
]


@pytest.mark.parametrize(
    ("facts", "outcome", "cause"),
    [pytest.param(*row[1:], id=row[0].replace(" ", "-")) for row in ROWS],
)
def test_each_row_of_the_table(facts: Evidence, outcome: Outcome, cause: Cause) -> None:
    verdict = classify(facts)
    assert (verdict.outcome, verdict.cause) == (outcome, cause)
    assert verdict.message


def test_every_cause_has_a_row() -> None:
    assert {cause for *_, cause in ROWS} == set(Cause)


def test_the_policy_may_call_a_kill_at_the_limit_failed() -> None:
    verdict = classify(evidence(agent=KILLED_AT_LIMIT), oom_policy="failed")
    assert (verdict.outcome, verdict.cause) == (Outcome.FAILED, Cause.OOM_LIMIT)


def test_the_policy_does_not_touch_a_kill_by_the_host() -> None:
    assert classify(evidence(agent=KILLED_FAR_BELOW), "failed").outcome is Outcome.INFRA_ERROR


def test_a_kill_below_the_guarantee_is_called_a_broken_promise() -> None:
    assert "broken promise" in classify(evidence(agent=KILLED_FAR_BELOW)).message


def test_uncapped_kills_come_from_the_host() -> None:
    facts = evidence(agent=KILLED_AT_LIMIT)
    uncapped = replace(facts, resources=replace(RESOURCES, memory_limit=None))
    assert classify(uncapped).cause is Cause.OOM_HOST


ROOMY = replace(
    RESOURCES,
    memory_guarantee=4 * GUARANTEE,
    memory_limit=8 * GUARANTEE,
    pids_limit=500,
    storage_limit=4 * GIB,
)
APART = replace(evidence(), verifier_resources=ROOMY)
"""The verifier had a sandbox of its own, four times the agent's."""


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        ({"disk_peak": 2 * GIB}, Cause.WRONG),
        ({"disk_peak": 4 * GIB + 1}, Cause.DISK_LIMIT),
        ({"oom_kill": 1, "peak": 2 * GUARANTEE}, Cause.OOM_HOST),
        ({"oom_kill": 1, "peak": 8 * GUARANTEE}, Cause.VERIFIER_OOM),
        ({"oom_kill": 1, "peak": 8 * GUARANTEE, "residue": 3 * GUARANTEE}, Cause.VERIFIER_OOM),
        ({"oom_kill": 1, "peak": 8 * GUARANTEE, "residue": 5 * GUARANTEE}, Cause.WRONG),
    ],
)
def test_a_separate_verifier_is_judged_by_its_own_limits(
    facts: dict[str, Any], cause: Cause
) -> None:
    agent, verifier = APART.phases
    assert classify(replace(APART, phases=(agent, replace(verifier, **facts)))).cause is cause


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"oom_kill": 1, "peak": 8 * GUARANTEE}, "at the limit of 1 GiB"),
        ({"pids_max_events": 1}, "at the limit of 500 processes"),
        ({"disk_peak": 5 * GIB}, "its bound of 4 GiB"),
    ],
)
def test_a_separate_verifier_s_limits_are_the_ones_told(facts: dict[str, Any], told: str) -> None:
    agent, verifier = APART.phases
    verdict = classify(replace(APART, phases=(agent, replace(verifier, **facts))))
    assert told in verdict.message


def test_the_agent_is_judged_by_its_own_limits_whatever_its_verifier_has() -> None:
    agent, verifier = APART.phases
    for facts, cause in (
        ({"disk_peak": 2 * GIB}, Cause.DISK_LIMIT),
        (KILLED_AT_LIMIT, Cause.OOM_LIMIT),
    ):
        worked = replace(agent, **facts)  # type: ignore[arg-type]
        assert classify(replace(APART, phases=(worked, verifier))).cause is cause


counts = st.one_of(st.none(), st.integers(min_value=0, max_value=3))
sizes = st.one_of(st.none(), st.integers(min_value=0, max_value=1024 * MIB))
phases = st.builds(
    phase,
    st.sampled_from(["agent", "verifier", "test"]),
    exit_code=st.one_of(st.none(), st.integers(0, 255)),
    timed_out=st.booleans(),
    peak=sizes,
    residue=sizes,
    oom=counts,
    oom_kill=counts,
    pids_max_events=counts,
    disk_peak=st.one_of(st.none(), st.integers(min_value=0, max_value=2 * GIB)),
    output_tail=st.text(max_size=20),
)
fractions = st.one_of(st.none(), st.floats(max_value=0.99), st.just(float("nan")))
all_evidence = st.builds(
    Evidence,
    st.sampled_from([RESOURCES, replace(RESOURCES, memory_limit=None, cpu_limit=None)]),
    st.sampled_from([None, POLLED, QUOTA, replace(ENFORCED, by="watchdog")]),
    fault=st.one_of(
        st.none(),
        st.builds(Fault, st.sampled_from([*FAULTS, Cause.AGENT_ERROR]), st.text(max_size=5)),
    ),
    phases=st.lists(phases, max_size=2).map(tuple),
    reward=st.one_of(st.none(), st.floats()),
    reward_problem=st.one_of(st.none(), st.text(max_size=5)),
    checks_reported=st.one_of(st.none(), st.booleans()),
    artifacts_missing=st.lists(st.text(max_size=5), max_size=2).map(tuple),
    control=st.sampled_from([None, WORKS, BROKEN_ANYWHERE]),
    verifier_resources=st.sampled_from([None, ROOMY, replace(ROOMY, memory_limit=None)]),
)
policies = st.sampled_from(["infra-error", "failed"])


@settings(max_examples=150)
@given(all_evidence, policies)
def test_every_evidence_has_exactly_one_verdict(facts: Evidence, policy: OomPolicy) -> None:
    first, second = classify(facts, policy), classify(facts, policy)
    assert first == second
    assert (first.outcome is Outcome.PASSED) == (first.cause is Cause.SOLVED)


def judged_phase(disk: int, kills: int) -> st.SearchStrategy[tuple[PhaseFacts, PhaseFacts]]:
    """Facts of an agent's and a verifier's phase that no row excuses but for some bad luck."""
    return st.tuples(
        *(
            st.builds(
                phase,
                st.just(name),
                peak=sizes,
                residue=sizes,
                oom=counts,
                oom_kill=st.integers(0, kills),
                disk_peak=st.one_of(st.none(), st.integers(0, disk)),
                ended_above_limit=st.sampled_from([None, 1.5] if kills else [None]),
            )
            for name in ("agent", "verifier")
        )
    )


unsolved = st.builds(
    replace,
    all_evidence.filter(lambda facts: not facts.fault),
    phases=st.one_of(judged_phase(GIB // 2, 0), judged_phase(2 * GIB, 1)),
    reward=st.just(0.0),
    checks_reported=st.just(True),
    control=st.none(),
)
"""An agent that tried honestly and did not solve the task, on hosts good and bad."""

said: dict[str, st.SearchStrategy[Any]] = {
    "exit_code": st.one_of(st.none(), st.integers(-64, 255)),
    "timed_out": st.booleans(),
    "seconds": st.floats(0, 1e6),
    "output_tail": st.text(max_size=20),
    "cache_saturated": st.booleans(),
    "nonreclaimable_peak": sizes,
    "cpu_seconds": st.floats(0, 1e6),
    "throttled_seconds": st.floats(0, 1e6),
    "throttled_periods": st.integers(0, 1000),
    "memory_pressure_seconds": st.floats(0, 1e6),
    "cpu_pressure_seconds": st.floats(0, 1e6),
}
"""Of a phase, what code in its sandbox decides: what it prints, how it ends, when, how busily."""

COUNTED = {"name", "started", "peak", "peak_source", "residue"} | {
    "oom",
    "oom_kill",
    "pids_max_events",
    "disk_peak",
    "ended_above_limit",
}
"""Of a phase, what the kernel or the harness counts, and what was truly consumed."""


def test_every_fact_of_a_phase_is_either_said_inside_or_counted_outside() -> None:
    assert {*said, *COUNTED} == set(PhaseFacts.__dataclass_fields__)
    assert not said.keys() & COUNTED


@st.composite
def forged(draw: st.DrawFn, facts: Evidence) -> Evidence:
    """The same trial, had the agent set all that it can without consuming anything."""
    ended = draw(st.booleans())
    phases = tuple(
        replace(one, **{name: draw(value) for name, value in said.items()}) for one in facts.phases
    )
    reward = draw(fractions)
    return replace(
        facts,
        phases=phases[: draw(st.integers(1, 2))] if ended else phases,
        fault=Fault(Cause.AGENT_ERROR, draw(st.text(max_size=5))) if ended else None,
        reward=reward,
        reward_problem=draw(st.text(max_size=5)) if reward is None else None,
        checks_reported=draw(st.booleans()),
        artifacts_missing=draw(st.lists(st.text(max_size=5), max_size=2).map(tuple)),
    )


@settings(max_examples=250)
@given(st.data(), unsolved, policies)
def test_nothing_that_an_agent_says_or_leaves_unsaid_excuses_it_where_the_verifier_works(
    data: st.DataObject, facts: Evidence, policy: OomPolicy
) -> None:
    told = data.draw(forged(facts))
    if needs_control(told):
        told = replace(told, control=WORKS)
    honest, dishonest = classify(facts, policy), classify(told, policy)
    if honest.outcome is Outcome.FAILED:
        assert dishonest.outcome is Outcome.FAILED
    assert dishonest.outcome is not Outcome.PASSED


charged = st.integers(0, 9 * GUARANTEE)


@settings(max_examples=150)
@given(charged, charged, st.sampled_from([None, ROOMY]), policies)
def test_memory_that_an_agent_leaves_charged_never_excuses_it(
    less: int, more: int, own: Resources | None, policy: OomPolicy
) -> None:
    def outcome(residue: int) -> Outcome:
        killed = {"oom": 1, "oom_kill": 1, "residue": residue}
        return classify(evidence(verifier=killed, verifier_resources=own), policy).outcome

    if outcome(less) is Outcome.FAILED:
        assert outcome(less + more) is Outcome.FAILED


@given(all_evidence)
def test_the_policy_moves_kills_at_the_limit_alone_and_never_a_cause(facts: Evidence) -> None:
    lenient, strict = classify(facts), classify(facts, "failed")
    assert lenient.cause is strict.cause
    if lenient.outcome is not strict.outcome:
        assert (lenient.outcome, strict.outcome) == (Outcome.INFRA_ERROR, Outcome.FAILED)
        assert lenient.cause is Cause.OOM_LIMIT


@settings(max_examples=200)
@given(st.one_of(all_evidence, unsolved.flatmap(forged)))
def test_a_control_is_asked_for_only_where_it_can_move_the_verdict(facts: Evidence) -> None:
    bare = replace(facts, control=None)
    told = {
        classify(replace(bare, control=control)).outcome for control in (WORKS, BROKEN_ANYWHERE)
    }
    if not needs_control(bare):
        assert told == {classify(bare).outcome}


def test_a_kill_by_the_watchdog_is_not_called_the_kernel_s() -> None:
    watched = Enforced("watchdog", 2 * GUARANTEE, None, None, None, None)
    facts = replace(evidence(agent=KILLED_AT_LIMIT), enforced=watched)
    assert classify(facts).message.startswith("the watchdog killed")
    assert classify(evidence(agent=KILLED_AT_LIMIT)).message.startswith("the kernel killed")
