"""A benchmark in a folder, run by real pytest processes with real sandboxes of the local engine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_reseval.engines.base import EngineUnavailable
from pytest_reseval.engines.docker import DockerEngine
from pytest_reseval.engines.local import LocalEngine
from tests.launched import end

MakeTask = Callable[..., Path]

PASS = "echo 1 > /logs/verifier/reward.txt"
CHECK = 'test "$(cat /app/answer)" = 42; echo $((1 - $?)) > /logs/verifier/reward.txt'
SOLVE = "mkdir -p /app; echo 42 > /app/answer"
HOG = "python3 -c 'b = bytearray(200 << 20)' && mkdir -p /app && echo 42 > /app/answer"


@pytest.fixture(scope="session")
def local_engine() -> None:
    try:
        engine = LocalEngine()
    except EngineUnavailable as error:
        pytest.skip(str(error))
    engine.close()


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """Skips where no Docker API answers."""
    try:
        DockerEngine().close()
    except EngineUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def make_task(pytester: pytest.Pytester, local_engine: None) -> MakeTask:
    """Write a task directory; ``solve`` and ``check`` are the bodies of shell scripts."""

    def make(
        name: str, solve: str = SOLVE, check: str = CHECK, toml: str = "", memory_mb: int = 64
    ) -> Path:
        folder = pytester.path / "tasks" / name
        for script, body in (("solution/solve.sh", solve), ("tests/test.sh", check)):
            path = folder / script
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!/bin/sh\n{body}\n")
            path.chmod(0o755)
        (folder / "instruction.md").write_text("Write 42 into /app/answer.\n")
        (folder / "task.toml").write_text(
            f"""\
[metadata]
reseval.host = true
[environment]
cpus = 1
memory_mb = {memory_mb}
{toml}
"""
        )
        return folder

    return make


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Run pytest on the tasks with the local engine, a ledger and a records folder of its own."""

    def run(*arguments: str, tasks: str = "tasks") -> pytest.RunResult:
        return pytester.runpytest_subprocess(
            *([tasks] if tasks else []),
            "--reseval-engine=local",
            f"--reseval-ledger={pytester.path}/ledger",
            f"--reseval-results={pytester.path}/results",
            *arguments,
        )

    return run


@pytest.fixture
def launch(pytester: pytest.Pytester) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start what ``run`` runs, as a process group of its own; its output is one stream."""
    launched = []

    def launch(*arguments: str, results: str = "results") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pytest", "tasks"),
                "--reseval-engine=local",
                f"--reseval-ledger={pytester.path}/ledger",
                f"--reseval-results={pytester.path}/{results}",
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        launched.append(process)
        return process

    yield launch
    for process in launched:
        end(process)


@pytest.fixture
def leave(pytester: pytest.Pytester) -> Path:
    """The file for which ``--reseval-agent=staying`` waits before it solves a task."""
    path = pytester.path / "leave"
    pytester.makeconftest(
        f"""
        import time
        from pathlib import Path

        class Staying:
            name = "staying"
            def unsupported(self, task):
                return None
            def solve(self, task, sandbox, timeout, seed):
                deadline = time.monotonic() + 120
                while not Path({str(path)!r}).exists():
                    assert time.monotonic() < deadline, "no leave was given"
                    time.sleep(0.01)
                return sandbox.exec({SOLVE!r})

        def pytest_reseval_agent(name):
            return Staying() if name == "staying" else None
        """
    )
    return path


@pytest.fixture
def records(pytester: pytest.Pytester) -> Callable[[], dict[str, dict[str, Any]]]:
    """The lines of ``trials.jsonl`` by trial."""

    def read() -> dict[str, dict[str, Any]]:
        file = pytester.path / "results" / "trials.jsonl"
        lines = [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]
        found = {line["trial"]: line for line in lines}
        assert len(found) == len(lines), "a trial was recorded twice"
        return found

    return read


@pytest.fixture(autouse=True)
def calm_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("PYTEST_", "RESEVAL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "120")
