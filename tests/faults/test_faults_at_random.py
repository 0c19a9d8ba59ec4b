"""500 trials in eight workers, while workers, sandboxes and the engine are killed at random.

Every trial has one verdict or is told as not run, no fault turns one verdict into another, nothing
stays behind, and the run that goes on with the rest comes to what an undisturbed one comes to.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import psutil
import pytest

from tests.faults.benchmark import Benchmark, made
from tests.faults.catalogue import Fault
from tests.faults.engines import PrivateEngine, private_engine
from tests.faults.facts import Record
from tests.plugin.conftest import SOLVE

SAMPLES = 100
LAST = 0.95
"""Where the last fault may happen, as a share of all trials."""

LAST_RESTART = 0.5
"""The same of the engine: while it is down trials end as fast as they begin."""

GROWS = "head -c 200M /dev/zero | tail -n 1 >/dev/null"
"""Holds one line of 200 MB, more than a task here may have."""

VERDICTS = {
    "solves": (SOLVE, "passed", "solved"),
    "survives": (f"{GROWS}; {SOLVE}", "passed", "solved"),
    "errs": ("mkdir -p /app; echo 41 > /app/answer", "failed", "wrong"),
    "gives-up": ("exit 3", "failed", "agent-error"),
    "overeats": (GROWS, "infra-error", "oom-limit"),
}
"""By task what its agent does, and what that comes to."""

TRIALS = SAMPLES * len(VERDICTS)

DISTURBED = {"worker-crash", "sandbox-lost", "engine-lost", "start"}
"""What a trial may come to because of what is done to it."""

Strike = Callable[[], bool]


@dataclass(frozen=True)
class Storm:
    """A run, and ways to harm it; each answers once it has, or False when the run is over."""

    benchmark: Benchmark
    process: subprocess.Popen[str]
    draw: random.Random
    engine: PrivateEngine | None

    def worker(self) -> bool:
        """Kill a worker at whatever it is at."""
        pids = {int(name.partition("-")[0]) for name in self.benchmark.scope.owner_names()}
        return self._kill(lambda child: child.pid in pids)

    def keeper(self) -> bool:
        """Kill a keeper of a sandbox on the host's own system, or what keepers are forked from.

        Not what a keeper forks: that is the sandbox's, where whoever dies died of the agent.
        """
        return self._kill(
            lambda child: (
                is_keeper(child) and not all(is_keeper(above) for above in child.parents()[:2])
            )
        )

    def _kill(self, is_victim: Callable[[psutil.Process], bool]) -> bool:
        def alive(child: psutil.Process) -> bool:
            with suppress(psutil.Error):
                return child.status() != psutil.STATUS_ZOMBIE and is_victim(child)
            return False

        while self.process.poll() is None:
            with suppress(psutil.Error):
                children = psutil.Process(self.process.pid).children(recursive=True)
                victims = [child for child in children if alive(child)]
                if victims:
                    self.draw.choice(victims).kill()
                    return True
        return False

    def container(self) -> bool:
        """Remove a container, as another user of the engine might."""
        assert self.engine is not None
        while self.process.poll() is None:
            names = self.engine.containers()
            if names and self.engine.remove(self.draw.choice(names)):
                return True
        return False

    def restart(self) -> bool:
        """Kill the engine, and start it again."""
        assert self.engine is not None
        self.engine.kill()
        self.engine.start()
        return True

    def verdicts(self) -> int:
        """How many trials are on file."""
        file = self.benchmark.results / "trials.jsonl"
        return file.read_bytes().count(b"\n") if file.exists() else 0

    def _moment(self, strike: Strike) -> int:
        """How many verdicts to wait for: at least one, for what cannot begin is no run."""
        last = LAST_RESTART if strike == self.restart else LAST
        return self.draw.randrange(1, int(TRIALS * last))

    def rage(self, faults: Mapping[Strike, int]) -> Counter[str]:
        """Let faults happen, each when a number of trials drawn for it is on file."""
        strikes = [strike for strike, times in faults.items() for _ in range(times)]
        moments = [(self._moment(strike), strike) for strike in strikes]
        struck: Counter[str] = Counter()
        for number, strike in sorted(moments, key=lambda moment: moment[0]):
            while self.process.poll() is None and self.verdicts() < number:
                time.sleep(0.05)
            if self.process.poll() is None and strike():
                struck[strike.__name__] += 1
        return struck


def is_keeper(process: psutil.Process) -> bool:
    """True of keepers, of what they are forked from, and of their children until these exec."""
    return "keeper" in " ".join(process.cmdline())


@pytest.fixture
def place(
    engine: str, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Benchmark, PrivateEngine | None]]:
    """An empty benchmark, on Docker with an engine of its own."""
    if engine == "local":
        with made(engine) as benchmark:
            yield benchmark, None
        return
    with private_engine("/docker", base_image) as private:
        monkeypatch.setenv("DOCKER_HOST", private.address)
        with made(engine, beside=private.folder) as benchmark:
            yield benchmark, private


def test_all_trials_are_accounted_for(
    place: tuple[Benchmark, PrivateEngine | None], tmp_path: Path
) -> None:
    pytest.importorskip("xdist")
    benchmark, engine = place
    for name, (solve, *_) in VERDICTS.items():
        benchmark.add(Fault(name, "", "", "", (), solve=solve))
    seed = os.environ.get("RESEVAL_STORM_SEED") or str(time.time_ns())
    print(f"RESEVAL_STORM_SEED={seed}")
    arguments = ("-n8", f"--reseval-samples={SAMPLES}", "-q")
    junit = tmp_path / "junit.xml"
    with (tmp_path / "output").open("w+") as output:
        process = benchmark.launch(*arguments, f"--junitxml={junit}", output=output)
        storm = Storm(benchmark, process, random.Random(seed), engine)
        faults: dict[Strike, int] = (
            {storm.worker: 20, storm.keeper: 30}
            if engine is None
            else {storm.worker: 20, storm.container: 30, storm.restart: 3}
        )
        struck = storm.rage(faults)
        status = process.wait()
        output.seek(0)
        printed = output.read()
    print(printed, struck, sep="\n")

    assert status == pytest.ExitCode.TESTS_FAILED
    records = read(benchmark)
    told = re.search(r"^not run: (\d+) of 500$", printed, re.MULTILINE)
    assert len(records) + (int(told[1]) if told else 0) == TRIALS
    assert struck == {strike.__name__: times for strike, times in faults.items()}
    outcomes = Counter(record["outcome"] for record in records)
    assert last_line(printed) == outcomes
    assert from_junit(junit) == outcomes
    for record in records:
        _, *due = VERDICTS[record["task"]]
        came = [record["outcome"], record["cause"]]
        assert came == due or (came[0] == "infra-error" and came[1] in DISTURBED), json(record)
    assert {record["cause"] for record in records} >= {"worker-crash", "sandbox-lost"}

    resumed = benchmark.run(*arguments, resume=True)
    assert resumed.returncode == pytest.ExitCode.TESTS_FAILED
    assert Counter(
        (record["task"], record["outcome"], record["cause"]) for record in read(benchmark)
    ) == {(task, *due): SAMPLES for task, (_, *due) in VERDICTS.items()}


def json(record: Record) -> str:
    """All of a record, which pytest would shorten."""
    return msgspec.json.format(msgspec.json.encode(record)).decode()


def read(benchmark: Benchmark) -> list[Record]:
    """All trials on file, of which none may be there twice."""
    lines = (benchmark.results / "trials.jsonl").read_bytes().splitlines()
    records: list[Record] = [msgspec.json.decode(line) for line in lines]
    assert len({record["trial"] for record in records}) == len(records)
    return records


def last_line(printed: str) -> dict[str, int]:
    """The outcomes that pytest counts."""
    last = printed.rstrip().splitlines()[-1]
    return {
        name: int(number) for number, name in re.findall(r"(\d+) (passed|failed|infra-error)", last)
    }


def from_junit(file: Path) -> Counter[str]:
    """The outcomes that a CI server reads, with one test case for each trial."""
    cases = list(ElementTree.parse(file).getroot().iter("testcase"))
    assert len({case.attrib["name"] + case.attrib["classname"] for case in cases}) == len(cases)
    return Counter(
        "infra-error"
        if case.find("error") is not None
        else "failed"
        if case.find("failure") is not None
        else "passed"
        for case in cases
    )
