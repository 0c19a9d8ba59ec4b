"""Faults that come from outside of any task: of engines, processes, disks, clocks and networks."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.engines.conftest import mark, marked_processes, wait_for_process
from tests.faults import facts
from tests.faults.benchmark import INFRA_ONLY, Benchmark, made, unwatched
from tests.faults.catalogue import Fault
from tests.faults.conftest import Observe
from tests.faults.engines import PrivateEngine, private_engine
from tests.faults.facts import Fact, Record
from tests.plugin.conftest import CHECK, SOLVE
from tests.teardown.test_ends import statuses
from tests.teardown.test_kills import RESEVAL, holder
from tests.waiting import until

__all__ = ["mark"]

MEMORY = Path("/sys/fs/cgroup/memory")


def task(name: str, solve: str = SOLVE, **fields: Any) -> Fault:
    """A task whose fault comes from elsewhere, so that it says nothing of a verdict."""
    return Fault(name, "", "", "", (), solve=solve, **fields)


def verdict(record: Record) -> tuple[str, str]:
    """Outcome and cause."""
    return record["outcome"], record["cause"]


def finish(process: subprocess.Popen[str]) -> int:
    """Wait for the end of a run."""
    print(process.communicate(timeout=240)[0])
    return process.returncode


# Memory of the host


@contextmanager
def memory_cgroup() -> Iterator[Path]:
    """A cgroup (v1) that stands for a host which runs out of memory."""
    if not (MEMORY / "memory.limit_in_bytes").exists():
        pytest.skip("needs cgroup v1")
    group = MEMORY / f"reseval-fault-{os.getpid()}"
    group.mkdir()
    (group / "memory.use_hierarchy").write_text("1")
    try:
        yield group
    finally:
        for directory, *_ in os.walk(group, topdown=False):
            with suppress(OSError):
                Path(directory).rmdir()


SHRINKING = """\
from pathlib import Path

class Shrinking:
    '''Lets the host run out of memory while the agent is within its guarantee.'''
    name = "shrinking"
    def unsupported(self, task):
        return None
    def solve(self, task, sandbox, timeout, seed):
        group = Path({group!r})
        limit = group / "memory.limit_in_bytes"
        used = int((group / "memory.usage_in_bytes").read_text())
        limit.write_text(str(used + (40 << 20)))
        try:
            return sandbox.exec("python3 -c 'b = bytearray(150 << 20)'", timeout=timeout)
        finally:
            limit.write_text("-1")

def pytest_reseval_agent(name):
    return Shrinking() if name == "shrinking" else None
"""


@pytest.fixture
def shrinking(engine: str, base_image: str, workers: str) -> Iterator[Record]:
    """The record of a trial whose host ran out of memory."""
    with memory_cgroup() as group, made(engine) as benchmark:
        benchmark.add(task("within", memory_mb=256))
        benchmark.conftest(SHRINKING.format(group=str(group)))
        arguments = (workers, "--reseval-agent=shrinking")
        if engine == "local":
            procs = group / "cgroup.procs"
            benchmark.run(*arguments, first=lambda: procs.write_text(str(os.getpid())))
        else:
            with private_engine(f"/{group.name}", base_image) as private:
                benchmark.run(*arguments, env={"DOCKER_HOST": private.address})
        yield benchmark.records()["within"]


def test_the_host_runs_out_of_memory_below_the_guarantee(
    shrinking: Record, observe: Observe
) -> None:
    assert verdict(shrinking) == ("infra-error", "oom-host")
    observe(
        "host-oom",
        shrinking,
        (facts.killed("agent"), facts.message("below its guarantee", "broken promise")),
    )


# Engines and sandboxes that go away


@pytest.mark.docker
@pytest.mark.parametrize("engine", ["docker"])
def test_the_engine_is_dead_at_the_start(
    benchmark: Benchmark, workers: str, observe: Observe
) -> None:
    benchmark.add(task("never"))
    done = benchmark.run(workers, env={"DOCKER_HOST": f"unix://{benchmark.folder}/none.sock"})
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "no Docker API answers at" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (benchmark.results / "trials.jsonl").exists()
    words = Fact("exit status 4 before anything runs, and one message", lambda record: True)
    observe("engine-dead", {"outcome": "refused", "cause": "usage error"}, (words,))


@pytest.fixture
def private(engine: str, base_image: str) -> Iterator[PrivateEngine]:
    """An engine that may be killed."""
    with private_engine("/docker", base_image) as started:
        yield started


@pytest.fixture
def unsteady(private: PrivateEngine, engine: str) -> Iterator[Benchmark]:
    """An empty benchmark beside it.

    The engine is started again meanwhile, so its own processes would count as left behind.
    """
    with unwatched(Path(private.address.removeprefix("unix://")).parent, engine) as empty:
        yield empty


STUBBORN = """\
class Stubborn:
    '''Works for ever the first time, and solves the task the next.'''
    name = "stubborn"
    times = 0
    def unsupported(self, task):
        return None
    def solve(self, task, sandbox, timeout, seed):
        self.times += 1
        return sandbox.exec({forever!r} if self.times == 1 else {solve!r})

AGENT = Stubborn()

def pytest_reseval_agent(name):
    return AGENT if name == "stubborn" else None
"""


@pytest.mark.docker
@pytest.mark.parametrize("engine", ["docker"])
@pytest.mark.parametrize("retries", [0, 6])
def test_the_engine_is_killed_in_the_middle_and_started_again(
    private: PrivateEngine,
    unsteady: Benchmark,
    mark: str,
    workers: str,
    observe: Observe,
    retries: int,
) -> None:
    unsteady.add(task("interrupted"))
    unsteady.conftest(STUBBORN.format(forever=f"sleep {mark}", solve=SOLVE))
    process = unsteady.launch(
        workers,
        "--reseval-agent=stubborn",
        f"--reseval-infra-retries={retries}",
        env={"DOCKER_HOST": private.address},
    )
    try:
        wait_for_process(mark)
        private.kill()
        private.start()
    finally:
        status = finish(process)
    assert status == (INFRA_ONLY if retries == 0 else 0)
    record = unsteady.records()["interrupted"]
    until(lambda: not marked_processes(mark))
    # A run that was over before the engine was back could not remove what had ended.
    clean = [*RESEVAL, "clean", f"--ledger={unsteady.scope.ledger}"]
    env = unsteady.environment({"DOCKER_HOST": private.address})
    subprocess.run(clean, env=env, check=True)
    assert private.containers() == []
    if retries == 0:
        assert verdict(record) == ("infra-error", "engine-lost")
        observe("engine-killed", record, (Fact("the API is gone in mid-command", bool),))
        return
    assert verdict(record) == ("passed", "solved")
    lost = Fact(
        "first attempt `engine-lost`",
        lambda record: record["earlier"][0]["cause"] == "engine-lost",
    )
    observe("engine-killed-retried", record, (lost,))


def test_somebody_else_removes_the_sandbox(
    benchmark: Benchmark, engine: str, workers: str, mark: str, observe: Observe
) -> None:
    benchmark.add(task("robbed", solve=f"sleep {mark}"))
    process = benchmark.launch(workers)
    inside = wait_for_process(mark)
    if engine == "docker":
        container = re.search(r"[0-9a-f]{64}", Path(f"/proc/{inside.pid}/cgroup").read_text())
        assert container is not None
        subprocess.run(["docker", "rm", "--force", container[0]], check=True)
        how = "by the engine's log somebody asked for the end"
    else:
        keeper = next(one for one in inside.parents() if "keeper" in " ".join(one.cmdline()))
        keeper.kill()
        how = "the sandbox's keeper was killed"
    assert finish(process) == INFRA_ONLY
    record = benchmark.records()["robbed"]
    assert verdict(record) == ("infra-error", "sandbox-lost")
    observe("sandbox-removed", record, (Fact(how, bool), facts.fault("sandbox")))


# Processes of ours that end


@pytest.mark.parametrize("workers", ["-n2"])
def test_a_worker_is_killed(
    benchmark: Benchmark, workers: str, mark: str, observe: Observe
) -> None:
    benchmark.add(task("orphaned", solve=f"sleep {mark}"))
    benchmark.add(task("other"))
    process = benchmark.launch(workers)
    wait_for_process(mark)
    os.kill(holder(benchmark.scope, process, "orphaned"), signal.SIGKILL)
    until(lambda: not marked_processes(mark))
    assert finish(process) == INFRA_ONLY
    records = benchmark.records()
    assert verdict(records["other"]) == ("passed", "solved")
    assert verdict(records["orphaned"]) == ("infra-error", "worker-crash")
    observe(
        "worker-killed",
        records["orphaned"],
        (facts.fault("the worker process", "died"), Fact("the other trial passed", bool)),
    )


def resumed(benchmark: Benchmark, workers: str, mark: str) -> Record:
    """Go on with the run once nothing makes the agent wait any more."""
    (benchmark.folder / "tasks" / "unfinished" / "solution" / "solve.sh").write_text(
        f"#!/bin/sh\n{SOLVE}\n"
    )
    assert benchmark.run(workers, resume=True).returncode == 0
    assert not marked_processes(mark)
    return benchmark.records()["unfinished"]


BEFORE = Fact("no verdict before, one after `--reseval-resume`", bool)


@pytest.mark.parametrize("who", ["controller", "everything"])
def test_the_controller_or_everything_is_killed(
    benchmark: Benchmark, workers: str, mark: str, observe: Observe, who: str
) -> None:
    benchmark.add(task("unfinished", solve=f"sleep {mark}"))
    process = benchmark.launch(workers)
    wait_for_process(mark)
    if who == "controller":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    until(lambda: not marked_processes(mark), seconds=30)
    finish(process)
    assert not (benchmark.results / "trials.jsonl").exists()
    record = resumed(benchmark, workers, mark)
    assert verdict(record) == ("passed", "solved")
    sandbox = Fact("its sandbox ends within 30 s", bool)
    observe(f"{who}-killed", record, (sandbox, BEFORE))


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c(
    benchmark: Benchmark, workers: str, mark: str, observe: Observe, times: int
) -> None:
    benchmark.add(task("unfinished", solve=f"sleep {mark}"))
    process = benchmark.launch(workers)
    wait_for_process(mark)
    os.killpg(process.pid, signal.SIGINT)
    if times == 2:
        until(lambda: not marked_processes(mark) or process.poll() is not None)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
    assert finish(process) in statuses(times)
    record = resumed(benchmark, workers, mark)
    assert verdict(record) == ("passed", "solved")
    observe(f"ctrl-c-{times}", record, (Fact("the sandbox is torn down", bool), BEFORE))


# Clocks


def test_the_clock_is_set_while_a_trial_runs(
    benchmark: Benchmark, workers: str, mark: str, observe: Observe
) -> None:
    library = next(Path("/usr/lib").rglob("libfaketimeMT.so.1"), None)
    if library is None:
        pytest.skip("needs Debian's package libfaketime")
    clock = benchmark.folder / "clock"
    clock.write_text("+0")
    benchmark.add(task("timeless", solve=f"sleep {mark} || {SOLVE}"))
    env = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    process = benchmark.launch(workers, env=env)
    inside = wait_for_process(mark)
    clock.write_text("-400d")
    inside.terminate()
    assert finish(process) == 0
    record = benchmark.records()["timeless"]
    assert verdict(record) == ("passed", "solved")
    sane = Fact(
        "all times measured are ≥ 0 and below 120 s",
        lambda record: (
            all(0 <= seconds < 120 for seconds in record["stages"].values())
            and all(0 <= phase["seconds"] < 120 for phase in record["evidence"]["phases"])
        ),
    )
    observe("clock-set", record, (sane,))


# Disks


FILLING = """\
import os
from pathlib import Path

BALLAST = Path({results!r}) / "ballast"

class Filling:
    '''Fills the disk of the records while the agent works.'''
    name = "filling"
    def unsupported(self, task):
        return None
    def solve(self, task, sandbox, timeout, seed):
        with BALLAST.open("wb") as ballast:
            try:
                while True:
                    ballast.write(bytes(1 << 16))
                    ballast.flush()
            except OSError:
                pass
        return sandbox.exec({solve!r})

def pytest_reseval_agent(name):
    return Filling() if name == "filling" else None

def pytest_runtest_logreport(report):
    if hasattr(report, "reseval"):
        BALLAST.unlink(missing_ok=True)
"""


def test_the_disk_of_the_records_is_full(
    benchmark: Benchmark, workers: str, observe: Observe
) -> None:
    benchmark.results.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=12m", "none", str(benchmark.results)]
    subprocess.run(mounting, check=True)
    try:
        benchmark.add(task("squeezed"))
        benchmark.conftest(FILLING.format(results=str(benchmark.results), solve=SOLVE))
        done = benchmark.run(workers, "--reseval-agent=filling")
        record = benchmark.records()["squeezed"]
    finally:
        subprocess.run(["umount", str(benchmark.results)], check=True)
    assert done.returncode == 0
    assert verdict(record) == ("passed", "solved")
    observe(
        "results-full",
        record,
        (
            Fact("the verdict is filed by the controller once there is room", bool),
            Fact("`unwritten` names the lost logs", lambda record: record["unwritten"] != []),
        ),
    )


# Output


def test_a_flood_of_output(benchmark: Benchmark, workers: str, observe: Observe) -> None:
    benchmark.add(task("flood", solve=f"head -c 10G /dev/zero; {SOLVE}"))
    free = shutil.disk_usage(benchmark.folder).free
    process = benchmark.launch(workers)
    highest, lowest = 0, free
    while process.poll() is None:
        with suppress(psutil.Error):
            pytests = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
            highest = max(highest, *(one.memory_info().rss for one in pytests))
        lowest = min(lowest, shutil.disk_usage(benchmark.folder).free)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
    assert finish(process) == 0
    record = benchmark.records()["flood"]
    (log,) = benchmark.results.rglob("agent.log")
    assert log.stat().st_size <= 2 << 20
    assert highest < 300 << 20
    assert free - lowest < 3 << 30
    assert verdict(record) == ("passed", "solved")
    observe(
        "output-flood",
        record,
        (
            Fact("the log keeps at most 2 MiB", bool),
            Fact("no process of pytest exceeds 300 MiB", bool),
        ),
    )


# Agents and verifiers with services of their own

SERVICE = """\
from pytest_reseval.agents.base import AgentServiceError

class Limited:
    name = "limited"
    def unsupported(self, task):
        return None
    def solve(self, task, sandbox, timeout, seed):
        raise AgentServiceError("429 Too Many Requests")

def pytest_reseval_agent(name):
    return Limited() if name == "limited" else None
"""


def test_the_agents_own_service_fails(benchmark: Benchmark, workers: str, observe: Observe) -> None:
    benchmark.add(task("limited"))
    benchmark.conftest(SERVICE)
    assert benchmark.run(workers, "--reseval-agent=limited").returncode == INFRA_ONLY
    record = benchmark.records()["limited"]
    assert verdict(record) == ("infra-error", "agent-service")
    observe("agent-service", record, (facts.fault("429 Too Many Requests"),))


FETCHING = """\
url="http://{host}:{port}/runner"
python3 -c 'import sys, urllib.request as r; r.urlretrieve(sys.argv[1], "/tmp/runner")' "$url" \\
    && sh /tmp/runner
[ -e /logs/verifier/reward.txt ] || echo 0 > /logs/verifier/reward.txt
# the report is /logs/verifier/ctrf.json
"""

RUNNER = f"""\
{CHECK}
echo '{{"results": {{"tests": [{{"name": "answer"}}]}}}}' > /logs/verifier/ctrf.json
"""


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def tools(engine: str, tmp_path: Path) -> Iterator[tuple[str, http.server.ThreadingHTTPServer]]:
    """A server of test runners, and the name by which sandboxes reach it."""
    (tmp_path / "runner").write_text(RUNNER)
    handler = partial(_Silent, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = "127.0.0.1"
    if engine == "docker":
        host = next(
            address.address
            for address in psutil.net_if_addrs()["docker0"]
            if address.family == socket.AF_INET
        )
    yield host, server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("broken_by", ["nobody", "agent"])
def test_the_verifier_cannot_fetch_its_tools(
    benchmark: Benchmark,
    workers: str,
    tools: tuple[str, http.server.ThreadingHTTPServer],
    observe: Observe,
    broken_by: str,
) -> None:
    host, server = tools
    solve = SOLVE if broken_by == "nobody" else "rm -f $(command -v python3) /usr/bin/python3*"
    check = FETCHING.format(host=host, port=server.server_port)
    benchmark.add(task("fetching", solve=solve, check=check))
    if broken_by == "nobody":
        server.shutdown()
        server.server_close()
    done = benchmark.run(workers)
    record = benchmark.records()["fetching"]
    unreported = Fact("no test report", lambda record: not record["evidence"]["checks_reported"])
    if broken_by == "nobody":
        assert done.returncode == INFRA_ONLY
        assert verdict(record) == ("infra-error", "verifier-incomplete")
        evidence = (facts.reward(0), unreported, facts.control(False))
    else:
        assert done.returncode == pytest.ExitCode.TESTS_FAILED
        assert verdict(record) == ("failed", "wrong")
        evidence = (facts.reward(0), unreported, facts.control(True))
    observe(f"tools-broken-by-{broken_by}", record, evidence)


def test_what_is_hidden_while_the_agent_works(
    benchmark: Benchmark, workers: str, observe: Observe
) -> None:
    benchmark.add(task("curious", files={"tests/secret": "the-hidden-answer\n"}))
    seek = (
        "if [ -e /tests ] || [ -e /solution ] || grep -rqs the-hidden-answer /app /logs /tmp "
        f"{benchmark.folder}; then exit 7; fi; {SOLVE}"
    )
    assert benchmark.run(workers, f"--reseval-agent=cmd:{seek}").returncode == 0
    record = benchmark.records()["curious"]
    observe(
        "hidden-tests",
        record,
        (facts.figure("agent", "exit_code", 0), Fact("neither tests nor solution found", bool)),
    )
