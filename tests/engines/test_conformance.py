"""What every engine must do, whatever it is made of."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from pytest_reseval.cgroups.locate import host_version, locate
from pytest_reseval.disk.watcher import DiskWatcher
from pytest_reseval.engines.base import (
    OUTPUT_LIMIT,
    Engine,
    Sandbox,
    SandboxFileError,
    SandboxFileMissing,
    SandboxLost,
)
from pytest_reseval.resources import MIB
from tests.engines.conftest import (
    PATIENCE,
    REPOSITORY,
    SLOWNESS,
    Start,
    first_process,
    marked_processes,
    wait_for_process,
    wait_until,
)

_RELEASE = tuple(int(part) for part in os.uname().release.split(".")[:2])
_KERNEL_KEEPS_PEAKS = host_version() == 1 or _RELEASE >= (5, 19)

TOUCH = "b = b'x' * ({} << 20); del b"
"""Python that writes to so many MiB, and frees them at once."""


class TestExec:
    def test_zero_is_ok(self, sandbox: Sandbox) -> None:
        result = sandbox.exec("true")
        assert result.ok
        assert result.exit_code == 0

    def test_exit_code_and_both_outputs(self, sandbox: Sandbox) -> None:
        result = sandbox.exec("echo out; echo err >&2; exit 7")
        assert (result.exit_code, result.stdout, result.stderr) == (7, "out\n", "err\n")
        assert not result.timed_out
        assert result.truncated == 0

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
    def test_death_by_signal(self, sandbox: Sandbox, number: signal.Signals) -> None:
        assert sandbox.exec(f"kill -{number} $$").exit_code == 128 + number

    def test_exit_137_of_its_own_is_no_lost_sandbox(self, sandbox: Sandbox) -> None:
        assert sandbox.exec("exit 137").exit_code == 137
        assert sandbox.alive()

    def test_arguments_are_not_parsed_by_a_shell(self, sandbox: Sandbox) -> None:
        assert sandbox.exec(["printf", "%s", "$HOME;"]).stdout == "$HOME;"

    def test_unknown_command(self, sandbox: Sandbox) -> None:
        assert sandbox.exec("no-such-command").exit_code == 127
        assert sandbox.exec(["no-such-command"]).exit_code in (126, 127)

    def test_unknown_user_is_the_commands_failure(self, sandbox: Sandbox) -> None:
        assert sandbox.exec("true", user="no-such-user").exit_code not in (0, None)
        assert sandbox.exec("true").ok

    def test_undecodable_output(self, sandbox: Sandbox) -> None:
        assert sandbox.exec(r"printf 'a\377b'").stdout == "a\ufffdb"

    def test_environment_of_request_and_command(self, start: Start) -> None:
        sandbox = start(env={"GREETING": "hello", "NAME": "request"})
        result = sandbox.exec('echo "$GREETING $NAME"', env={"NAME": "two words"})
        assert result.stdout == "hello two words\n"

    def test_nothing_of_our_own_environment(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RESEVAL_SECRET", "ours")
        assert sandbox.exec("echo ${RESEVAL_SECRET-unset}").stdout == "unset\n"

    def test_workdir_of_the_request(self, start: Start) -> None:
        assert start(workdir="/srv/task").exec("pwd").stdout == "/srv/task\n"

    def test_workdir_of_the_command_is_made(self, sandbox: Sandbox) -> None:
        assert sandbox.exec("pwd", workdir="/srv/not yet/there").stdout == "/srv/not yet/there\n"

    def test_exit_code_and_signal_with_workdir(self, sandbox: Sandbox) -> None:
        assert sandbox.exec("exit 3", workdir="/srv").exit_code == 3
        assert sandbox.exec("kill -9 $$", workdir="/srv").exit_code == 137

    def test_user(self, sandbox: Sandbox) -> None:
        assert sandbox.exec("id -un", user="nobody").stdout == "nobody\n"
        assert sandbox.exec("id -u", user="1234").stdout == "1234\n"

    def test_a_daemon_that_holds_the_output_does_not_hold_the_command(
        self, sandbox: Sandbox, mark: str
    ) -> None:
        result = sandbox.exec(f"sleep {mark} & echo started", timeout=PATIENCE)
        assert (result.exit_code, result.stdout) == (0, "started\n")
        wait_for_process(mark)

    def test_a_command_may_close_its_output_and_go_on(self, sandbox: Sandbox) -> None:
        assert sandbox.exec("exec >&- 2>&-; sleep 0.5; exit 5").exit_code == 5

    def test_late_output_is_complete(self, sandbox: Sandbox) -> None:
        assert sandbox.exec("sleep 0.5; seq 20000").stdout.splitlines()[-1] == "20000"

    def test_orphans_are_reaped(self, start: Start) -> None:
        sandbox = start(pids_limit=64)
        for _ in range(3):
            sandbox.exec("for i in $(seq 30); do (sleep 0.1 &); done")
            wait_until(lambda: _process_states(sandbox).count("Z") == 0, "zombies are reaped")
            wait_until(lambda: len(_process_states(sandbox)) < 10, "orphans end")


class TestOutput:
    def test_a_flood_is_read_counted_and_dropped(self, sandbox: Sandbox) -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        chunks = 256
        result = sandbox.exec(
            f"echo begin; head -c {chunks}M /dev/zero | tr '\\0' x; echo end",
            timeout=120 * SLOWNESS,
        )
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        total = chunks * MIB + len("begin\n" + "end\n")
        assert result.ok
        assert len(result.stdout) == OUTPUT_LIMIT
        assert result.truncated == total - OUTPUT_LIMIT
        assert result.stdout.startswith("begin\nxxx")
        assert result.stdout.endswith("xxxend\n")
        assert grown < 64 * MIB

    def test_each_stream_has_its_own_bound(self, sandbox: Sandbox) -> None:
        result = sandbox.exec("head -c 2M /dev/zero | tr '\\0' x >&2; echo short")
        assert result.stdout == "short\n"
        assert len(result.stderr) == OUTPUT_LIMIT
        assert result.truncated == 2 * MIB - OUTPUT_LIMIT

    def test_a_flood_does_not_outlast_the_timeout(self, sandbox: Sandbox) -> None:
        result = sandbox.exec("yes", timeout=0.5)
        assert result.timed_out
        assert result.stdout.startswith("y\ny\n")


class TestTimeout:
    def test_the_whole_tree_is_killed(self, sandbox: Sandbox, mark: str) -> None:
        command = f"echo before; sh -c 'sleep {mark} & sleep {mark} & wait' & sleep {mark}"
        result = sandbox.exec(command, timeout=SLOWNESS)
        assert result.timed_out
        assert result.exit_code is None
        assert result.stdout == "before\n"
        assert marked_processes(mark) == []
        assert sandbox.exec("echo after").stdout == "after\n"

    def test_signals_cannot_be_ignored(self, sandbox: Sandbox, mark: str) -> None:
        result = sandbox.exec(f"trap '' TERM INT HUP; sleep {mark}; sleep {mark}", timeout=0.5)
        assert result.timed_out
        assert marked_processes(mark) == []

    def test_a_daemon_that_left_the_tree_survives(self, sandbox: Sandbox, mark: str) -> None:
        command = f"(setsid sleep {mark} >/dev/null 2>&1 &); sleep 60"
        assert sandbox.exec(command, timeout=SLOWNESS).timed_out
        assert len(marked_processes(mark)) == 1

    def test_the_command_of_another_user(self, sandbox: Sandbox, mark: str) -> None:
        assert sandbox.exec(f"sleep {mark} & wait", user="nobody", timeout=0.5).timed_out
        assert marked_processes(mark) == []

    def test_a_tree_that_keeps_forking(self, start: Start, mark: str) -> None:
        sandbox = start(pids_limit=64)
        command = f"f() {{ sleep {mark} & (sleep 0.01; f) & wait; }}; f"
        assert sandbox.exec(["sh", "-c", command], timeout=0.5).timed_out
        assert sandbox.exec("true").ok

    def test_in_time_is_not_timed_out(self, sandbox: Sandbox) -> None:
        result = sandbox.exec("exit 4", timeout=PATIENCE)
        assert result.exit_code == 4
        assert not result.timed_out


class TestFiles:
    def test_written_is_read(self, sandbox: Sandbox) -> None:
        data = bytes(range(256)) * 1000
        sandbox.write("/some/new/place/data", data, 0o640)
        assert sandbox.read("/some/new/place/data", max_bytes=len(data)) == data
        told = sandbox.exec("stat -c '%a %u %g' /some/new/place/data /some/new/place")
        assert told.stdout == "640 0 0\n755 0 0\n"

    def test_empty_file(self, sandbox: Sandbox) -> None:
        sandbox.write("/empty", b"")
        assert sandbox.read("/empty", max_bytes=0) == b""

    def test_writing_replaces(self, sandbox: Sandbox) -> None:
        sandbox.write("/tmp/file", b"a long old content")
        sandbox.write("/tmp/file", b"new")
        assert sandbox.read("/tmp/file", max_bytes=100) == b"new"

    def test_writing_leaves_existing_directories_alone(self, sandbox: Sandbox) -> None:
        sandbox.write("/tmp/file", b"x")
        sandbox.write("/bin/added", b"x")
        assert sandbox.exec("stat -c %a /tmp").stdout == "1777\n"
        assert sandbox.exec("test -e /bin/sh && test -f /bin/added").ok

    def test_a_directory_is_copied_with_modes_and_links(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret"
        secret.write_text("of the host")
        source = tmp_path / "source"
        (source / "deep" / "er").mkdir(parents=True)
        (source / "deep" / "er" / "run.sh").write_text("echo ran\n")
        (source / "deep" / "er" / "run.sh").chmod(0o750)
        (source / "within").symlink_to("deep/er/run.sh")
        (source / "outside").symlink_to(secret)
        sandbox.put(source, "/put/here")
        told = sandbox.exec("cd /put/here && stat -c '%a %u %g' deep/er/run.sh && ./within")
        assert told.stdout.splitlines()[0] == "750 0 0"
        assert sandbox.exec("sh /put/here/within").stdout == "ran\n"
        link = sandbox.exec("readlink /put/here/outside")
        assert link.stdout == f"{secret}\n"

    def test_contents_are_added_to_an_existing_directory(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        (tmp_path / "second").write_text("2")
        sandbox.write("/both/first", b"1")
        sandbox.put(tmp_path, "/both")
        assert sandbox.exec("cat /both/first /both/second").stdout == "12"

    def test_one_file_is_copied_as_the_target(self, sandbox: Sandbox, tmp_path: Path) -> None:
        (tmp_path / "tool").write_text("#!/bin/sh\necho tool\n")
        (tmp_path / "tool").chmod(0o755)
        sandbox.put(tmp_path / "tool", "/opt/new/renamed")
        assert sandbox.exec("/opt/new/renamed").stdout == "tool\n"

    def test_missing(self, sandbox: Sandbox) -> None:
        with pytest.raises(SandboxFileMissing):
            sandbox.read("/no/such/file", max_bytes=10)

    @pytest.mark.parametrize(
        "making",
        [
            "ln -s /etc/passwd /tmp/odd",
            "ln -s /nowhere /tmp/odd",
            "mkfifo /tmp/odd",
            "mkdir /tmp/odd",
            "ln -s /dev/zero /tmp/odd",
        ],
    )
    def test_only_regular_files_are_read(self, sandbox: Sandbox, making: str) -> None:
        assert sandbox.exec(making).ok
        with pytest.raises(SandboxFileError):
            sandbox.read("/tmp/odd", max_bytes=1 << 20)
        assert sandbox.exec("true").ok

    @pytest.mark.parametrize("size", ["11", "100G"])
    def test_too_large(self, sandbox: Sandbox, size: str) -> None:
        assert sandbox.exec(f"truncate -s {size} /tmp/large").ok
        with pytest.raises(SandboxFileError):
            sandbox.read("/tmp/large", max_bytes=10)


class TestFetch:
    """Copying out what an agent may have prepared for us."""

    BOUNDS: ClassVar[dict[str, int]] = {"max_bytes": MIB, "max_files": 100}

    def test_a_file(self, sandbox: Sandbox, tmp_path: Path) -> None:
        sandbox.write("/data/answer", b"42", mode=0o4755)
        assert sandbox.fetch("/data/answer", tmp_path / "copy", **self.BOUNDS) == 2
        assert (tmp_path / "copy").read_bytes() == b"42"
        assert (tmp_path / "copy").stat().st_mode & 0o7777 == 0o755

    def test_a_directory_without_what_is_no_file(self, sandbox: Sandbox, tmp_path: Path) -> None:
        sandbox.exec(
            "mkdir -p /data/in/ner; cd /data; echo 1 > a; echo 2 > in/ner/b; ln -s /etc/passwd l; "
            "ln -s /etc in/d; mkfifo p; mknod dev c 1 3; ln -s ../.. up; printf x > '-odd name'"
        )
        target = tmp_path / "copy"
        sandbox.fetch("/data", target, **self.BOUNDS)
        found = {str(path.relative_to(target)) for path in target.rglob("*")}
        assert found == {"a", "in", "in/ner", "in/ner/b", "-odd name"}
        assert (target / "in/ner/b").read_text() == "2\n"

    def test_missing(self, sandbox: Sandbox, tmp_path: Path) -> None:
        with pytest.raises(SandboxFileMissing):
            sandbox.fetch("/data/none", tmp_path / "copy", **self.BOUNDS)

    @pytest.mark.parametrize(
        "making",
        [
            "ln -s /etc/passwd /data/x",
            "ln -s /etc /data/x",
            "mkfifo /data/x",
            "truncate -s 2M /data/x",
            "mkdir /data/x; head -c 700K /dev/zero > /data/x/a; cp /data/x/a /data/x/b",
            "mkdir /data/x; cd /data/x; for n in $(seq 150); do : > $n; done",
        ],
    )
    def test_refused_as_a_whole(self, sandbox: Sandbox, tmp_path: Path, making: str) -> None:
        assert sandbox.exec(f"mkdir /data; {making}").ok
        with pytest.raises(SandboxFileError) as refused:
            sandbox.fetch("/data/x", tmp_path / "copy", **self.BOUNDS)
        assert not isinstance(refused.value, SandboxFileMissing)
        assert "/data/x" in str(refused.value)

    def test_a_path_that_the_agent_bent_is_its_own_doing(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        assert sandbox.exec("ln -s /loop /loop").ok
        with pytest.raises(SandboxFileError):
            sandbox.fetch("/loop/x", tmp_path / "copy", **self.BOUNDS)
        with pytest.raises(SandboxFileError):
            sandbox.read("/loop/x", max_bytes=10)
        with pytest.raises(SandboxFileError):
            sandbox.put(tmp_path, "/loop/x")
        with pytest.raises(SandboxFileError):
            sandbox.write("/loop/x", b"")
        assert sandbox.exec("true").ok


class TestLimits:
    def test_the_kernel_enforces_what_was_asked(self, start: Start) -> None:
        enforced = start(
            memory_guarantee=128 * MIB, memory_limit=384 * MIB, cpu_limit=1.5, pids_limit=77
        ).enforced
        assert enforced.by == "cgroup"
        assert enforced.memory_limit == 384 * MIB
        assert enforced.memory_swap_limit == enforced.memory_limit
        assert enforced.cpu_limit == 1.5
        assert enforced.pids_limit == 77

    def test_uncapped_has_no_limits(self, start: Start) -> None:
        enforced = start(memory_limit=None, cpu_limit=None).enforced
        assert enforced.memory_limit is None
        assert enforced.cpu_limit is None

    def test_a_cpu_limit_may_exceed_the_machine(self, start: Start) -> None:
        assert start(cpu_limit=64.0).enforced.cpu_limit == 64.0

    def test_cpu_weight_follows_the_guarantee(self, start: Start) -> None:
        large = start(cpu_guarantee=1.5).enforced.cpu_weight
        small = start(cpu_guarantee=0.5).enforced.cpu_weight
        assert large is not None
        assert small is not None
        assert large > small

    def test_pids_are_bounded(self, start: Start) -> None:
        sandbox = start(pids_limit=40)
        before = sandbox.meter.counters().pids_max_events or 0
        result = sandbox.exec(["python3", "-c", _FORK_MANY], timeout=60 * SLOWNESS)
        assert result.ok
        assert 10 < int(result.stdout) < 40
        assert (sandbox.meter.counters().pids_max_events or 0) > before
        assert sandbox.alive()

    def test_the_sandbox_survives_pids_that_stay_exhausted(self, start: Start) -> None:
        sandbox = start(pids_limit=40)
        filled = sandbox.exec(
            ["python3", "-c", _FORK_MANY], env={"STAY": "4"}, timeout=60 * SLOWNESS
        )
        assert filled.ok
        wait_until(lambda: sandbox.exec("true").ok, "commands start again")
        assert sandbox.alive()

    def test_network_off_leaves_only_loopback(self, start: Start) -> None:
        lines = start(network=False).exec("cat /proc/net/dev").stdout.splitlines()[2:]
        assert [line.split(":")[0].strip() for line in lines] == ["lo"]


class TestUsage:
    def test_the_peak_is_the_kernels_high_water_mark(self, sandbox: Sandbox) -> None:
        assert sandbox.exec(["python3", "-c", TOUCH.format(300)]).ok
        counters = sandbox.meter.counters()
        assert sandbox.meter.peak_source == ("kernel" if _KERNEL_KEEPS_PEAKS else "sampled")
        assert counters.peak is not None
        if _KERNEL_KEEPS_PEAKS:
            assert 300 * MIB <= counters.peak <= 330 * MIB
        assert counters.current is not None
        assert counters.current < 200 * MIB
        assert counters.oom_kill == 0

    def test_an_oom_kill_is_counted(self, start: Start) -> None:
        sandbox = start(memory_limit=64 * MIB)
        assert sandbox.meter.counters().oom_kill == 0
        result = sandbox.exec(["python3", "-c", TOUCH.format(200)])
        counters = sandbox.meter.counters()
        assert result.exit_code == 137
        assert counters.oom_kill is not None
        assert counters.oom_kill >= 1
        assert counters.peak is not None
        assert counters.peak > 60 * MIB or not _KERNEL_KEEPS_PEAKS
        assert sandbox.exec("true").ok

    def test_page_cache_at_the_limit_is_no_oom(self, start: Start) -> None:
        sandbox = start(memory_limit=64 * MIB)
        assert sandbox.exec("head -c 100M /dev/zero > /var/tmp/a && cp /var/tmp/a /var/tmp/b").ok
        counters = sandbox.meter.counters()
        assert counters.oom_kill == 0
        assert counters.peak is not None
        assert counters.peak > 60 * MIB

    def test_cpu_seconds(self, sandbox: Sandbox) -> None:
        before = sandbox.meter.counters().cpu_seconds
        burn = "import time\nwhile time.process_time() < 0.5: pass"
        assert sandbox.exec(["python3", "-c", burn]).ok
        after = sandbox.meter.counters().cpu_seconds
        assert before is not None
        assert after is not None
        assert 0.45 <= after - before < 2.0 * SLOWNESS

    def test_throttling_is_counted(self, start: Start) -> None:
        sandbox = start(cpu_guarantee=0.1, cpu_limit=0.1)
        burn = "import time\nwhile time.process_time() < 0.1: pass"
        assert sandbox.exec(["python3", "-c", burn]).ok
        assert (sandbox.meter.counters().throttled_periods or 0) > 0

    def test_the_last_figures_outlive_the_sandbox(self, start: Start) -> None:
        sandbox = start()
        before = sandbox.meter.counters()
        sandbox.close()
        assert sandbox.meter.counters().peak == before.peak
        assert sandbox.meter.sample() is None


class TestDisk:
    def test_what_is_written_is_seen(self, sandbox: Sandbox) -> None:
        before = _disk_used(sandbox)
        assert sandbox.exec("head -c 20M /dev/zero > /var/tmp/file").ok
        assert 20 * MIB <= _disk_used(sandbox) - before < 21 * MIB
        assert sandbox.exec("ln /var/tmp/file /var/tmp/link; truncate -s 1T /var/tmp/sparse").ok
        assert 20 * MIB <= _disk_used(sandbox) - before < 21 * MIB
        assert sandbox.exec("rm /var/tmp/file /var/tmp/link").ok
        assert _disk_used(sandbox) - before < MIB

    def test_what_the_system_holds_does_not_count(self, sandbox: Sandbox) -> None:
        assert _disk_used(sandbox) < MIB
        assert sandbox.exec("find /usr -xdev -type f -exec cat {} + | head -c 50M >/dev/null").ok
        assert _disk_used(sandbox) < MIB

    def test_files_in_memory_do_not_count(self, sandbox: Sandbox) -> None:
        before = _disk_used(sandbox)
        assert sandbox.exec("head -c 20M /dev/zero > /dev/shm/file").ok
        assert _disk_used(sandbox) - before < MIB

    def test_many_small_files(self, sandbox: Sandbox) -> None:
        before = _disk_used(sandbox)
        many = "import os; os.mkdir('/m'); [open(f'/m/{i}', 'w').write('x') for i in range(5000)]"
        assert sandbox.exec(["python3", "-c", many]).ok
        assert _disk_used(sandbox) - before >= 5000 * 4096

    def test_a_deleted_file_counts_while_it_is_open(self, sandbox: Sandbox, mark: str) -> None:
        before = _disk_used(sandbox)
        hold = (
            "exec 9>/var/tmp/file; rm /var/tmp/file; head -c 20M /dev/zero >&9; "
            f"exec setsid sleep {mark}"
        )
        assert sandbox.exec(f"({hold} >/dev/null 2>&1 &)").ok
        process = wait_for_process(mark)
        wait_until(lambda: process.name() == "sleep", "the file is written")
        assert 20 * MIB <= _disk_used(sandbox) - before < 21 * MIB
        process.kill()
        wait_until(lambda: _disk_used(sandbox) - before < MIB, "the file is gone")

    def test_files_that_are_mounted_from_the_host_count(self, sandbox: Sandbox) -> None:
        before = _disk_used(sandbox)
        for file in ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf"):
            sandbox.exec(f"head -c 20M /dev/zero >> {file}")
        grown = sandbox.exec("stat -Lc %s /etc/hosts /etc/hostname /etc/resolv.conf").stdout.split()
        written = sum(int(size) for size in grown if int(size) >= 20 * MIB)
        assert written >= 20 * MIB
        assert _disk_used(sandbox) - before >= written - 3 * MIB

    def test_the_bound_and_who_keeps_it_are_told(self, start: Start) -> None:
        enforced = start(storage_limit=100 * MIB).enforced
        assert enforced.storage_limit == 100 * MIB
        assert enforced.storage_by in ("quota", "polled")

    def test_above_its_bound_a_sandbox_is_ended_and_known(self, start: Start) -> None:
        sandbox = start(storage_limit=100 * MIB)
        watch = DiskWatcher().watch(sandbox, 100 * MIB)
        hold = "head -c 300M /dev/zero > /var/tmp/file; exec sleep 600"
        try:
            with pytest.raises(SandboxLost):
                sandbox.exec(hold, timeout=120)
        finally:
            watch.stop()
        assert watch.exceeded is not None
        assert 100 * MIB < watch.exceeded < 301 * MIB
        wait_until(lambda: not sandbox.alive(), "the watcher has ended it")

    def test_killed_it_keeps_its_counters_and_its_files(self, start: Start, mark: str) -> None:
        sandbox = start()
        assert sandbox.exec(f"head -c 20M /dev/zero > /file; (setsid sleep {mark} &)").ok
        wait_for_process(mark)
        before, held = sandbox.meter.counters(), _disk_used(sandbox)
        sandbox.kill()
        assert marked_processes(mark) == []
        assert not sandbox.alive()
        with pytest.raises(SandboxLost):
            sandbox.exec("true")
        after = sandbox.meter.counters()
        assert (after.peak or 0) >= (before.peak or 0) > 0
        assert (after.cpu_seconds or 0) >= (before.cpu_seconds or 0) > 0
        assert after.oom_kill == 0
        assert _disk_used(sandbox) >= held - MIB
        sandbox.kill()
        sandbox.close()
        sandbox.kill()


class TestEnd:
    def test_nothing_is_left(self, start: Start, mark: str) -> None:
        sandbox = start()
        assert sandbox.exec(f"(setsid sleep {mark} >/dev/null 2>&1 &)").ok
        daemon = wait_for_process(mark)
        place = locate(daemon.pid)
        assert place is not None
        inside = _processes_beside(daemon.pid)
        assert daemon.pid in {process.pid for process in inside}
        sandbox.close()
        assert marked_processes(mark) == []
        wait_until(
            lambda: not any(directory.exists() for directory in place.directories.values()),
            "its cgroups are removed",
        )
        assert not [process for process in inside if process.is_running()]

    def test_closing_twice_is_harmless(self, start: Start) -> None:
        sandbox = start()
        sandbox.close()
        sandbox.close()
        assert not sandbox.alive()
        with pytest.raises(SandboxLost):
            sandbox.exec("true")

    def test_a_sandbox_that_vanished_is_lost(self, start: Start, mark: str) -> None:
        sandbox = start()
        assert sandbox.alive()
        assert sandbox.exec(f"(setsid sleep {mark} >/dev/null 2>&1 &)").ok
        first_process(wait_for_process(mark)).kill()
        wait_until(lambda: not sandbox.alive(), "the sandbox is seen to have ended")
        with pytest.raises(SandboxLost):
            sandbox.exec("true")
        with pytest.raises(SandboxLost):
            sandbox.read("/etc/passwd", max_bytes=10**6)
        sandbox.close()

    def test_a_command_whose_sandbox_vanishes_has_no_exit_code(
        self, start: Start, mark: str
    ) -> None:
        sandbox = start()
        killer = subprocess.Popen(
            [sys.executable, "-c", _KILL_FIRST_PROCESS_OF, mark], cwd=REPOSITORY
        )
        try:
            with pytest.raises(SandboxLost):
                sandbox.exec(f"sleep {mark}", timeout=PATIENCE)
        finally:
            killer.wait(PATIENCE)

    def test_from_inside_it_cannot_be_ended(self, sandbox: Sandbox) -> None:
        sandbox.exec("for number in $(seq 64); do kill -$number 1; done")
        assert sandbox.exec("echo still here").stdout == "still here\n"

    def test_it_ends_with_its_owner(self, engine: Engine, image: str | None, mark: str) -> None:
        owner = subprocess.Popen(
            [sys.executable, "-c", _OWNER, engine.info.name, image or "", mark],
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
        )
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"running\n"
        wait_for_process(mark)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        owner.stdout.close()
        wait_until(lambda: not marked_processes(mark), "the sandbox ends with its owner")
        engine.sweep()

    def test_sweeping_leaves_the_living_alone(self, engine: Engine, sandbox: Sandbox) -> None:
        engine.sweep()
        assert sandbox.exec("echo here").stdout == "here\n"


_FORK_MANY = """
import os, signal, time
children = []
try:
    for _ in range(200):
        pid = os.fork()
        if pid == 0:
            os.close(0), os.close(1), os.close(2)
            time.sleep(float(os.environ.get("STAY", "60")))
            os._exit(0)
        children.append(pid)
except BlockingIOError:
    pass
print(len(children), flush=True)
if "STAY" not in os.environ:
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
"""

_OWNER = """
import sys, time
from pytest_reseval.engines import choose
from pytest_reseval.engines.base import SandboxRequest
from pytest_reseval.resources import MIB, Resources
name, image, mark = sys.argv[1:]
engine, _ = choose(name)
resources = Resources(64 * MIB, 256 * MIB, 0.5, 1.0, 64, 1024 * MIB)
sandbox = engine.start(SandboxRequest("owned", image or None, resources))
assert sandbox.exec(f"(setsid sleep {mark} >/dev/null 2>&1 &)").ok
print("running", flush=True)
time.sleep(600)
"""

_KILL_FIRST_PROCESS_OF = """
import sys, time
from tests.engines.conftest import first_process, marked_processes
mark = sys.argv[1]
while not (found := [p for p in marked_processes(mark) if p.name() == "sleep"]):
    time.sleep(0.05)
first_process(found[0]).kill()
"""


def _disk_used(sandbox: Sandbox) -> int:
    used = sandbox.disk_used()
    assert used is not None
    return used


def _process_states(sandbox: Sandbox) -> list[str]:
    """The state letters of all processes in the sandbox."""
    script = "cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) \\(.\\).*/\\1/'"
    return sandbox.exec(script).stdout.split()


def _processes_beside(pid: int) -> list[psutil.Process]:
    """This host's processes in the mount namespace of one of them."""
    namespace = Path(f"/proc/{pid}/ns/mnt").readlink()
    found = []
    for process in psutil.process_iter():
        with suppress(OSError):
            if Path(f"/proc/{process.pid}/ns/mnt").readlink() == namespace:
                found.append(process)
    return found
