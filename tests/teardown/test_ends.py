"""Orderly ends, and those that a user or a supervisor asks for."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from pytest_reseval.admission import Budget, Claim, Ledger
from pytest_reseval.records import RunDirectory
from tests.engines.conftest import marked_processes
from tests.leftovers import Scope
from tests.plugin.conftest import HOG, MakeTask
from tests.teardown.conftest import Dockerfile, Go
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("nothing_left")

EVERYWHERE = pytest.mark.parametrize("workers", ["-n0", "-n2"])
INTERRUPTED = pytest.ExitCode.INTERRUPTED
UNCAUGHT = 1
"""The status of a Python program that ends by an exception."""


def causes(pytester: pytest.Pytester) -> list[str]:
    return sorted(record.cause for record in RunDirectory(pytester.path / "results").read())


def finish(process: subprocess.Popen[str]) -> str:
    output = process.communicate(timeout=120)[0]
    print(output)
    return output


@EVERYWHERE
def test_a_normal_end(task: MakeTask, go: Go, pytester: pytest.Pytester, workers: str) -> None:
    task("bad", solve="exit 3")
    task("daemon", solve="mkdir -p /app; echo 42 > /app/answer; (sleep 600 >/dev/null 2>&1 &)")
    task("hungry", solve=HOG)
    finish(go(workers, "--reseval-headroom=1x"))
    assert causes(pytester) == ["agent-error", "oom-limit", "solved"]


@pytest.mark.docker
class TestBuilds:
    @pytest.fixture
    def engine(self, docker_engine: None) -> str:
        return "docker"

    def test_that_succeed_leave_the_image_alone(
        self, built: Dockerfile, go: Go, pytester: pytest.Pytester
    ) -> None:
        built("good", "RUN echo third > /third")
        finish(go())
        assert causes(pytester) == ["solved"]

    @EVERYWHERE
    def test_that_fail(
        self, built: Dockerfile, go: Go, pytester: pytest.Pytester, workers: str
    ) -> None:
        built("failing", "RUN exit 9")
        finish(go(workers))
        assert causes(pytester) == ["image-build"]

    def test_that_take_too_long(
        self, built: Dockerfile, go: Go, mark: str, pytester: pytest.Pytester
    ) -> None:
        built("slow", f"RUN sleep {mark}", toml="build_timeout_sec = 6")
        finish(go())
        assert causes(pytester) == ["image-build"]

    @EVERYWHERE
    @pytest.mark.parametrize("times", [1, 2])
    def test_that_are_interrupted(
        self, built: Dockerfile, go: Go, mark: str, workers: str, times: int
    ) -> None:
        built("slow", f"RUN sleep {mark}")
        process = go(workers)
        until(lambda: marked_processes(mark))
        interrupt(process, times, lambda: not marked_processes(mark))
        finish(process)
        assert process.returncode in statuses(times)


def statuses(times: int) -> set[int]:
    """What a run may answer to so many SIGINTs.

    pytest itself dies of a second one, or ends with a traceback, depending on where it is.
    """
    return {INTERRUPTED} if times == 1 else {INTERRUPTED, -signal.SIGINT, UNCAUGHT}


def interrupt(process: subprocess.Popen[str], times: int, under_way: Callable[[], bool]) -> None:
    """Ctrl-C, as a terminal sends it: to workers and fork servers too; again once it is at work."""
    os.killpg(process.pid, signal.SIGINT)
    if times > 1:
        until(lambda: under_way() or process.poll() is not None)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)


@EVERYWHERE
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_while_an_agent_works(
    task: MakeTask, go: Go, mark: str, workers: str, times: int
) -> None:
    task("endless", solve=f"sleep {mark}")
    task("later", solve=f"sleep {mark}")
    process = go(workers)
    until(lambda: marked_processes(mark))
    interrupt(process, times, lambda: not marked_processes(mark))
    finish(process)
    assert process.returncode in statuses(times)


@EVERYWHERE
def test_ctrl_c_twice_at_once(task: MakeTask, go: Go, mark: str, workers: str) -> None:
    task("endless", solve=f"sleep {mark}")
    process = go(workers)
    until(lambda: marked_processes(mark))
    interrupt(process, 2, lambda: True)
    finish(process)
    assert process.returncode in statuses(2)


@EVERYWHERE
def test_ctrl_c_while_waiting_for_admission(
    task: MakeTask, go: Go, nothing_left: Scope, workers: str
) -> None:
    task("waiting")
    ledger = Ledger(nothing_left.ledger, Budget(0, 0))
    with ledger.record(Claim(2**50, 0, "another run", "everything")):
        process = go(workers)
        until(lambda: [entry for entry in ledger.entries() if entry.state == "waiting"])
        interrupt(process, 1, lambda: True)
        finish(process)
    assert process.returncode == INTERRUPTED


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@EVERYWHERE
def test_a_signal_to_the_main_process_alone(
    task: MakeTask, go: Go, mark: str, workers: str, number: signal.Signals
) -> None:
    """As ``kill`` and supervisors send it."""
    task("endless", solve=f"sleep {mark}")
    process = go(workers)
    until(lambda: marked_processes(mark))
    process.send_signal(number)
    assert "KeyboardInterrupt" in finish(process)
    assert process.returncode == INTERRUPTED


def test_sigterm_to_everything(task: MakeTask, go: Go, mark: str) -> None:
    """As ``timeout`` and the end of a session send it."""
    task("endless", solve=f"sleep {mark}")
    process = go("-n2")
    until(lambda: marked_processes(mark))
    os.killpg(process.pid, signal.SIGTERM)
    finish(process)
    assert process.returncode == INTERRUPTED
