"""Runs that are killed at any moment, gone on with and killed again, end as undisturbed ones do.

The whole process group gets SIGKILL at moments drawn from the length of an undisturbed run, so that
start, collection, trials and end are all hit.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from pytest_reseval.engines.base import EngineUnavailable
from pytest_reseval.engines.local import LocalEngine

KILLS = 200

PASS = "echo 1 > /logs/verifier/reward.txt"
FAIL = "echo 0 > /logs/verifier/reward.txt"
CHECKS = {"pass": PASS, "fail": FAIL, "infra": "true"}
"""A verifier that writes no reward is an infra-error, each time anew."""

Totals = Counter[tuple[str, str, str]]
"""Trials by task, outcome and cause."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A dozen quick tasks, four of each outcome."""
    try:
        LocalEngine().close()
    except EngineUnavailable as error:
        pytest.skip(str(error))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for kind, check in CHECKS.items():
        for number in range(4):
            folder = tmp_path / "tasks" / f"{kind}-{number}"
            for script, body in (("solution/solve.sh", "true"), ("tests/test.sh", check)):
                path = folder / script
                path.parent.mkdir(parents=True)
                path.write_text(f"#!/bin/sh\n{body}\n")
                path.chmod(0o755)
            (folder / "instruction.md").write_text("Nothing.\n")
            (folder / "task.toml").write_text(
                "[metadata]\nreseval.host = true\n[environment]\ncpus = 1\nmemory_mb = 64\n"
            )
    return tmp_path


def start(project: Path, results: Path, workers: str) -> subprocess.Popen[bytes]:
    """Begin the run, or go on with it if it has come as far as a manifest."""
    begun = (results / "manifest.json").exists()
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", "tasks", workers, "-q", "-p", "no:cacheprovider"),
            *("--reseval-engine=local", f"--reseval-ledger={project}/ledger"),
            f"--reseval-{'resume' if begun else 'results'}={results}",
        ],
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def whole_lines(results: Path) -> list[bytes]:
    file = results / "trials.jsonl"
    return file.read_bytes().split(b"\n")[:-1] if file.exists() else []


def by_trial(lines: list[bytes]) -> dict[str, bytes]:
    found = {msgspec.json.decode(line)["trial"]: line for line in lines}
    assert len(found) == len(lines), "a trial is on file twice"
    return found


def is_finished(line: bytes) -> bool:
    return bool(msgspec.json.decode(line)["outcome"] != "infra-error")


def totals(results: Path) -> Totals:
    records = [msgspec.json.decode(line) for line in whole_lines(results)]
    return Counter((one["task"], one["outcome"], one["cause"]) for one in records)


@pytest.mark.parametrize(("workers", "kills"), [("-n0", KILLS // 2), ("-n2", KILLS // 2)])
def test_no_kill_loses_or_doubles_a_verdict(project: Path, workers: str, kills: int) -> None:
    if workers == "-n2":
        pytest.importorskip("xdist")
    began = time.monotonic()
    undisturbed = start(project, project / "undisturbed", workers)
    output = undisturbed.communicate()[0].decode()
    length = time.monotonic() - began
    assert undisturbed.returncode == pytest.ExitCode.TESTS_FAILED, output
    expected = totals(project / "undisturbed")
    assert Counter(outcome for _, outcome, _ in expected.elements()) == {
        "passed": 4,
        "failed": 4,
        "infra-error": 4,
    }

    seed = os.environ.get("RESEVAL_KILL_SEED") or str(time.time_ns())
    print(f"RESEVAL_KILL_SEED={seed}; an undisturbed run takes {length:.2f} s")
    draw = random.Random(seed)
    killed, sets = 0, 0
    while killed < kills:
        sets += 1
        results = project / f"set-{sets}"
        seen: dict[str, bytes] = {}
        infra: dict[str, bytes] = {}
        while True:
            fresh, began = not results.exists(), time.monotonic()
            process = start(project, results, workers)
            moment = draw.uniform(0, length) if killed < kills else None
            try:
                output = process.communicate(timeout=moment)[0].decode()
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output = process.communicate()[0].decode()
                killed += 1
            on_file = by_trial(whole_lines(results))
            gone = {trial for trial, line in seen.items() if on_file.get(trial) != line}
            assert not gone, f"verdicts were lost or changed after {killed} kills: {gone}"
            seen = {trial: line for trial, line in on_file.items() if is_finished(line)}
            for trial, line in on_file.items():
                if not is_finished(line) and line != infra.get(trial):
                    told = [msgspec.json.decode(infra[trial])] if trial in infra else []
                    known = [*told[0]["earlier"], told[0]] if told else []
                    assert [one["started"] for one in msgspec.json.decode(line)["earlier"]] == [
                        one["started"] for one in known
                    ], f"an attempt at {trial} was forgotten"
                    infra[trial] = line
            if process.returncode != -signal.SIGKILL:
                if fresh:
                    length = time.monotonic() - began
                break
        assert process.returncode == pytest.ExitCode.TESTS_FAILED, output
        assert totals(results) == expected
    print(f"{killed} kills in {sets} sets")
    assert killed == kills
