"""What is printed and written down, and what is left when a run is broken off."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_reseval.admission import Budget, Ledger
from tests.plugin.conftest import HOG, MakeTask
from tests.waiting import until

Run = Callable[..., pytest.RunResult]
Launch = Callable[..., subprocess.Popen[str]]
Records = Callable[[], dict[str, dict[str, Any]]]

EVERYWHERE = pytest.mark.parametrize("workers", ["-n0", "-n2"])


@pytest.fixture
def mixed(make_task: MakeTask) -> None:
    """One task of each kind that pytest can tell apart."""
    make_task("bad", solve="exit 3")
    make_task("good")
    make_task("hungry", solve=HOG)
    (make_task("broken") / "task.toml").write_text("[environment\n")
    composed = make_task("composed") / "environment"
    composed.mkdir()
    (composed / "docker-compose.yaml").write_text("services: {}\n")


def manifest(pytester: pytest.Pytester) -> dict[str, Any]:
    read: dict[str, Any] = msgspec.json.decode(
        (pytester.path / "results" / "manifest.json").read_bytes()
    )
    return read


def test_the_header_tells_the_terms_of_the_run(make_task: MakeTask, run: Run) -> None:
    make_task("good")
    result = run("--reseval-headroom=1x,3x", "--reseval-samples=2", "-n2")
    result.stdout.fnmatch_lines(
        [
            "reseval: engine local * (asked for)*",
            "reseval: headroom 1x,3x; samples 2; agent oracle; seed *; admission by "
            "guarantee, * and * cores to promise",
            "reseval: isolation is for trusted agents only*",
        ]
    )


def test_the_header_is_there_before_anything_runs(make_task: MakeTask, run: Run) -> None:
    make_task("good")
    lines = run().outlines
    header = next(index for index, line in enumerate(lines) if line.startswith("reseval: engine"))
    assert header < next(index for index, line in enumerate(lines) if "task.toml" in line)


def test_collecting_only_chooses_no_engine_and_writes_nothing(
    make_task: MakeTask, run: Run, pytester: pytest.Pytester
) -> None:
    make_task("good")
    result = run("--collect-only")
    assert "reseval:" not in result.stdout.str()
    assert not (pytester.path / "results").exists()


@EVERYWHERE
def test_progress_names_what_is_in_flight_while_it_is(
    make_task: MakeTask, launch: Launch, leave: Path, workers: str
) -> None:
    make_task("slow")
    process = launch("--reseval-agent=staying", "--reseval-progress=0.2", workers)
    assert process.stdout is not None
    flight = r"reseval: 0 of 1 done; 1 in flight \(slow\[3x-s0\] agent \d+ s\); 0 waiting.*\n"
    assert any(re.fullmatch(flight, line) for line in process.stdout)
    leave.touch()
    rest = process.communicate()[0]
    assert process.returncode == 0
    assert "1 passed" in rest


def test_progress_can_be_turned_off(
    make_task: MakeTask, launch: Launch, leave: Path, pytester: pytest.Pytester
) -> None:
    make_task("slow")
    process = launch("--reseval-agent=staying", "--reseval-progress=0")
    ledger = Ledger(pytester.path / "ledger", Budget(0, 0))
    until(lambda: [entry for entry in ledger.entries() if entry.phase == "agent"])
    leave.touch()
    assert "in flight" not in process.communicate()[0]


@EVERYWHERE
def test_the_summary_tells_resources_and_outcomes(mixed: None, run: Run, workers: str) -> None:
    result = run("--reseval-headroom=1x,uncapped", workers)
    result.stdout.fnmatch_lines(
        [
            "*= resources and outcomes =*",
            "engine local * in 6 of 6 sandboxes",
            "headroom *trials *passed *failed *infra-error *score*95%*graded *at most",
            "1x  * 3 * 1 * 1 * 1 *33%*-*%*50%*67%",
            "uncapped * 3 * 2 * 1 * 0 *67%*-*%*67%*67%",
            "infra-error by cause",
            "     1 oom-limit            hungry[[]1x]",
            "failed by cause",
            "     2 agent-error          bad[[]1x,uncapped]",
            "peaks near or above the guarantee",
            "  hungry *64 MiB*MiB*x *OOM at 1x",
            "records  results/trials.jsonl",
            "each     reseval show results",
            "more     reseval report results",
        ]
    )
    assert "not run" not in result.stdout.str()


def test_the_commands_that_tell_more_work(
    make_task: MakeTask, run: Run, pytester: pytest.Pytester
) -> None:
    make_task("good")
    lines = run().outlines
    told = {}
    for word in ("show", "report"):
        (command,) = [line[line.index("reseval") :] for line in lines if f"reseval {word}" in line]
        installed = Path(sys.executable).parent
        told[word] = subprocess.run(
            f"{installed}/{command}", shell=True, capture_output=True, text=True, check=True
        ).stdout
    assert "good[3x-s0]" in told["show"]
    assert (pytester.path / "report.html").is_file()


def test_all_workers_together_tell_the_same_as_one_process(mixed: None, run: Run) -> None:
    def totals(result: pytest.RunResult) -> tuple[object, ...]:
        told = re.fullmatch(r"=+ (.*) in .*s =+", result.outlines[-1])
        assert told is not None
        causes = [line for line in result.outlines if re.match(r" +\d+ [a-z-]+ +\S", line)]
        return told[1], sorted(causes), result.ret

    alone = totals(run("--reseval-headroom=1x", "-n0"))
    together = totals(run("--reseval-headroom=1x", "-n2", "--reseval-results=other"))
    assert alone == together
    assert alone[0] == "1 failed, 1 passed, 1 skipped, 1 error, 1 infra-error"


def test_what_was_not_run_is_said_on_screen_and_on_file(
    make_task: MakeTask, run: Run, pytester: pytest.Pytester
) -> None:
    make_task("a", solve="exit 3")
    make_task("b")
    make_task("c")
    run("-x").stdout.fnmatch_lines(["not run: 2 of 3"])
    assert manifest(pytester)["not_run"] == 2


def test_workers_that_stop_early_leave_the_rest_not_run(
    make_task: MakeTask, run: Run, pytester: pytest.Pytester
) -> None:
    for name in "abcdefgh":
        make_task(name, solve="exit 3")
    result = run("-x", "-n2")
    done = len((pytester.path / "results" / "trials.jsonl").read_bytes().splitlines())
    assert 0 < done < 8
    told = [line for line in result.outlines if line.startswith("not run")]
    assert told == [f"not run: {manifest(pytester)['not_run']} of 8"]
    assert manifest(pytester)["not_run"] >= 8 - done


def test_outcomes_have_colours_of_their_own(mixed: None, run: Run) -> None:
    text = run("--reseval-headroom=1x", "--color=yes").stdout.str()
    assert "\x1b[33m     1 oom-limit" in text
    assert "\x1b[31m     1 agent-error" in text
    assert "\x1b[33m1 infra-error\x1b[0m" in text


def test_an_infra_error_has_a_word_and_a_letter(make_task: MakeTask, run: Run) -> None:
    make_task("hungry", solve=HOG)
    hungry = "tasks/hungry/task.toml"
    brief = run("--reseval-headroom=1x")
    brief.stdout.fnmatch_lines([f"{hungry} I *"])
    verbose = run("--reseval-headroom=1x", "-v", "--reseval-results=other")
    verbose.stdout.fnmatch_lines([f"{hungry}::run[[]1x-s0] INFRA-ERROR (oom-limit)*"])


def test_what_an_agent_prints_does_not_reach_the_terminal_as_commands(
    make_task: MakeTask, run: Run, pytester: pytest.Pytester
) -> None:
    make_task("rude", solve=r"printf '\033[2J\033]0;owned\007\001\377'; exit 3")
    for workers in ("-n0", "-n2"):
        result = run(workers, "--junitxml=report.xml", f"--reseval-results=results{workers}")
        assert "\x1b" not in result.stdout.str()
        result.stdout.fnmatch_lines([r"\x1b[[]2J\x1b]0;owned*"])
        assert r"\x1b[2J" in (pytester.path / "report.xml").read_text()


@EVERYWHERE
def test_the_manifest_says_what_the_run_was(
    mixed: None, run: Run, records: Records, pytester: pytest.Pytester, workers: str
) -> None:
    run("--reseval-headroom=1x", "--reseval-oom=failed", workers)
    told = manifest(pytester)
    assert told["engine"]["name"] == "local"
    assert told["engine_choice"] == "asked for"
    assert told["engine"]["memory"] > told["budget_memory"] > 0
    assert told["host"]["kernel"] == os.uname().release
    assert {"cpu_model", "cores", "memory", "swap"} <= told["host"].keys()
    assert told["options"]["headroom"] == "1x"
    assert told["options"]["oom"] == "failed"
    assert told["options"]["samples"] == "1"
    assert told["workers"] == (1 if workers == "-n0" else 2)
    assert told["versions"]["pytest"] == pytest.__version__
    assert "--reseval-oom=failed" in told["arguments"]
    assert told["started"] < told["ended"]
    assert told["not_run"] == 0
    digests = {record["task"]: record["task_digest"] for record in records().values()}
    assert told["tasks"] == digests
    assert len(set(digests.values())) == 3
    assert {record["run"] for record in records().values()} == {told["run"]}


def processes(command: str) -> list[int]:
    """Ids of the processes with exactly these arguments."""
    wanted = b"\0".join(word.encode() for word in command.split()) + b"\0"
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cmdline").read_bytes() == wanted:
                found.append(int(process.name))
        except OSError:
            continue
    return found


def cgroups_of(process: int) -> set[str]:
    """Names of the sandbox's own cgroups; none where a watchdog stands in for the kernel."""
    lines = Path(f"/proc/{process}/cgroup").read_text().splitlines()
    names = {Path(line.rpartition(":")[2]).name for line in lines}
    return {name for name in names if name.startswith("pytest-reseval-")}


def all_cgroups() -> Iterator[str]:
    for _, directories, _ in os.walk("/sys/fs/cgroup"):
        yield from directories


@EVERYWHERE
def test_ctrl_c_keeps_what_was_finished_and_leaves_nothing_behind(
    make_task: MakeTask, launch: Launch, records: Records, pytester: pytest.Pytester, workers: str
) -> None:
    ages = f"sleep 1{os.getpid():07}"
    make_task("a-quick")
    make_task("b-endless", solve=ages)
    make_task("c-later", solve=ages)
    process = launch(workers, "-v")
    assert process.stdout is not None
    assert any("PASSED" in line for line in process.stdout)
    until(lambda: processes(ages))
    cgroups = cgroups_of(processes(ages)[0])
    assert cgroups <= set(all_cgroups())

    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to workers and keepers too
    output = process.communicate(timeout=120)[0]

    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in output
    until(lambda: not processes(ages))
    until(lambda: not cgroups & set(all_cgroups()))
    until(lambda: not Ledger(pytester.path / "ledger", Budget(0, 0)).entries())
    assert [record["task"] for record in records().values()] == ["a-quick"]
    assert manifest(pytester)["ended"] is not None
    assert manifest(pytester)["not_run"] == 2
    assert "not run: 2 of 3" in output


def test_ctrl_c_in_the_first_trial_still_finishes_the_manifest(
    make_task: MakeTask, launch: Launch, pytester: pytest.Pytester
) -> None:
    ages = f"sleep 2{os.getpid():07}"
    make_task("endless", solve=ages)
    process = launch()
    until(lambda: processes(ages))
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == pytest.ExitCode.INTERRUPTED
    assert not processes(ages)
    assert manifest(pytester)["ended"] is not None
    assert manifest(pytester)["not_run"] == 1
