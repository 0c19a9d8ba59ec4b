"""Workers that die at every moment of a trial: each trial has the one verdict that is due."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.plugin.conftest import MakeTask

pytest.importorskip("xdist")

Run = Callable[..., pytest.RunResult]
Records = Callable[[], dict[str, dict[str, Any]]]

INFRA_ONLY = 75

DYING = """
import os, signal
from pathlib import Path
import pytest

DEATHS = Path({deaths!r})

def die(moment, name):
    '''Die the first ``times`` times that this moment comes to the task called fatal.'''
    if moment != {moment!r} or name != "fatal" or "PYTEST_XDIST_WORKER" not in os.environ:
        return
    DEATHS.mkdir(exist_ok=True)
    number = len(list(DEATHS.iterdir()))
    if number < {times}:
        (DEATHS / str(number)).touch()
        {kill}

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    die("before", item.path.parent.name)

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item):
    die("after", item.path.parent.name)

@pytest.hookimpl(trylast=True)
def pytest_runtest_call(item):
    die("judged", item.path.parent.name)

class Agent:
    name = "dying"
    def unsupported(self, task):
        return None
    def solve(self, task, sandbox, timeout, seed):
        die("amid", task.name)
        return sandbox.exec("mkdir -p /app && echo 42 > /app/answer", timeout=timeout)

def pytest_reseval_agent(name):
    return Agent() if name == "dying" else None
"""


Dying = Callable[..., None]


@pytest.fixture
def dying(pytester: pytest.Pytester) -> Dying:
    """Have workers die at a moment of the task called fatal, the first ``times`` times."""

    def write(
        moment: str, times: int = 1, kill: str = "os.kill(os.getpid(), signal.SIGKILL)"
    ) -> None:
        deaths = str(pytester.path / "deaths")
        pytester.makeconftest(DYING.format(deaths=deaths, moment=moment, times=times, kill=kill))

    return write


@pytest.mark.parametrize("workers", ["-n1", "-n2"])
@pytest.mark.parametrize(
    ("moment", "cause"),
    [
        pytest.param("before", "solved", id="before it begins: another worker runs it"),
        pytest.param("amid", "worker-crash", id="while the agent works: that is the verdict"),
        pytest.param("judged", "solved", id="when the verdict is on file: it stands"),
        pytest.param("after", "solved", id="when the verdict was reported: it stands"),
    ],
)
def test_each_trial_has_one_verdict(
    make_task: MakeTask,
    run: Run,
    records: Records,
    pytester: pytest.Pytester,
    workers: str,
    dying: Dying,
    moment: str,
    cause: str,
) -> None:
    for name in ("early", "fatal", "good", "late"):
        make_task(name)
    dying(moment)
    result = run("--reseval-agent=dying", workers, "--junitxml=report.xml")
    assert len(list((pytester.path / "deaths").iterdir())) == 1
    found = {record["task"]: record["cause"] for record in records().values()}
    assert found == {"early": "solved", "fatal": cause, "good": "solved", "late": "solved"}
    crashed = cause == "worker-crash"
    assert result.ret == (INFRA_ONLY if crashed else 0)
    last = result.outlines[-1]
    assert ("3 passed, 1 infra-error" if crashed else "4 passed") in last
    assert "failed" not in last
    cases = list(ElementTree.parse(pytester.path / "report.xml").getroot().iter("testcase"))
    assert len(cases) == 4
    problems = [problem.get("type") for case in cases for problem in case]
    assert [kind for kind in problems if kind] == (["worker-crash"] if crashed else [])


def test_what_kills_every_worker_before_it_begins_is_no_trial_and_does_not_end_the_run(
    make_task: MakeTask, run: Run, records: Records, dying: Dying
) -> None:
    make_task("fatal")
    make_task("good")
    dying("before", times=9)
    result = run("--reseval-agent=dying", "-n2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [record["task"] for record in records().values()] == ["good"]
    result.stdout.fnmatch_lines(["*crashed while running 'tasks/fatal/task.toml::run?3x-s0?'*"])
    result.stdout.fnmatch_lines(["*1 failed, 1 passed*"])


@pytest.mark.parametrize("moment", ["before", "amid"])
@pytest.mark.parametrize("limit", [0, 1])
def test_trials_beyond_the_limit_of_restarts_are_told(
    make_task: MakeTask,
    run: Run,
    records: Records,
    pytester: pytest.Pytester,
    dying: Dying,
    limit: int,
    moment: str,
) -> None:
    for number in range(4):
        make_task(f"t{number}")
    make_task("fatal")
    dying(moment, times=9)
    result = run(
        "--reseval-agent=dying", "-n1", "--reseval-samples=4", f"--max-worker-restart={limit}"
    )
    assert result.ret == INFRA_ONLY
    file = pytester.path / "results/trials.jsonl"
    on_file = len(records()) if file.exists() else 0
    assert on_file < 20
    result.stdout.fnmatch_lines([f"not run: {20 - on_file} of 20"])


def test_a_run_in_which_nobody_was_left_is_no_success(
    make_task: MakeTask, run: Run, dying: Dying
) -> None:
    make_task("fatal")
    dying("before", times=9)
    arguments = ("--reseval-agent=dying", "-n1", "--max-worker-restart=0")
    result = run(*arguments)
    assert result.ret == INFRA_ONLY
    result.stdout.fnmatch_lines(["not run: 1 of 1"])
    result = run(*arguments, "--reseval-fail-under=0")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["--reseval-fail-under=0 missed: no trial has a verdict"])


def test_what_an_earlier_session_was_in_the_middle_of_is_not_begun_in_this_one(
    make_task: MakeTask,
    launch: Callable[..., subprocess.Popen[str]],
    records: Records,
    pytester: pytest.Pytester,
    dying: Dying,
) -> None:
    make_task("fatal")
    dying("amid", kill="os.killpg(0, signal.SIGKILL)")
    launch("--reseval-agent=dying", "-n1").communicate()
    results, deaths = pytester.path / "results", pytester.path / "deaths"
    assert list(results.glob("in-flight/*.json"))
    assert not (results / "trials.jsonl").exists()
    (deaths / "0").unlink()
    dying("before")
    again = pytester.runpytest_subprocess(
        *("tasks", "--reseval-engine=local", f"--reseval-ledger={pytester.path}/ledger", "-n2"),
        *("--reseval-agent=dying", f"--reseval-resume={results}"),
    )
    assert list(deaths.iterdir())
    assert again.ret == 0
    assert [record["cause"] for record in records().values()] == ["solved"]
    assert not list(results.glob("in-flight/*.*"))


@pytest.mark.parametrize("way", ["each", "loadscope", "loadfile", "loadgroup"])
def test_ways_to_distribute_that_run_items_twice_are_refused(
    make_task: MakeTask, run: Run, way: str
) -> None:
    make_task("good")
    result = run("-n2", f"--dist={way}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--dist={way}: *use --dist=load or --dist=worksteal*"])
    assert run(f"--dist={way}").ret == 0


def test_worksteal_is_not(make_task: MakeTask, run: Run, dying: Dying) -> None:
    for name in ("fatal", "good"):
        make_task(name)
    dying("before")
    assert run("--reseval-agent=dying", "-n2", "--dist=worksteal").ret == 0
