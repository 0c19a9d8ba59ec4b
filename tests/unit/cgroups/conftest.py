from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from pytest_reseval.cgroups import v1, v2
from pytest_reseval.cgroups.kernel import ancestry
from pytest_reseval.cgroups.locate import Location, locate
from pytest_reseval.cgroups.meter import Limits, Meter

TREES = Path(__file__).parent / "trees"

ENTER = 'for d in $DIRECTORIES; do echo $$ > "$d/cgroup.procs" || exit 99; done; exec "$@"'

FILES = {
    "memory": ("memory.limit_in_bytes", "memory.max"),
    "swap": ("memory.memsw.limit_in_bytes", "memory.swap.max"),
    "pids": ("pids.max", "pids.max"),
}

_serial = itertools.count()


class HandMade:
    """A cgroup of this kernel, made by hand, and the processes that are started in it."""

    def __init__(self, version: int, directories: Mapping[str, Path]) -> None:
        self.version = version
        self.directories = directories
        self._processes: list[subprocess.Popen[str]] = []

    @property
    def name(self) -> str:
        return self.directories["memory"].name

    def meter(self) -> Meter:
        if self.version == 1:
            return v1.V1Meter(self.directories)
        return v2.V2Meter(self.directories["memory"])

    def limits(self) -> Limits:
        if self.version == 1:
            return v1.read_limits(self.directories)
        return v2.read_limits(self.directories["memory"])

    def limit_memory(self, amount: int) -> None:
        self._write("memory", FILES["memory"], str(amount))
        self._write("memory", FILES["swap"], str(amount if self.version == 1 else 0))

    def limit_cpu(self, cores: float) -> None:
        quota = round(cores * 100_000)
        if self.version == 1:
            self.directories["cpu"].joinpath("cpu.cfs_period_us").write_text("100000")
            self.directories["cpu"].joinpath("cpu.cfs_quota_us").write_text(str(quota))
        else:
            self.directories["cpu"].joinpath("cpu.max").write_text(f"{quota} 100000")

    def limit_pids(self, count: int) -> None:
        self._write("pids", FILES["pids"], str(count))

    def start(self, code: str) -> subprocess.Popen[str]:
        """Run Python code in the cgroup."""
        process = subprocess.Popen(
            ["/bin/sh", "-c", ENTER, "sh", sys.executable, "-S", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "DIRECTORIES": " ".join(map(str, sorted(set(self.directories.values())))),
            },
        )
        self._processes.append(process)
        return process

    def run(self, code: str) -> int:
        """Run Python code in the cgroup to its end; its exit status as Popen tells it."""
        process = self.start(code)
        process.communicate()
        return process.returncode

    def remove(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()
        for directory in set(self.directories.values()):
            if directory.exists():
                directory.rmdir()

    def _write(self, controller: str, files: tuple[str, str], value: str) -> None:
        self.directories[controller].joinpath(files[self.version - 1]).write_text(value)


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[str], Path]:
    """Copies a captured tree, so that it can be changed, and answers what stands for ``/``."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(TREES / name, tmp_path / name))

    return copy


@pytest.fixture
def handmade() -> Iterator[HandMade]:
    """An empty cgroup of this kernel, directly below the roots of its hierarchies."""
    if os.geteuid() != 0:
        pytest.skip("making cgroups by hand needs root")
    own = locate("self")
    if own is None:
        pytest.skip("no cgroup hierarchy with a memory controller is mounted here")
    name = f"reseval-test-{os.getpid()}-{next(_serial)}"
    directories = {
        controller: list(ancestry(directory))[-1] / name
        for controller, directory in own.directories.items()
    }
    try:
        _make(own, directories)
    except OSError as error:
        pytest.skip(f"cgroups are not writable here: {error}")
    made = HandMade(own.version, directories)
    yield made
    made.remove()


def _make(own: Location, directories: Mapping[str, Path]) -> None:
    if own.version == 2:
        control = directories["memory"].parent / "cgroup.subtree_control"
        control.write_text("+memory +cpu +pids")
    for directory in set(directories.values()):
        directory.mkdir()
