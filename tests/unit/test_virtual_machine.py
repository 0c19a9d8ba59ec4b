"""What the virtual machine's runner decides, without a machine."""

from __future__ import annotations

import io
import itertools
import signal
import subprocess
import sys
import tarfile
import uuid
from pathlib import Path

import psutil
import pytest

from tests.virtual_machine import machine, payload, recipe, results
from tests.virtual_machine.__main__ import main
from tests.virtual_machine.results import Facts, Ran, ResultsError, Summary
from tests.virtual_machine.suites import SUITES
from tests.waiting import until

FACTS = Facts("6.12.1", 2, "resettable", "systemd 257", "qemu")

JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="1" failures="2" skipped="3" tests="10" time="1.0"/>
</testsuites>"""


def guest(accelerator: machine.Accelerator = "tcg", root: str = "/cache/root.ext4") -> list[str]:
    made = machine.Machine(Path(root), Path("/cache/kernel"), Path("/cache/initrd"), accelerator)
    return machine.command(made, payload=5, results=7)


def values(command: list[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(command) if name == option]


class TestCommand:
    def test_the_machine_ends_with_us(self) -> None:
        assert guest()[:3] == ["setpriv", "--pdeathsig=KILL", "qemu-system-x86_64"]

    @pytest.mark.parametrize("accelerator", ["kvm", "tcg"])
    def test_one_accelerator(self, accelerator: machine.Accelerator) -> None:
        assert values(guest(accelerator), "-accel") == [accelerator]

    def test_nothing_is_written_to_the_disk_that_is_kept(self) -> None:
        [root, brought, left] = values(guest(), "-drive")
        assert root == "if=none,id=root,format=raw,file=/cache/root.ext4,snapshot=on"
        assert brought.endswith("file=/proc/self/fd/5,readonly=on")
        assert left.endswith("file=/proc/self/fd/7")

    def test_a_comma_in_a_path(self) -> None:
        assert "file=/a,,b/root.ext4," in values(guest(root="/a,b/root.ext4"), "-drive")[0]

    def test_no_network(self) -> None:
        assert "-nodefaults" in guest()
        assert not {"-nic", "-netdev", "-net"} & set(guest())


RUNNER = """
import signal, sys, tempfile
from pathlib import Path
from tests.virtual_machine import machine
signal.signal(signal.SIGINT, signal.default_int_handler)
program = "import time; print('up', flush=True); time.sleep(600)"
command = [*machine.ENDS_WITH_US, sys.executable, "-c", program, sys.argv[1]]
with tempfile.TemporaryFile() as brought, tempfile.TemporaryFile() as left:
    machine.run(command, brought, left, Path(sys.argv[2]))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_machine_is_gone_when_its_runner_is(how: signal.Signals, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, mark, str(tmp_path / "console")],
        cwd=payload.REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert runner.stdout is not None
    assert runner.stdout.readline() == b"up\n"
    [machine_process] = psutil.Process(runner.pid).children()
    assert mark in machine_process.cmdline()
    runner.send_signal(how)
    runner.communicate()
    until(lambda: not machine_process.is_running())
    assert (tmp_path / "console").read_bytes() == b"up\n"


class TestRecipe:
    def test_another_script_is_another_disk(self, tmp_path: Path) -> None:
        script = tmp_path / "install.sh"
        script.write_text("one")
        one = recipe.digest([script])
        assert recipe.digest([script]) == one
        script.write_text("another")
        assert recipe.digest([script]) != one

    def test_other_packages_are_another_disk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        one = recipe.digest()
        monkeypatch.setattr(recipe, "PACKAGES", (*recipe.PACKAGES, "hello"))
        assert recipe.digest() != one

    def test_what_is_brought_is_there(self) -> None:
        assert [name for name in payload.CONTENT if not (payload.REPOSITORY / name).exists()] == []
        files = [test for suite in SUITES for test in suite.tests if test.startswith("tests/")]
        assert [file for file in files if not (payload.REPOSITORY / file).exists()] == []


class TestResults:
    def test_counts(self) -> None:
        assert results.counts(JUNIT) == results.Counts(passed=4, failed=3, skipped=3)

    @pytest.mark.parametrize(
        ("statuses", "expected"),
        [
            ({"docker": 0, "local": 0}, 0),
            ({"docker": 0, "local": 5}, 5),
            ({"docker": None, "local": 0}, 1),
            ({"docker": 0}, 1),
            ({}, 1),
        ],
    )
    def test_exit_status(self, statuses: dict[str, int | None], expected: int) -> None:
        ran = [Ran(suite, None, status, 1.0) for suite, status in statuses.items()]
        assert results.exit_status(Summary(FACTS, ran), ["docker", "local"]) == expected

    def test_what_the_guest_left(self, tmp_path: Path) -> None:
        left = Summary(
            FACTS, [Ran("docker", "Engine 1 (runc)", 1, 90.0), Ran("local", None, None, 60.0)]
        )
        disk = io.BytesIO()
        with tarfile.open(fileobj=disk, mode="w") as archive:
            for name, content in (
                (results.SUMMARY, left.encoded()),
                ("docker.xml", JUNIT.encode()),
            ):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        disk.write(b"\0" * 4096)  # a disk is larger than what is on it
        assert not results.is_blank(disk)
        assert results.unpack(disk, tmp_path) == left
        lines = results.table(left, tmp_path).splitlines()
        assert lines[0].startswith("kernel 6.12.1 · cgroup v2 · memory.peak that can be reset")
        assert lines[-2].split() == ["docker", "Engine", "1", "(runc)", "4", "3", "3", "1", "1.5"]
        assert lines[-1].split()[:5] == ["local", "-", "?", "?", "?"]
        assert "out of time" in lines[-1]

    def test_nothing_left(self, tmp_path: Path) -> None:
        disk = io.BytesIO(b"\0" * 10240)
        assert results.is_blank(disk)
        with pytest.raises(ResultsError, match="before it could leave"):
            results.unpack(disk, tmp_path)


def test_missing_tools_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main([]) == 3
    assert capsys.readouterr().err == (
        "missing here: apt-get install qemu-system-x86 debootstrap e2fsprogs util-linux\n"
    )
