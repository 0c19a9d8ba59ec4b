"""``kill -9`` in every way: sandboxes end by themselves, and the rest is removed afterwards."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil
import pytest

from pytest_reseval.admission import Budget, Ledger
from pytest_reseval.records import RunDirectory
from tests.engines.conftest import marked_processes
from tests.leftovers import SECONDS, Scope
from tests.plugin.conftest import MakeTask
from tests.teardown.conftest import Dockerfile, Go
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("nothing_left")

EVERYWHERE = pytest.mark.parametrize("workers", ["-n0", "-n2"])

RESEVAL = (
    sys.executable,
    "-c",
    "from pytest_reseval.commands import main; raise SystemExit(main())",
)

Remove = Callable[[], None]


@pytest.fixture(params=["clean", "next start"])
def remove(
    request: pytest.FixtureRequest,
    nothing_left: Scope,
    go: Go,
    task: MakeTask,
) -> Remove:
    """Both ways in which what dead runs left is removed."""

    def clean() -> None:
        command = [*RESEVAL, "clean", f"--ledger={nothing_left.ledger}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(done.stdout, done.stderr)
        assert done.returncode == 0

    def start_next() -> None:
        task("after")
        process = go("-k", "after", results="after")
        print(process.communicate(timeout=120)[0])
        assert process.returncode == 0

    return clean if request.param == "clean" else start_next


@pytest.fixture
def neighbour(task: MakeTask, go: Go, mark: str) -> Iterator[Callable[[], bool]]:
    """A run that goes on all the time; answers whether its sandbox lives."""
    task("neighbour", solve=f"sleep 1{mark}")
    process = go("-k", "neighbour", results="neighbour")
    until(lambda: marked_processes(f"1{mark}"))
    yield lambda: bool(marked_processes(f"1{mark}")) and process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)


def holder(scope: Scope, run_of: subprocess.Popen[str], task: str) -> int:
    """The process of a run that holds the sandbox of a task, once the task's agent is at work."""
    found: list[int] = []

    def is_at_work() -> bool:
        family = {run_of.pid, *(child.pid for child in psutil.Process(run_of.pid).children())}
        found[:] = [
            entry.pid
            for entry in Ledger(scope.ledger, Budget(0, 0)).entries()
            if entry.pid in family and entry.phase == "agent" and task in entry.claim.label
        ]
        return bool(found)

    until(is_at_work)
    [pid] = found
    return pid


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def ends_by_itself(mark: str) -> None:
    until(lambda: not marked_processes(mark), seconds=SECONDS)


def test_the_only_process(
    task: MakeTask, go: Go, mark: str, neighbour: Callable[[], bool], remove: Remove
) -> None:
    task("endless", solve=f"(sleep {mark} >/dev/null 2>&1 &) ; sleep {mark}")
    process = go("-k", "endless")
    until(lambda: marked_processes(mark))
    process.kill()
    process.wait()
    ends_by_itself(mark)
    assert neighbour()
    remove()
    assert neighbour()


def test_one_worker(
    task: MakeTask, go: Go, mark: str, nothing_left: Scope, pytester: pytest.Pytester
) -> None:
    """The run goes on, so it has to remove what its worker left."""
    task("endless", solve=f"sleep {mark}")
    process = go("-n2")
    until(lambda: marked_processes(mark))
    os.kill(holder(nothing_left, process, "endless"), signal.SIGKILL)
    print(process.communicate(timeout=120)[0])
    [record] = RunDirectory(pytester.path / "results").read()
    assert record.cause == "worker-crash"
    assert not marked_processes(mark)


def test_the_controller_alone(task: MakeTask, go: Go, mark: str, remove: Remove) -> None:
    """Its workers end too, and their sandboxes with them."""
    task("endless", solve=f"sleep {mark}")
    process = go("-n2", "-k", "endless")
    until(lambda: marked_processes(mark))
    workers = psutil.Process(process.pid).children()
    process.kill()
    _, alive = psutil.wait_procs(workers, timeout=SECONDS)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]
    ends_by_itself(mark)
    process.communicate()
    remove()


@EVERYWHERE
def test_everything(task: MakeTask, go: Go, mark: str, remove: Remove, workers: str) -> None:
    """Fork servers and keepers too."""
    task("endless", solve=f"sleep {mark}")
    process = go(workers, "-k", "endless")
    until(lambda: marked_processes(mark))
    kill([psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)])
    process.communicate()
    ends_by_itself(mark)
    remove()


@EVERYWHERE
@pytest.mark.parametrize("seed", range(4))
def test_the_process_group_at_any_moment(
    task: MakeTask, go: Go, nothing_left: Scope, workers: str, seed: int
) -> None:
    """Seconds are drawn over all that a short run does; whatever it was at, nothing is left."""
    for number in range(3):
        task(f"short-{number}", solve="sleep 0.3; mkdir /app; echo 42 > /app/answer")
    process = go(workers)
    time.sleep(1 + random.Random(seed).random() * 3)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    print(process.communicate()[0])
    command = [*RESEVAL, "clean", f"--ledger={nothing_left.ledger}"]
    subprocess.run(command, check=True)


@pytest.mark.docker
class TestBuilds:
    @pytest.fixture
    def engine(self, docker_engine: None) -> str:
        return "docker"

    @EVERYWHERE
    def test_the_process_group(
        self, built: Dockerfile, go: Go, mark: str, workers: str, remove: Remove
    ) -> None:
        built("endless", f"RUN sleep {mark}")
        process = go(workers, "-k", "endless")
        until(lambda: marked_processes(mark))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        ends_by_itself(mark)
        remove()
