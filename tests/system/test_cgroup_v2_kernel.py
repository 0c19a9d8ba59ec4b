"""What this machine's kernel does with cgroup v2, and what we make of it.

Kernels differ in ``memory.peak``: since 5.19 it is there, since 6.12 it can be reset. Run these on
several of them by ``python -m tests.virtual_machine``.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_reseval.cgroups.control import LEAF, Cgroup, CgroupError, Home, find_home
from pytest_reseval.cgroups.kernel import flat_keyed
from pytest_reseval.cgroups.locate import host_version
from pytest_reseval.cgroups.meter import Meter
from pytest_reseval.cgroups.v2 import V2Meter
from pytest_reseval.engines.base import SandboxRequest
from pytest_reseval.engines.local import LocalEngine
from pytest_reseval.resources import GIB, MIB, Resources
from tests.waiting import until

pytestmark = pytest.mark.cgroup_v2

ROOMY = Resources(32 * MIB, 1024 * MIB, 0.5, 2.0, 64, GIB)
TIGHT = Resources(32 * MIB, 64 * MIB, 0.5, 2.0, 64, GIB)

ENTER = 'echo 0 > "$0/cgroup.procs" && exec "$@"'

TOUCH = "b = b'x' * ({} << 20); del b"
HOLD = "b = b'x' * ({} << 20); print('held', flush=True); input()"

_serial = itertools.count()


@pytest.fixture(scope="module")
def home() -> Home:
    """Where sandboxes' cgroups are made here."""
    if host_version() != 2:
        pytest.skip("cgroup v2 does not govern this host")
    try:
        return find_home()
    except (OSError, CgroupError) as error:
        pytest.skip(f"no cgroup can be written here: {error}")


class Group:
    """A cgroup of a sandbox, and what runs in it or in a child of it."""

    def __init__(self, home: Home, resources: Resources) -> None:
        self._cgroup = Cgroup(home, f"reseval-v2-{os.getpid()}-{next(_serial)}")
        self._cgroup.create(resources)
        self.directory = self._cgroup.directories[0]
        self._children: list[Path] = []
        self._processes: list[subprocess.Popen[str]] = []

    def child(self) -> Path:
        """A cgroup below, with a memory controller, as some runtimes make for the processes."""
        (self.directory / "cgroup.subtree_control").write_text("+memory +pids")
        child = self.directory / "container"
        child.mkdir()
        self._children.append(child)
        return child

    def meter(self) -> Meter:
        return self._cgroup.meter()

    def start(self, code: str, place: Path | None = None) -> subprocess.Popen[str]:
        """Run Python code in the cgroup or in one below it."""
        process = subprocess.Popen(
            ["sh", "-c", ENTER, str(place or self.directory), sys.executable, "-S", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._processes.append(process)
        return process

    def run(self, code: str, place: Path | None = None) -> int:
        """Run Python code to its end; its exit status as Popen tells it."""
        process = self.start(code, place)
        process.communicate()
        return process.returncode

    def hold(self, mebibytes: int) -> subprocess.Popen[str]:
        """A process that has so much memory and keeps it until its input ends."""
        process = self.start(HOLD.format(mebibytes))
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    def memory_events(self, file: str = "memory.events") -> dict[str, int]:
        """A file of counters as it stands in the kernel."""
        text = (self.directory / file).read_text()
        return {key: int(value) for key, value in flat_keyed(text).items()}

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()
        for child in self._children:
            until(lambda child=child: not (child / "cgroup.procs").read_text())  # type: ignore[misc]
            child.rmdir()
        self._cgroup.remove()


@pytest.fixture
def roomy(home: Home) -> Iterator[Group]:
    """A group that limits nothing which happens here."""
    group = Group(home, ROOMY)
    yield group
    group.close()


@pytest.fixture
def tight(home: Home) -> Iterator[Group]:
    """A group of 64 MiB."""
    group = Group(home, TIGHT)
    yield group
    group.close()


def has_peak(group: Group) -> bool:
    return (group.directory / "memory.peak").exists()


def can_reset_peak() -> bool:
    """By the kernel's version: the mode bits are what the meter goes by."""
    release = os.uname().release.split("-")[0].split("+")[0]
    return tuple(int(part) for part in release.split(".")[:2]) >= (6, 12)


def known(figure: int | None) -> int:
    assert figure is not None
    return figure


class TestPeak:
    def test_a_spike_between_two_looks(self, roomy: Group) -> None:
        meter = roomy.meter()
        before = known(meter.counters().current)
        assert roomy.run(TOUCH.format(100)) == 0
        peak = known(meter.counters().peak)
        if has_peak(roomy):
            assert meter.peak_source == "kernel"
            assert before + 100 * MIB <= peak <= before + 112 * MIB
        else:
            assert meter.peak_source == "sampled"
            assert peak < 100 * MIB, "nobody looked, so nobody can know"

    def test_what_is_held_while_somebody_looks(self, roomy: Group) -> None:
        meter = roomy.meter()
        holder = roomy.hold(100)
        meter.sample()
        holder.communicate("")
        assert 100 * MIB <= known(meter.counters().peak) <= 115 * MIB

    def test_a_phase_has_a_peak_of_its_own_where_the_kernel_can_reset(self, roomy: Group) -> None:
        mine, another = roomy.meter(), roomy.meter()
        assert roomy.run(TOUCH.format(120)) == 0
        reset = mine.reset_peak()
        assert reset is can_reset_peak()
        assert roomy.run(TOUCH.format(40)) == 0
        peak = known(mine.counters().peak)
        if reset:
            assert 40 * MIB <= peak < 100 * MIB
            assert known(another.counters().peak) >= 120 * MIB, "a reset disturbs no other reader"
        elif has_peak(roomy):
            assert peak >= 120 * MIB


class TestKills:
    def test_at_its_own_limit(self, tight: Group) -> None:
        meter = tight.meter()
        assert tight.run(TOUCH.format(200)) == -signal.SIGKILL
        counters = meter.counters()
        assert known(counters.oom) >= 1
        assert counters.oom_kill == 1

    def test_at_a_limit_above(self, tight: Group) -> None:
        """The limit that was hit is not the child's, whose own is far away."""
        child = tight.child()
        (child / "memory.max").write_text(str(512 * MIB))
        meter = V2Meter(child)
        assert tight.run(TOUCH.format(200), child) == -signal.SIGKILL
        counters = meter.counters()
        assert counters.oom == 0
        assert counters.oom_kill == 1
        meter.close()

    def test_in_a_child_group_the_hierarchical_file_counts(self, tight: Group) -> None:
        child = tight.child()
        meter = tight.meter()
        assert tight.run(TOUCH.format(200), child) == -signal.SIGKILL
        counters = meter.counters()
        assert known(counters.oom) >= 1
        assert counters.oom_kill == 1
        assert tight.memory_events("memory.events.local")["oom_kill"] == 0

    def test_of_a_whole_group_at_once(self, tight: Group) -> None:
        (tight.directory / "memory.oom.group").write_text("1")
        meter = tight.meter()
        bystanders = [tight.hold(1), tight.hold(1)]
        assert tight.run(TOUCH.format(200)) == -signal.SIGKILL
        for bystander in bystanders:
            assert bystander.wait() == -signal.SIGKILL
        counters = meter.counters()
        assert known(counters.oom) >= 1
        assert counters.oom_kill in (3, 4), "each is counted, and the first victim again"
        assert tight.memory_events().get("oom_group_kill") in (1, None), "counted since 5.17"


def test_limits_outlast_what_systemd_does(home: Home) -> None:
    """The group above ours may be systemd's, which takes away controllers that it thinks idle."""
    if not Path("/run/systemd/system").exists():
        pytest.skip("systemd does not run here")
    manager = () if os.geteuid() == 0 else ("--user",)
    engine = LocalEngine()
    sandbox = engine.start(SandboxRequest("limits", None, TIGHT))
    try:
        before = _limits(home)
        assert len(before) == 3
        for command in (
            ["systemctl", *manager, "daemon-reload"],
            ["systemd-run", *manager, "--wait", "--quiet", "-p", "CPUWeight=50", "true"],
            ["systemd-run", *manager, "--wait", "--quiet", "-p", "MemoryMax=50M", "true"],
        ):
            subprocess.run(command, check=True)
        assert _limits(home) == before
    finally:
        sandbox.close()
        engine.close()


def _limits(home: Home) -> dict[Path, str]:
    """What is enforced on the local engine's sandboxes."""
    groups = set(home.directories["memory"].glob("pytest-reseval-*"))
    groups.discard(home.directories["memory"] / LEAF)
    files = [group / name for group in groups for name in ("memory.max", "cpu.max", "pids.max")]
    return {file: file.read_text() for file in files}


TASK = """\
[metadata]
reseval.host = true
[environment]
cpus = 1
memory_mb = 256
"""

HELD = "b = b'x' * ({} << 20); import time; time.sleep(1)"
"""Long enough for the sampler to see it, where it must."""


def test_a_record_says_how_each_phase_was_measured(
    home: Home, pytester: pytest.Pytester, roomy: Group
) -> None:
    folder = pytester.path / "tasks" / "measured"
    for script, mebibytes in (("solution/solve.sh", 150), ("tests/test.sh", 50)):
        path = folder / script
        path.parent.mkdir(parents=True)
        command = f'python3 -c "{HELD.format(mebibytes)}"; echo 1 > /logs/verifier/reward.txt'
        path.write_text(f"#!/bin/sh\n{command}\n")
    (folder / "instruction.md").write_text("Use memory.\n")
    (folder / "task.toml").write_text(TASK)
    pytester.runpytest_subprocess(
        "tasks",
        "--reseval-engine=local",
        f"--reseval-ledger={pytester.path}/ledger",
        f"--reseval-results={pytester.path}/results",
    ).assert_outcomes(passed=1)
    record = msgspec.json.decode((pytester.path / "results/trials.jsonl").read_bytes())
    agent, verifier = record["evidence"]["phases"]
    assert agent["peak_source"] == ("kernel" if has_peak(roomy) else "sampled")
    assert verifier["peak_source"] == ("kernel" if can_reset_peak() else "sampled")
    assert _mebibytes(agent["peak"]) in range(150, 190)
    assert _mebibytes(verifier["peak"]) in range(50, 100)


def _mebibytes(figure: Any) -> int:
    return int(figure) // MIB
