"""Infra-errors that are tried again, and runs that are gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from pytest_reseval.occupancy import Occupancy
from tests.plugin.conftest import HOG, MakeTask
from tests.waiting import until

Run = Callable[..., pytest.RunResult]
Records = Callable[[], dict[str, dict[str, Any]]]

INFRA_ONLY = 75
EVERYWHERE = pytest.mark.parametrize("workers", ["-n0", "-n2"])

FLAKY = """
from pathlib import Path
from pytest_reseval.agents.base import AgentServiceError

class Flaky:
    name = "flaky"
    def unsupported(self, task):
        return None
    def solve(self, task, sandbox, timeout, seed):
        calls = Path({calls!r}) / task.name
        calls.parent.mkdir(exist_ok=True)
        with calls.open("a") as file:
            file.write("x")
        if task.name.startswith("flaky") and len(calls.read_text()) < {good}:
            raise AgentServiceError("429 Too Many Requests")
        return sandbox.exec("sh -c 'mkdir -p /app; echo 42 > /app/answer; echo worked'")

def pytest_reseval_agent(name):
    return Flaky() if name == "flaky" else None
"""


@pytest.fixture
def flaky(pytester: pytest.Pytester) -> Callable[[int], Path]:
    """An agent whose service answers at the Nth call for a task; writes down each call."""

    def make(good: int) -> Path:
        calls = pytester.path / "calls"
        pytester.makeconftest(FLAKY.format(calls=str(calls), good=good))
        return calls

    return make


@pytest.fixture
def resume(pytester: pytest.Pytester) -> Run:
    """Go on with the run in ``results``."""

    def run(*arguments: str, tasks: str = "tasks", folder: str = "results") -> pytest.RunResult:
        return pytester.runpytest_subprocess(
            tasks,
            "--reseval-engine=local",
            f"--reseval-ledger={pytester.path}/ledger",
            f"--reseval-resume={pytester.path}/{folder}",
            *arguments,
        )

    return run


def by_task(records: Records) -> dict[str, dict[str, Any]]:
    return {record["task"]: record for record in records().values()}


@EVERYWHERE
def test_an_infra_error_is_tried_again_and_every_attempt_is_kept(
    make_task: MakeTask,
    run: Run,
    records: Records,
    flaky: Callable[[int], Path],
    pytester: pytest.Pytester,
    workers: str,
) -> None:
    make_task("flaky")
    make_task("steady")
    make_task("hungry", solve=HOG)
    calls = flaky(2)
    result = run(
        "--reseval-agent=flaky", "--reseval-infra-retries=1", workers, "--junitxml=report.xml"
    )
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["first attempts: 1 of 3 infra-errors (33%); tried again: 1, of which 1 passed"]
    )
    record = by_task(records)["flaky"]
    (first,) = record["earlier"]
    assert (first["outcome"], first["cause"]) == ("infra-error", "agent-service")
    assert first["message"] == "429 Too Many Requests"
    assert (record["outcome"], record["cause"]) == ("passed", "solved")
    assert first["started"] < record["started"]
    assert (calls / "flaky").read_text() == "xx"
    assert by_task(records)["steady"]["earlier"] == []
    (log,) = pytester.path.glob("results/trials/*flaky*/attempt-2/agent.log")
    assert log.read_text() == "worked\n"
    (series,) = pytester.path.glob("results/trials/*flaky*/series.csv")
    assert series.stat().st_size
    attempts = [
        entry.get("value")
        for entry in ElementTree.parse(pytester.path / "report.xml").iter("property")
        if entry.get("name") == "reseval.attempts"
    ]
    assert sorted(map(str, attempts)) == ["1", "1", "2"]


def test_a_kill_at_the_limit_is_tried_again_only_if_asked(
    make_task: MakeTask, run: Run, records: Records, pytester: pytest.Pytester
) -> None:
    make_task("hungry", solve=HOG)
    assert run("--reseval-headroom=1x", "--reseval-infra-retries=1").ret == INFRA_ONLY
    assert by_task(records)["hungry"]["earlier"] == []
    (pytester.path / "results").rename(pytester.path / "first")
    assert run("--reseval-headroom=1x", "--reseval-infra-retries=1,oom-limit").ret == INFRA_ONLY
    assert [one["cause"] for one in by_task(records)["hungry"]["earlier"]] == ["oom-limit"]


@pytest.mark.parametrize("text", ["-1", "2,oom", "two", "1,oom-limit,", " 1"])
def test_nonsense_retries_are_one_message(make_task: MakeTask, run: Run, text: str) -> None:
    make_task("good")
    result = run(f"--reseval-infra-retries={text}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--reseval-infra-retries*write a whole number from 0 to 100*"])


@EVERYWHERE
def test_what_passed_or_failed_is_told_again_and_the_rest_is_run(
    make_task: MakeTask,
    run: Run,
    resume: Run,
    records: Records,
    flaky: Callable[[int], Path],
    pytester: pytest.Pytester,
    workers: str,
) -> None:
    make_task("flaky")
    make_task("good")
    make_task("bad", check="echo said; echo 0 > /logs/verifier/reward.txt")
    calls = flaky(2)
    assert run("--reseval-agent=flaky", workers, "-k", "not good").ret == 1
    before = by_task(records)
    manifest = msgspec.json.decode((pytester.path / "results/manifest.json").read_bytes())

    result = resume("--reseval-agent=flaky", workers, "--junitxml=report.xml")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            f"reseval: goes on with run {manifest['run']}, of which are on file: "
            "0 passed, 1 failed, 1 infra-error"
        ]
    )
    result.stdout.fnmatch_lines(["*wrong: reward 0, below 1*", "said"])
    result.stdout.fnmatch_lines(["from the earlier run: 1 of 3 verdicts"])
    result.stdout.fnmatch_lines(["*1 failed, 2 passed*"])
    after = by_task(records)
    assert {task: record["cause"] for task, record in after.items()} == {
        "flaky": "solved",
        "good": "solved",
        "bad": "wrong",
    }
    assert after["bad"] == before["bad"]
    assert [one["cause"] for one in after["flaky"]["earlier"]] == ["agent-service"]
    assert after["flaky"]["earlier"][0]["started"] == before["flaky"]["started"]
    assert {task.name: task.read_text() for task in calls.iterdir()} == {
        "flaky": "xx",
        "good": "x",
        "bad": "x",
    }
    (superseded,) = (pytester.path / "results/superseded.jsonl").read_bytes().splitlines()
    assert msgspec.json.decode(superseded) == before["flaky"]
    suite = ElementTree.parse(pytester.path / "report.xml").getroot()[0]
    assert (suite.get("errors"), suite.get("failures"), suite.get("tests")) == ("0", "1", "3")

    told = msgspec.json.decode((pytester.path / "results/manifest.json").read_bytes())
    assert (told["run"], told["started"]) == (manifest["run"], manifest["started"])
    (resumption,) = told["resumed"]
    assert manifest["ended"] < resumption["started"] < resumption["ended"] == told["ended"]
    assert set(told["tasks"]) == {"flaky", "good", "bad"}
    assert {record["run"] for record in after.values()} == {manifest["run"]}


def test_a_run_can_be_extended_and_ends_like_one_of_that_size(
    make_task: MakeTask, run: Run, resume: Run, records: Records, pytester: pytest.Pytester
) -> None:
    make_task("good")
    assert run().ret == 0
    assert resume("--reseval-samples=3", "--reseval-headroom=3x,uncapped").ret == 0
    assert len(records()) == 6
    told = msgspec.json.decode((pytester.path / "results/manifest.json").read_bytes())
    assert told["resumed"][0]["differing"]["options.samples"] == "3"


@EVERYWHERE
def test_a_task_that_was_changed_is_run_again(
    make_task: MakeTask,
    run: Run,
    resume: Run,
    records: Records,
    pytester: pytest.Pytester,
    workers: str,
) -> None:
    make_task("same")
    make_task("mended", solve="exit 3")
    assert run(workers).ret == 1
    before = by_task(records)
    make_task("mended")
    assert resume(workers).ret == 0
    after = by_task(records)
    assert after["same"] == before["same"]
    assert (after["mended"]["cause"], after["mended"]["earlier"]) == ("solved", [])
    (superseded,) = (pytester.path / "results/superseded.jsonl").read_bytes().splitlines()
    assert msgspec.json.decode(superseded) == before["mended"]


@EVERYWHERE
def test_tests_in_python_are_gone_on_with_too(
    local_engine: None,
    pytester: pytest.Pytester,
    run: Run,
    resume: Run,
    records: Records,
    workers: str,
) -> None:
    pytester.makepyfile(
        test_own="""
        import pytest
        from pathlib import Path
        pytestmark = pytest.mark.memory(guarantee="64MiB", limit="64MiB")

        def count(name):
            with Path(__file__).with_name(name).open("a") as file:
                file.write("x")
                return file.tell()

        class TestOwn:
            def test_wrong(self, sandbox):
                count("wrong")
                assert sandbox.exec("exit 3").ok

            def test_hungry_once(self, sandbox):
                size = 200 if count("hungry") == 1 else 1
                assert sandbox.exec(["python3", "-c", f"b = bytearray({size} << 20)"]).ok
        """
    )
    assert run(workers, "test_own.py", tasks="").ret == 1
    result = resume(workers, tasks="test_own.py")
    result.stdout.fnmatch_lines(["*1 failed, 1 passed*"])
    assert (pytester.path / "wrong").read_text() == "x"
    assert (pytester.path / "hungry").read_text() == "xx"
    told = {trial.partition("[")[0][-10:]: record for trial, record in records().items()}
    assert [one["cause"] for one in told["ungry_once"]["earlier"]] == ["oom-limit"]


def test_another_test_is_not_gone_on_with(
    make_task: MakeTask, run: Run, resume: Run, records: Records
) -> None:
    make_task("good")
    run()
    before = records()
    result = resume("--reseval-agent=nop", "--reseval-admission=off", "--reseval-samples=2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if "another test" in line]
    assert "--reseval-agent was 'oracle' and is now 'nop'" in line
    assert "--reseval-admission was 'guarantee' and is now 'off'" in line
    assert "samples" not in line
    assert records() == before
    assert resume("--reseval-timeout-scale=1.0", "--reseval-admission=guarantee").ret == 0


def test_a_folder_without_a_run_cannot_be_gone_on_with(make_task: MakeTask, resume: Run) -> None:
    make_task("good")
    result = resume(folder="nowhere")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--reseval-resume=*nowhere: there is no manifest.json*"])


def test_a_run_is_gone_on_with_from_its_own_rootdir(
    make_task: MakeTask, run: Run, resume: Run, records: Records, pytester: pytest.Pytester
) -> None:
    make_task("good")
    run()
    before = records()
    result = resume(f"--rootdir={pytester.path}/tasks")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*pytest's rootdir*"])
    assert records() == before


def test_records_of_another_schema_are_not_gone_on_with(
    make_task: MakeTask, run: Run, resume: Run, pytester: pytest.Pytester
) -> None:
    make_task("good")
    run()
    manifest = pytester.path / "results" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"schema": 1', '"schema": 99'))
    result = resume()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*its records have schema 99*"])


def test_results_and_resume_exclude_each_other(make_task: MakeTask, resume: Run) -> None:
    make_task("good")
    result = resume("--reseval-results=other")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--reseval-results cannot stand beside --reseval-resume*"])


@EVERYWHERE
def test_a_folder_that_holds_a_run_is_not_written_by_another(
    make_task: MakeTask, run: Run, records: Records, workers: str
) -> None:
    make_task("good")
    run()
    before = records()
    result = run(workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*results already holds a run; --reseval-resume=*results goes*"])
    assert records() == before


def test_a_run_that_still_goes_on_is_waited_for(
    make_task: MakeTask, run: Run, records: Records, pytester: pytest.Pytester
) -> None:
    make_task("good")
    run()
    held = Occupancy(pytester.path / "results", "other")
    held.take_over(print)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", "tasks", "--reseval-engine=local"),
            *(f"--reseval-ledger={pytester.path}/ledger", "--reseval-resume=results"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    waiting = f"reseval: waiting for process {os.getpid()} to end, up to 60 s\n"
    assert any(line == waiting for line in process.stdout)
    held.release()
    assert "1 passed" in process.communicate(timeout=100)[0]


@EVERYWHERE
def test_attempts_of_a_run_that_was_killed_are_not_forgotten(
    make_task: MakeTask,
    launch: Callable[..., subprocess.Popen[str]],
    resume: Run,
    records: Records,
    flaky: Callable[[int], Path],
    pytester: pytest.Pytester,
    workers: str,
) -> None:
    make_task("flaky")
    calls = flaky(1000) / "flaky"
    process = launch("--reseval-agent=flaky", "--reseval-infra-retries=5", workers)
    until(lambda: calls.exists() and len(calls.read_text()) >= 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (pytester.path / "results/trials.jsonl").exists()
    assert resume("--reseval-agent=flaky", workers).ret == INFRA_ONLY
    (record,) = records().values()
    assert len(record["earlier"]) == 1


@pytest.fixture
def small_disk(pytester: pytest.Pytester) -> Path:
    """An empty disk of 5 MiB for the records."""
    path = pytester.mkdir("small")
    mount = ["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(path)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs to be root, to mount a disk that is small")
    return path


@pytest.fixture
def filling(small_disk: Path, pytester: pytest.Pytester) -> Iterator[Path]:
    """An agent that fills the disk; a conftest empties it in the end if ``mend`` exists."""
    mend = pytester.path / "mend"
    pytester.makeconftest(
        f"""
        import pytest
        from pathlib import Path
        FILLER, MEND = Path({str(small_disk / "filler")!r}), Path({str(mend)!r})

        class Filling:
            name = "filling"
            def unsupported(self, task):
                return None
            def solve(self, task, sandbox, timeout, seed):
                with pytest.raises(OSError), FILLER.open("wb") as file:
                    while True:
                        file.write(bytes(1 << 12))
                        file.flush()
                return sandbox.exec("mkdir -p /app && echo 42 > /app/answer")

        def pytest_reseval_agent(name):
            return Filling() if name == "filling" else None

        @pytest.hookimpl(tryfirst=True, wrapper=True)
        def pytest_sessionfinish(session):
            if MEND.exists() and not hasattr(session.config, "workerinput"):
                FILLER.unlink()
            return (yield)
        """
    )
    yield mend
    subprocess.run(["umount", str(small_disk)], check=True)


@pytest.mark.root
@EVERYWHERE
def test_a_verdict_that_finds_the_disk_full_is_filed_in_the_end(
    make_task: MakeTask, run: Run, filling: Path, small_disk: Path, workers: str
) -> None:
    make_task("good")
    filling.touch()
    result = run("--reseval-agent=filling", workers, f"--reseval-results={small_disk}/run")
    assert result.ret == 0
    (line,) = (small_disk / "run/trials.jsonl").read_bytes().splitlines()
    record = msgspec.json.decode(line)
    assert record["cause"] == "solved"
    assert "series.csv" in record["unwritten"]


@pytest.mark.root
@EVERYWHERE
def test_a_verdict_that_cannot_be_filed_is_told(
    make_task: MakeTask, run: Run, filling: Path, small_disk: Path, workers: str
) -> None:
    make_task("good")
    result = run("--reseval-agent=filling", workers, f"--reseval-results={small_disk}/run")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["not on file", "  tasks/good/task.toml::run*No space left*"])
    result.stderr.fnmatch_lines(["reseval: not on file: tasks/good/task.toml::run*"])
    result.stdout.fnmatch_lines(["*1 passed*"])


@pytest.mark.root
@EVERYWHERE
def test_a_disk_that_is_full_at_the_start_refuses_the_run(
    make_task: MakeTask, run: Run, filling: Path, small_disk: Path, workers: str
) -> None:
    make_task("good")
    (small_disk / "filler").write_bytes(bytes(2 << 20))
    result = run("--reseval-agent=filling", workers, f"--reseval-results={small_disk}/run")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*records cannot be written*less than 4 MiB are free*"])
