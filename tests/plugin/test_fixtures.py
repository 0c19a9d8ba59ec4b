from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.plugin.conftest import MakeTask

Run = Callable[..., pytest.RunResult]
Records = Callable[[], dict[str, dict[str, Any]]]


def test_a_test_of_ones_own_gets_a_limited_sandbox(
    local_engine: None, pytester: pytest.Pytester, run: Run, records: Records
) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.memory(guarantee="64MiB", limit="128MiB")
        @pytest.mark.cpu(guarantee=0.5, limit=1)
        def test_builds(sandbox):
            assert sandbox.exec("echo built > /built && cat /built").stdout == "built\\n"
            assert sandbox.enforced.memory_limit == 128 << 20
        """
    )
    result = run(tasks="")
    result.assert_outcomes(passed=1)
    (record,) = records().values()
    assert record["configuration"] == "declared"
    assert record["evidence"]["resources"]["memory_guarantee"] == 64 << 20
    assert record["outcome"] == "passed"


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_an_oom_in_a_test_is_an_error_and_a_wrong_answer_a_failure(
    local_engine: None, pytester: pytest.Pytester, run: Run, records: Records, workers: str
) -> None:
    pytester.makepyfile(
        """
        import pytest
        pytestmark = pytest.mark.memory(guarantee="64MiB", limit="64MiB")

        def test_hungry(sandbox):
            assert sandbox.exec("python3 -c 'b = bytearray(200 << 20)'").ok

        def test_wrong(sandbox):
            assert sandbox.exec("exit 3").ok

        def test_right(sandbox):
            assert sandbox.exec("true").ok
        """
    )
    result = run(workers, "--junitxml=report.xml", tasks="")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*1 failed, 1 passed, 1 infra-error*"])
    assert sorted(record["cause"] for record in records().values()) == [
        "oom-limit",
        "solved",
        "wrong",
    ]
    junit = (pytester.path / "report.xml").read_text()
    assert junit.count("<failure") == 1
    assert junit.count("<error") == 1
    assert 'type="oom-limit"' in junit


def test_a_test_of_ones_own_runs_over_all_tasks(
    make_task: MakeTask, pytester: pytest.Pytester, run: Run, records: Records
) -> None:
    make_task("one")
    make_task("two", memory_mb=96)
    (make_task("broken") / "task.toml").write_text("[environment\n")
    pytester.makeini("[pytest]\nreseval_tasks = tasks/*\n")
    pytester.makepyfile(
        """
        def test_task(task, sandbox):
            assert sandbox.enforced.memory_limit == task.memory_guarantee
            sandbox.put(task.solution, "/solution")
            assert sandbox.exec("/solution/solve.sh && cat /app/answer").stdout == "42\\n"
        """
    )
    result = run(
        "--reseval-headroom=1x", "test_a_test_of_ones_own_runs_over_all_tasks.py", tasks=""
    )
    result.assert_outcomes(passed=2, errors=1)
    assert sorted(record["task"] for record in records().values()) == ["one", "two"]


def test_the_task_fixture_without_tasks_says_what_to_set(
    pytester: pytest.Pytester, run: Run
) -> None:
    pytester.makepyfile("def test_task(task): pass")
    result = run(tasks="")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*set the ini option reseval_tasks*"])


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        ("memory(guarantee='lots')", "memory(guarantee=*'lots'"),
        ("memory(guarantee='2GiB', limit='1GiB')", "memory limit 1 GiB is below its guarantee"),
        ("cpu(guarantee=-1)", "cpu(guarantee=*-1"),
        ("memory(garantee='2GiB')", "'garantee'"),
    ],
)
def test_a_mistaken_marker_is_one_clear_error(
    pytester: pytest.Pytester, run: Run, mark: str, told: str
) -> None:
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.{mark}
        def test_builds(sandbox): pass
        """
    )
    result = run(tasks="")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{told}*".replace("[", "[[]")])
    assert "Traceback" not in result.stdout.str()


@pytest.mark.docker
def test_an_engine_of_images_needs_one_for_tests_without_a_task(
    pytester: pytest.Pytester, docker_engine: None
) -> None:
    pytester.makepyfile("def test_builds(sandbox): pass")
    result = pytester.runpytest_subprocess("--reseval-engine=docker")
    result.assert_outcomes(errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*in the ini option reseval_image*"])


def test_the_record_of_a_test_counts_its_neighbours_to_the_end(
    local_engine: None, pytester: pytest.Pytester, run: Run, records: Records
) -> None:
    pytester.makepyfile(
        """
        import pytest
        from pytest_reseval.admission import Claim, Ledger, Budget

        def test_has_company(sandbox, pytestconfig):
            ledger = Ledger(pytestconfig.rootpath / "ledger", Budget(1 << 40, 64.0))
            pytestconfig.company = ledger.record(Claim(1 << 20, 0.1, "other", "beside"))
        """
    )
    run(tasks="").assert_outcomes(passed=1)
    (record,) = records().values()
    assert (record["neighbours_at_start"], record["neighbours_at_end"]) == (0, 1)


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_an_engine_that_cannot_be_had_fails_only_those_who_need_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    pytester.makeini("[pytest]\nreseval_engine = docker\n")
    pytester.makepyfile("def test_needs(sandbox): pass\ndef test_does_not(): pass\n")
    result = pytester.runpytest_subprocess(workers)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*no Docker API answers at unix:///nowhere/docker.sock*"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_a_mistaken_ini_value_is_one_message_without_any_option(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeini("[pytest]\nreseval_default_memory = foo\n")
    pytester.makepyfile("def test_builds(sandbox): pass")
    result = pytester.runpytest_subprocess()
    result.stdout.fnmatch_lines(["*tox.ini: reseval_default_memory*'foo'*"])
    assert "options.py" not in result.stdout.str()
