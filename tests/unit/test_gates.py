from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.gates import InfraGate, Judgement, ScoreGate, judge
from pytest_reseval.outcomes import Cause, Outcome
from pytest_reseval.plugin.tally import INFRA_ONLY, Tally
from pytest_reseval.records import TrialRecord
from tests.unit.builders import make_record

CAUSES = {
    Outcome.PASSED: Cause.SOLVED,
    Outcome.FAILED: Cause.WRONG,
    Outcome.INFRA_ERROR: Cause.OOM_LIMIT,
}


def trials(configuration: str, **counts: int) -> list[TrialRecord]:
    outcomes = [
        outcome for outcome in Outcome for _ in range(counts.get(outcome.replace("-", "_"), 0))
    ]
    return [
        make_record(f"t{index}", CAUSES[outcome], configuration=configuration)
        for index, outcome in enumerate(outcomes)
    ]


def test_each_configuration_is_held_against_the_score() -> None:
    records = trials("3x", passed=6, failed=4) + trials("1x", passed=5, failed=2, infra_error=3)
    judgements = judge(records, 0, ScoreGate(0.6), None)
    assert judgements == [
        Judgement("score", False, "--reseval-fail-under=0.6 missed at 1x: the score is 50.0%"),
        Judgement("score", True, "--reseval-fail-under=0.6 held at 3x: the score is 60.0%"),
    ]


def test_the_lower_bound_is_another_gate() -> None:
    records = trials("3x", passed=6, failed=4)
    [judgement] = judge(records, 0, ScoreGate.parse("lower:0.4"), None)
    assert not judgement.held
    assert judgement.text == (
        "--reseval-fail-under=lower:0.4 missed at 3x: the lower end of the score's 95% interval "
        "is 31.3%"
    )


def test_the_rate_of_infra_errors() -> None:
    records = trials("1x", passed=48, infra_error=1) + trials("3x", passed=49, infra_error=2)
    held = {
        judgement.text: judgement.held for judgement in judge(records, 0, None, InfraGate(0.03))
    }
    assert held == {
        "--reseval-max-infra-rate=0.03 held at 1x: 2.0% of trials are infra-errors": True,
        "--reseval-max-infra-rate=0.03 missed at 3x: 3.9% of trials are infra-errors": False,
    }


def test_what_was_not_run_is_not_judged_as_good() -> None:
    judgements = judge(trials("3x", passed=2), 3, ScoreGate(0.5), InfraGate(0.5))
    assert judgements == [
        Judgement("score", False, "--reseval-fail-under=0.5 missed: 3 were not run"),
        Judgement("infra", False, "--reseval-max-infra-rate=0.5 missed: 3 were not run"),
    ]


def test_without_any_verdict_no_gate_is_held() -> None:
    assert not any(judgement.held for judgement in judge([], 0, ScoreGate(0.0), InfraGate(1.0)))


@pytest.mark.parametrize("nonsense", ["60%", "2", "-0.1", "nan", "upper:0.5", "lower:", ":"])
def test_what_is_no_gate_is_refused(nonsense: str) -> None:
    with pytest.raises(ValueError, match="write a fraction"):
        ScoreGate.parse(nonsense)


class Report:
    """What a tally reads of a test report."""

    def __init__(self, nodeid: str, outcome: str | None, failed: bool) -> None:
        self.nodeid = nodeid
        self.when = "call"
        self.failed, self.passed = failed, not failed
        if outcome is not None:
            self.reseval = {"trial": nodeid, "outcome": outcome}


def tally(*outcomes: str, plain_failure: bool = False) -> Tally:
    counted = Tally()
    for index, outcome in enumerate(outcomes):
        report = Report(f"t{index}/task.toml::run[3x-s0]", outcome, outcome != "passed")
        counted.add(report)  # type: ignore[arg-type]
    if plain_failure:
        counted.add(Report("test_plain.py::test", None, True))  # type: ignore[arg-type]
    return counted


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ((), INFRA_ONLY),
        (("passed",), INFRA_ONLY),
        (("passed", "infra-error"), INFRA_ONLY),
        (("failed",), pytest.ExitCode.TESTS_FAILED),
    ],
)
def test_what_nobody_was_left_to_run_is_no_success(outcomes: tuple[str, ...], status: int) -> None:
    counted = tally(*outcomes)
    counted.selected = tuple(f"t{index}/task.toml::run[3x-s0]" for index in range(5))
    assert counted.exit_status(pytest.ExitCode.OK) == status


def test_tests_that_are_no_trials_are_left_to_pytest() -> None:
    counted = tally()
    counted.selected = ("test_plain.py::test",)
    assert counted.exit_status(pytest.ExitCode.OK) == pytest.ExitCode.OK


SCORE_HELD, SCORE_MISSED = (Judgement("score", held, "") for held in (True, False))
INFRA_HELD, INFRA_MISSED = (Judgement("infra", held, "") for held in (True, False))


@pytest.mark.parametrize(
    ("outcomes", "gates", "status"),
    [
        (["passed", "failed"], [], 1),
        (["passed", "infra-error"], [], INFRA_ONLY),
        (["passed", "failed", "infra-error"], [SCORE_HELD], 0),
        (["passed", "failed"], [SCORE_HELD, SCORE_MISSED], 1),
        (["passed", "infra-error"], [INFRA_HELD], 0),
        (["passed", "infra-error"], [INFRA_MISSED], INFRA_ONLY),
        (["passed", "failed", "infra-error"], [INFRA_HELD], 1),
        (["passed", "failed", "infra-error"], [SCORE_HELD, INFRA_MISSED], INFRA_ONLY),
        (["failed", "infra-error"], [SCORE_MISSED, INFRA_MISSED], 1),
        (["passed"], [SCORE_MISSED], 1),
    ],
)
def test_a_gate_decides_instead_of_the_trials_it_speaks_for(
    outcomes: list[str], gates: list[Judgement], status: int
) -> None:
    native = 0 if set(outcomes) == {"passed"} else 1
    assert tally(*outcomes).exit_status(native, gates=gates) == status


@given(
    st.lists(st.sampled_from(["passed", "failed", "infra-error"]), max_size=4),
    st.lists(st.sampled_from([SCORE_HELD, SCORE_MISSED, INFRA_HELD, INFRA_MISSED]), max_size=3),
)
def test_no_gate_excuses_other_tests_or_records_that_are_lost(
    outcomes: list[str], gates: list[Judgement]
) -> None:
    assert tally(*outcomes, plain_failure=True).exit_status(1, gates=gates) == 1
    assert tally(*outcomes).exit_status(1, unfiled=True, gates=gates) == 1


@given(st.lists(st.sampled_from([SCORE_HELD, INFRA_HELD]), min_size=1, max_size=2))
def test_an_interrupted_run_keeps_its_status(gates: list[Judgement]) -> None:
    assert tally("passed").exit_status(2, gates=gates) == 2
