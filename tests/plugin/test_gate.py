"""Gates on score and infra-errors, as exit statuses and sentences of real pytest processes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.plugin.conftest import HOG, MakeTask

Run = Callable[..., pytest.RunResult]

INFRA_ONLY = 75


@pytest.fixture
def half_solved(make_task: MakeTask) -> None:
    """Four tasks: two are solved, one is wrong, one is killed below 200 MiB."""
    make_task("a")
    make_task("b")
    make_task("wrong", solve="true")
    make_task("hog", solve=HOG)


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
@pytest.mark.parametrize(
    ("gates", "status", "told"),
    [
        (["--reseval-fail-under=0.5"], 0, ["*=0.5 held at 1x: the score is 50.0%"]),
        (["--reseval-fail-under=0.51"], 1, ["*=0.51 missed at 1x: the score is 50.0%"]),
        (
            ["--reseval-fail-under=0.5", "--reseval-max-infra-rate=0.2"],
            INFRA_ONLY,
            ["*held at 1x*", "*=0.2 missed at 1x: 25.0% of trials are infra-errors"],
        ),
        (["--reseval-max-infra-rate=0.25"], 1, ["*=0.25 held at 1x*"]),
    ],
)
def test_gates_decide(
    half_solved: None, run: Run, workers: str, gates: list[str], status: int, told: list[str]
) -> None:
    result = run("--reseval-headroom=1x", workers, *gates)
    assert result.ret == status
    result.stdout.fnmatch_lines(told)


def test_an_interrupted_run_misses_its_gates(half_solved: None, run: Run) -> None:
    result = run("--reseval-fail-under=0", "-x", "--reseval-headroom=1x", "-k", "wrong or hog or a")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*--reseval-fail-under=0 missed: * were not run"])


def test_a_run_in_which_every_task_was_skipped_misses_its_gates(
    make_task: MakeTask, run: Run
) -> None:
    make_task("a", toml="[[steps]]\nname = 'one'")
    result = run("--reseval-fail-under=0")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*no trial has a verdict*"])


def test_a_gate_in_the_ini_file_says_nothing_of_runs_without_trials(
    make_task: MakeTask, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makeini("[pytest]\nreseval_fail_under = 0.9\n")
    pytester.makepyfile("def test_plain(): pass")
    assert pytester.runpytest_subprocess().ret == 0
