from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.plugin.conftest import HOG, PASS, MakeTask

Run = Callable[..., pytest.RunResult]
Records = Callable[[], dict[str, dict[str, Any]]]

INFRA_ONLY = 75
EVERYWHERE = pytest.mark.parametrize("workers", ["-n0", "-n2"])


@pytest.fixture
def three_ways(make_task: MakeTask) -> None:
    make_task("good")
    make_task("bad", solve="exit 3")
    make_task("hungry", solve=HOG)


def causes(records: Records) -> dict[str, str]:
    return {Path(trial).parent.name: line["cause"] for trial, line in records().items()}


@EVERYWHERE
def test_every_outcome_is_split_three_ways(
    three_ways: None, run: Run, records: Records, workers: str
) -> None:
    result = run("--reseval-headroom=1x", workers)
    result.stdout.fnmatch_lines(["*1 failed, 1 passed, 1 infra-error*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert causes(records) == {"good": "solved", "bad": "agent-error", "hungry": "oom-limit"}


@EVERYWHERE
def test_only_infra_errors_have_an_exit_status_of_their_own(
    make_task: MakeTask, run: Run, workers: str
) -> None:
    make_task("good")
    make_task("hungry", solve=HOG)
    assert run("--reseval-headroom=1x", workers).ret == INFRA_ONLY


@EVERYWHERE
def test_all_passed_is_exit_status_zero(make_task: MakeTask, run: Run, workers: str) -> None:
    make_task("good")
    make_task("hungry", solve=HOG)
    assert run("--reseval-headroom=uncapped", workers).ret == 0


def test_a_failure_outside_the_tasks_is_never_excused(
    make_task: MakeTask, run: Run, pytester: pytest.Pytester
) -> None:
    make_task("hungry", solve=HOG)
    pytester.makepyfile("def test_other(): assert False")
    assert run("--reseval-headroom=1x", ".", tasks="").ret == pytest.ExitCode.TESTS_FAILED


@EVERYWHERE
def test_junit_tells_errors_from_failures_and_says_why(
    three_ways: None, run: Run, pytester: pytest.Pytester, workers: str
) -> None:
    run("--reseval-headroom=1x", workers, "--junitxml=report.xml")
    suite = ElementTree.parse(pytester.path / "report.xml").getroot()[0]
    assert (suite.get("errors"), suite.get("failures"), suite.get("tests")) == ("1", "1", "3")
    told = {}
    for case in suite.iter("testcase"):
        problems = [child for child in case if child.tag in ("error", "failure")]
        properties = {
            entry.get("name"): entry.get("value") for entry in case.iterfind("properties/property")
        }
        assert len(properties) == len(case.findall("properties/property")), "told twice"
        told[properties["reseval.cause"]] = (
            [(child.tag, child.get("type")) for child in problems],
            properties["reseval.memory_limit_bytes"],
        )
    limit = str(64 << 20)
    assert told == {
        "solved": ([], limit),
        "agent-error": ([("failure", None)], limit),
        "oom-limit": ([("error", "oom-limit")], limit),
    }
    suite_properties = {entry.get("name") for entry in suite.iterfind("properties/property")}
    assert {"reseval.engine", "reseval.host", "reseval.options"} <= suite_properties


@EVERYWHERE
def test_the_nop_agent_fails_everything(
    three_ways: None, run: Run, records: Records, workers: str
) -> None:
    result = run("--reseval-agent=nop", workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert Counter(causes(records).values()) == {"wrong": 3}


def test_a_command_agent_gets_the_instruction_twice(
    make_task: MakeTask, run: Run, records: Records
) -> None:
    make_task("good", solve="exit 1")
    solve = (
        'grep -q 42 "$RESEVAL_INSTRUCTION_FILE" && mkdir -p /app && '
        'echo "$RESEVAL_INSTRUCTION" | grep -o 42 > /app/answer'
    )
    assert run(f"--reseval-agent=cmd:{solve}").ret == 0


def test_a_conftest_may_bring_an_agent(
    make_task: MakeTask, run: Run, records: Records, pytester: pytest.Pytester
) -> None:
    make_task("good", solve="exit 1")
    make_task("busy", check=PASS)
    pytester.makeconftest(
        """
        from pytest_reseval.agents.base import AgentServiceError

        class Mine:
            name = "mine"
            def unsupported(self, task):
                return None
            def solve(self, task, sandbox, timeout, seed):
                if task.name == "busy":
                    raise AgentServiceError("429 Too Many Requests")
                return sandbox.exec("mkdir -p /app && echo 42 > /app/answer", timeout=timeout)

        def pytest_reseval_agent(name):
            return Mine() if name == "mine" else None
        """
    )
    assert run("--reseval-agent=mine").ret == INFRA_ONLY
    assert causes(records) == {"good": "solved", "busy": "agent-service"}


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        ("return 3", "*hook answered 3, which has no name, no unsupported, no solve*"),
        ("raise LookupError(name)", "*hook fails: LookupError('mine')*"),
    ],
)
def test_a_hook_that_brings_no_agent_is_one_clear_error(
    make_task: MakeTask, run: Run, pytester: pytest.Pytester, hook: str, told: str
) -> None:
    make_task("good")
    pytester.makeconftest(f"def pytest_reseval_agent(name):\n    {hook}\n")
    result = run("--reseval-agent=mine")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([told])


def test_an_agent_whose_own_code_fails_counts(
    make_task: MakeTask, run: Run, records: Records, pytester: pytest.Pytester
) -> None:
    make_task("good")
    pytester.makeconftest(
        """
        class Mine:
            name = "mine"
            def unsupported(self, task):
                return None
            def solve(self, task, sandbox, timeout, seed):
                raise ValueError("oops")

        def pytest_reseval_agent(name):
            return Mine()
        """
    )
    result = run("--reseval-agent=mine")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert causes(records) == {"good": "agent-error"}
    result.stdout.fnmatch_lines(["*ValueError: oops*"])


def test_a_run_that_skips_everything_says_so(
    make_task: MakeTask, run: Run, pytester: pytest.Pytester
) -> None:
    make_task("gpu", toml="gpus = 1")
    result = run("-rs")
    result.stdout.fnmatch_lines(
        ["*no trial was run: 1 skipped*", "SKIPPED*tasks/gpu/task.toml*environment.gpus*"]
    )


@pytest.mark.root
def test_a_user_who_does_not_exist_is_no_failure_of_the_agent(
    make_task: MakeTask, run: Run, records: Records
) -> None:
    make_task("nobody", toml='[agent]\nuser = "nobody-here"')
    assert run().ret == INFRA_ONLY
    (line,) = records().values()
    assert line["cause"] == "start"
    assert "agent.user = 'nobody-here'" in line["message"]


def test_the_oom_policy_may_blame_the_agent(
    make_task: MakeTask, run: Run, records: Records
) -> None:
    make_task("hungry", solve=HOG)
    result = run("--reseval-headroom=1x", "--reseval-oom=failed")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [line["outcome"] for line in records().values()] == ["failed"]


def test_an_agent_that_claims_an_oom_is_not_believed(
    make_task: MakeTask, run: Run, records: Records
) -> None:
    make_task("liar", solve="echo 'Out of memory: Killed process 1'; echo Killed >&2; exit 137")
    assert run().ret == pytest.ExitCode.TESTS_FAILED
    assert causes(records) == {"liar": "agent-error"}


def test_a_reward_planted_by_the_agent_does_not_count(
    make_task: MakeTask, run: Run, records: Records
) -> None:
    plant = (
        "echo 1 > /logs/verifier/reward.txt; echo '{\"reward\": 1}' > /logs/verifier/reward.json; "
        "mkdir /tests; echo 'echo 1 > /logs/verifier/reward.txt' > /tests/test.sh"
    )
    make_task("cheat", solve=plant, check="echo 0 > /logs/verifier/reward.txt")
    run()
    assert causes(records) == {"cheat": "wrong"}


def test_a_timeout_ends_the_tree_and_the_verifier_still_runs(
    make_task: MakeTask, run: Run, records: Records
) -> None:
    slow = "mkdir -p /app; echo 42 > /app/answer; sleep 1000 & sleep 1000"
    make_task("slow-but-right", solve=slow, toml="[agent]\ntimeout_sec = 1")
    make_task("slow", solve="sleep 1000", toml="[agent]\ntimeout_sec = 1")
    assert run().ret == pytest.ExitCode.TESTS_FAILED
    assert causes(records) == {"slow-but-right": "solved", "slow": "agent-timeout"}


def test_timeouts_are_scaled(make_task: MakeTask, run: Run, records: Records) -> None:
    make_task("slow", solve="sleep 1000", toml="[agent]\ntimeout_sec = 1000")
    run("--reseval-timeout-scale=0.001")
    assert causes(records) == {"slow": "agent-timeout"}


def test_a_verifier_without_a_reward_is_incomplete(
    make_task: MakeTask, run: Run, records: Records
) -> None:
    make_task("silent", check="true")
    make_task("babbling", check="echo nan > /logs/verifier/reward.txt")
    make_task("stuck", check="sleep 1000", toml="[verifier]\ntimeout_sec = 1")
    assert run().ret == INFRA_ONLY
    assert causes(records) == {
        "silent": "verifier-incomplete",
        "babbling": "verifier-incomplete",
        "stuck": "verifier-timeout",
    }


def test_a_sandbox_that_never_gets_healthy_is_an_infra_error(
    make_task: MakeTask, run: Run, records: Records
) -> None:
    check = '[environment.healthcheck]\ncommand = "test -e /ready"\ninterval_sec = 0.05'
    make_task("sick", toml=check)
    assert run().ret == INFRA_ONLY
    assert causes(records) == {"sick": "healthcheck"}
