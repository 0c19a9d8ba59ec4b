"""The ledger between real processes, which are killed for real.

Run as a program, this file is one such process: see ``PARTS``.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

import pytest

import pytest_reseval
from pytest_reseval.admission import Admission, Budget, Claim, Ledger
from pytest_reseval.admission.files import now

BUDGET = Budget(memory=100, cores=1.0)
NOBODY = 65534
PATIENCE = 60


def hammer(directory: Path, seed: str, count: str, log: str) -> None:
    """Hold ``count`` random claims one after the other; log from when to when, by an own clock."""
    draw = random.Random(int(seed))
    ledger = Ledger(directory, BUDGET)
    with Path(log).open("w", buffering=1) as events:
        for number in range(int(count)):
            memory, cores = draw.choice([5, 10, 30, 60, 100]), draw.randint(1, 10) / 10
            with ledger.admit(Claim(memory, cores, "run", f"{seed}-{number}")) as admission:
                events.write(f"begin {now()} {memory} {cores}\n")
                admission.phase("agent")
                time.sleep(draw.random() * 0.02)
                events.write(f"end {now()} {memory} {cores}\n")


def hold(directory: Path, label: str, memory: str, uid: str) -> None:
    """Ask for one claim as a user, say so on standard output, and hold it until told to end."""
    _become(uid)
    print("asks", flush=True)
    with Ledger(directory, BUDGET).admit(Claim(int(memory), 0.1, "run", label)):
        print("admitted", flush=True)
        sys.stdin.read()


def hold_with_child(directory: Path, label: str) -> None:
    """Hold one claim and start a program that lives on; say its process number."""
    with Ledger(directory, BUDGET).admit(Claim(100, 0.1, "run", label)):
        child = subprocess.Popen(["sleep", "1000"], close_fds=False, stdout=subprocess.DEVNULL)
        print(child.pid, flush=True)
        sys.stdin.read()


def audit(directory: Path) -> None:
    """Use the ledger and say with which flags it opened files."""
    flags: list[tuple[str, int]] = []

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(arguments[2], int):
            flags.append((str(arguments[0]), arguments[2]))

    ledger = Ledger(directory, BUDGET)
    with ledger.admit(Claim(1, 0.1, "run", "first")):
        pass
    sys.addaudithook(hook)
    with ledger.admit(Claim(1, 0.1, "run", "second")) as admission:
        admission.phase("agent")
        ledger.entries()
    for name, flag in flags.copy():
        print(name.replace(" ", "_"), flag)


PARTS: dict[str, Callable[..., None]] = {
    "hammer": hammer,
    "hold": hold,
    "hold_with_child": hold_with_child,
    "audit": audit,
}


def _become(uid: str) -> None:
    if uid:
        os.umask(0o077)
        os.setgroups([])
        os.setgid(int(uid))
        os.setuid(int(uid))


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A ledger that other users can reach, as pytest's own temporary directories cannot be."""
    parent = Path(tempfile.mkdtemp())
    parent.chmod(0o1777)
    yield parent / "ledger"
    shutil.rmtree(parent)


@pytest.fixture
def start(directory: Path) -> Iterator[Start]:
    """Start a part of this file as a process; whatever still runs at the end is killed."""
    processes: list[subprocess.Popen[str]] = []
    root = Path(pytest_reseval.__file__).parents[1]

    def start(part: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, __file__, part, str(directory), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            with suppress(BrokenPipeError):
                _open(stream).close()


def _open(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def line(process: subprocess.Popen[str]) -> str:
    return _open(process.stdout).readline().strip()


def end(process: subprocess.Popen[str]) -> int:
    _open(process.stdin).close()
    return process.wait(PATIENCE)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(PATIENCE)


def states(directory: Path) -> dict[str, str]:
    return {entry.claim.label: entry.state for entry in Ledger(directory, BUDGET).entries()}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.01)


def ask(start: Start, directory: Path, label: str, memory: int, uid: str = "") -> Waiting:
    return Waiting(start("hold", label, memory, uid), directory, label)


class Waiting:
    """A process that asks for a claim."""

    def __init__(self, process: subprocess.Popen[str], directory: Path, label: str) -> None:
        self.process = process
        self.directory = directory
        self.label = label
        assert line(process) == "asks"
        until(lambda: label in states(directory))

    @property
    def state(self) -> str | None:
        return states(self.directory).get(self.label)

    def admitted(self) -> Waiting:
        until(lambda: self.state == "admitted")
        assert line(self.process) == "admitted"
        return self


def over_time(events: list[tuple[float, int, float]]) -> list[tuple[int, int, int]]:
    """Bytes, tenths of cores and claims held after each event; at one moment ends come first."""
    memory = tenths = claims = 0
    held = []
    for _, change, cores in sorted(events, key=lambda event: (event[0], event[1])):
        memory += change
        tenths += round(cores * 10)
        claims += 1 if change > 0 else -1
        held.append((memory, tenths, claims))
    return held


def read_events(log: Path, died: float | None = None) -> list[tuple[float, int, float]]:
    """What a hammer logged; one that ``died`` held its last claim until then."""
    events: list[tuple[float, int, float]] = []
    open_claim: tuple[int, float] | None = None
    for text in log.read_text().splitlines():
        kind, moment, memory, cores = text.split()
        sign = 1 if kind == "begin" else -1
        events.append((float(moment), sign * int(memory), sign * float(cores)))
        open_claim = (int(memory), float(cores)) if kind == "begin" else None
    if open_claim is not None:
        assert died is not None, f"{log} ends while holding"
        events.append((max(died, events[-1][0]), -open_claim[0], -open_claim[1]))
    return events


def has_lines(log: Path, count: int) -> bool:
    return log.exists() and len(log.read_text().splitlines()) >= count


def check_sum(directory: Path) -> tuple[int, int]:
    """Check what the ledger shows at this moment; answers how many are admitted and waiting."""
    entries = Ledger(directory, BUDGET).entries()
    admitted = [entry.claim for entry in entries if entry.state == "admitted"]
    assert sum(claim.memory for claim in admitted) <= BUDGET.memory
    assert sum(round(claim.cores * 10) for claim in admitted) <= round(BUDGET.cores * 10)
    return len(admitted), len(entries) - len(admitted)


def test_many_processes_never_hold_more_than_the_budget(
    start: Start, directory: Path, tmp_path: Path
) -> None:
    count = 30
    logs = [tmp_path / f"{seed}.log" for seed in range(8)]
    processes = [start("hammer", seed, count, log) for seed, log in enumerate(logs)]
    samples = []
    while any(process.poll() is None for process in processes):
        samples.append(check_sum(directory))
        time.sleep(0.002)
    assert [process.returncode for process in processes] == [0] * 8
    events = [event for log in logs for event in read_events(log)]
    assert len(events) == 8 * count * 2
    held = over_time(events)
    assert max(memory for memory, _, _ in held) <= BUDGET.memory
    assert max(tenths for _, tenths, _ in held) <= round(BUDGET.cores * 10)
    assert max(claims for _, _, claims in held) >= 2, "nothing ever ran beside anything"
    assert max(waiting for _, waiting in samples) >= 2, "nothing ever waited"
    assert {path.name for path in directory.iterdir()} == {"tickets"}


def test_kills_in_the_thick_of_it_neither_leak_nor_stall(
    start: Start, directory: Path, tmp_path: Path
) -> None:
    count = 20
    logs = [tmp_path / f"{seed}.log" for seed in range(8)]
    processes = [start("hammer", seed, count, log) for seed, log in enumerate(logs)]
    died: dict[int, float] = {}
    for victim in (1, 4, 6):
        until(partial(has_lines, logs[victim], victim + 1))
        died[victim] = now()
        kill(processes[victim])
    while any(process.poll() is None for process in processes):
        check_sum(directory)
        time.sleep(0.005)
    survivors = [process.returncode for n, process in enumerate(processes) if n not in died]
    assert survivors == [0] * 5
    events = [event for n, log in enumerate(logs) for event in read_events(log, died.get(n))]
    assert max(memory for memory, _, _ in over_time(events)) <= BUDGET.memory
    assert max(tenths for _, tenths, _ in over_time(events)) <= round(BUDGET.cores * 10)
    with Ledger(directory, BUDGET).admit(Claim(100, 1.0, "run", "after")):
        assert states(directory) == {"after": "admitted"}
    assert {path.name for path in directory.iterdir()} == {"tickets"}


def test_a_killed_holder_frees_its_claim(start: Start, directory: Path) -> None:
    holder = ask(start, directory, "holder", 100).admitted()
    waiter = ask(start, directory, "waiter", 100)
    assert waiter.state == "waiting"
    kill(holder.process)
    waiter.admitted()
    assert states(directory) == {"waiter": "admitted"}
    assert end(waiter.process) == 0
    assert states(directory) == {}


def test_a_killed_waiter_blocks_nobody(start: Start, directory: Path) -> None:
    holder = ask(start, directory, "holder", 50).admitted()
    big = ask(start, directory, "big", 100)
    ledger = Ledger(directory, BUDGET)
    for _ in range(8):
        ledger.admit(Claim(10, 0.1, "run", "passes")).release()
    small = ask(start, directory, "small", 10)
    assert small.state == "waiting", "it would be the ninth to pass"
    kill(big.process)
    small.admitted()
    assert states(directory) == {"holder": "admitted", "small": "admitted"}
    assert end(holder.process) == end(small.process) == 0


def test_ctrl_c_ends_the_wait_and_leaves_nothing(start: Start, directory: Path) -> None:
    holder = ask(start, directory, "holder", 100).admitted()
    waiter = ask(start, directory, "waiter", 10)
    waiter.process.send_signal(signal.SIGINT)
    assert waiter.process.wait(PATIENCE) == -signal.SIGINT
    assert not [path for path in directory.iterdir() if path.name.startswith("waiting")]
    assert states(directory) == {"holder": "admitted"}
    assert end(holder.process) == 0


def test_a_program_that_the_holder_started_does_not_keep_its_claim(
    start: Start, directory: Path
) -> None:
    holder = start("hold_with_child", "holder")
    child = int(line(holder))
    try:
        assert states(directory) == {"holder": "admitted"}
        kill(holder)
        assert states(directory) == {}
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)


def test_nothing_is_created_over_or_followed_to_what_others_planted(
    start: Start, directory: Path
) -> None:
    output, _ = start("audit").communicate(timeout=PATIENCE)
    opened = [(name, int(flags)) for name, flags in map(str.split, output.splitlines())]
    assert any(flags & os.O_CREAT for _, flags in opened)
    for name, flags in opened:
        assert flags & (os.O_EXCL if flags & os.O_CREAT else os.O_NOFOLLOW), name


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become two users")
class TestUsers:
    @pytest.mark.parametrize(("first", "second"), [("", str(NOBODY)), (str(NOBODY), "")])
    def test_root_and_ordinary_users_share_the_budget(
        self, start: Start, directory: Path, first: str, second: str
    ) -> None:
        holder = ask(start, directory, "holder", 100, first).admitted()
        waiter = ask(start, directory, "waiter", 100, second)
        assert waiter.state == "waiting"
        assert end(holder.process) == 0
        assert end(waiter.admitted().process) == 0

    def test_what_a_dead_root_left_does_not_stop_an_ordinary_user(
        self, start: Start, directory: Path
    ) -> None:
        holder = ask(start, directory, "holder", 100).admitted()
        waiter = start("hold", "waiter", 100, NOBODY)
        until(lambda: states(directory).get("waiter") == "waiting")
        kill(holder.process)
        until(lambda: states(directory) == {"waiter": "admitted"})
        left = {path.name.split("_")[0]: path for path in directory.iterdir()}
        owners = {path.stat().st_uid for path in directory.iterdir() if path.name != "tickets"}
        assert owners == {0, NOBODY}, "an ordinary user cannot remove root's file"
        assert set(left) == {"admitted", "tickets"}
        assert end(waiter) == 0
        admission: Admission = Ledger(directory, BUDGET).admit(Claim(100, 1.0, "run", "root"))
        admission.release()
        assert {path.name for path in directory.iterdir()} == {"tickets"}


if __name__ == "__main__":
    PARTS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
