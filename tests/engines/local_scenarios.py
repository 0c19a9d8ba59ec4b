"""What must hold in a sandbox of the local engine, as programs that any user can run.

``python local_scenarios.py NAME SCRATCH`` runs one; it needs no pytest, so that it can be run by a
user who cannot read the test suite's interpreter. A failed assertion ends it with a traceback.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import psutil

from pytest_reseval.cgroups.locate import host_version
from pytest_reseval.disk.watcher import DiskWatcher
from pytest_reseval.engines.base import (
    OUTPUT_LIMIT,
    EngineUnavailable,
    SandboxFileError,
    SandboxFileMissing,
    SandboxLost,
    SandboxRequest,
    StartError,
)
from pytest_reseval.engines.local import LocalEngine, rootfs
from pytest_reseval.engines.local.sandbox import LocalSandbox
from pytest_reseval.resources import MIB, Resources
from pytest_reseval.tasks.model import Environment, Task

PATIENCE = 120.0
SCENARIOS: dict[str, Callable[[Path], None]] = {}
Check = Callable[[LocalSandbox, Path], None]


def alone(scenario: Callable[[Path], None]) -> Callable[[Path], None]:
    """A scenario that makes its own engine."""
    SCENARIOS[scenario.__name__] = scenario
    return scenario


def in_sandbox(check: Check) -> Check:
    """A scenario that is given a sandbox with room enough."""

    def scenario(scratch: Path) -> None:
        engine = LocalEngine(scratch / "state")
        sandbox = start(engine)
        try:
            check(sandbox, scratch)
        finally:
            sandbox.close()
            engine.close()

    SCENARIOS[check.__name__] = scenario
    return check


def start(
    engine: LocalEngine,
    *,
    memory_limit: int = 512 * MIB,
    pids_limit: int = 256,
    storage_limit: int = 1024 * MIB,
    network: bool = True,
) -> LocalSandbox:
    resources = Resources(64 * MIB, memory_limit, 0.5, 1.5, pids_limit, storage_limit)
    return engine.start(SandboxRequest("a sandbox", None, resources, network=network))


def python(program: str) -> list[str]:
    """A program for a sandbox, in which an interpreter below /tmp would not be seen."""
    interpreter = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
    return [interpreter, "-c", program]


def owns_a_cgroup() -> bool:
    """Whether this process may make cgroups: as root, or in a scope that was delegated to it."""
    if os.geteuid() == 0:
        return True
    membership = Path("/proc/self/cgroup").read_text().splitlines()
    [own] = [line.removeprefix("0::/") for line in membership if line.startswith("0::/")] or [""]
    return os.access(Path("/sys/fs/cgroup", own, "cgroup.procs"), os.W_OK)


def release() -> tuple[int, ...]:
    """The kernel's version, as far as features go by it."""
    return tuple(int(part) for part in os.uname().release.split(".")[:2])


def wait_until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"not within {PATIENCE:g} s: {what}"
        time.sleep(0.02)


def keepers() -> list[psutil.Process]:
    """The keepers of this process's sandboxes, all forked from its one fork server."""
    [server] = psutil.Process().children()
    return [child for child in server.children() if child.status() != psutil.STATUS_ZOMBIE]


def refusal(action: Callable[[], object], kind: type[Exception]) -> str:
    try:
        action()
    except kind as error:
        return str(error)
    raise AssertionError(f"no {kind.__name__}")


@in_sandbox
def writes_stay_inside(sandbox: LocalSandbox, scratch: Path) -> None:
    changed, removed = scratch / "changed", scratch / "removed"
    for file in (changed, removed):
        file.write_text("of the host")
    mark = f"mark-of-{scratch.name}"
    places = "/ /tmp /run /mnt /media /etc /usr/local /var/tmp /root /home /opt /srv /dev /dev/shm"
    result = sandbox.exec(
        f"echo of the sandbox > {changed} && rm {removed} && mkdir /app /solution || exit 1; "
        f"for place in {places}; do echo x > $place/{mark}; done; "
        f"cat {changed} /tmp/{mark} /{mark} /dev/shm/{mark}"
    )
    assert result.stdout == "of the sandbox\nx\nx\nx\n", result
    assert changed.read_text() == "of the host"
    assert removed.read_text() == "of the host"
    assert not [place for place in places.split() if os.path.lexists(f"{place}/{mark}")]


@in_sandbox
def where_programs_are_installed_can_be_written(sandbox: LocalSandbox, scratch: Path) -> None:
    """And where files are put for long: directories of root, whoever runs the sandbox."""
    for place in ("/usr/local/bin", "/var/tmp", "/etc", "/opt"):
        mark = f"{place}/mark-of-{scratch.name}"
        result = sandbox.exec(f"echo written > {mark} && cat {mark}")
        assert result.stdout == "written\n", result
        assert not os.path.lexists(mark)


@in_sandbox
def sockets_of_the_host_are_unreachable(sandbox: LocalSandbox, scratch: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(scratch / "socket"))
        server.listen()
        program = (
            f"import socket; socket.socket(socket.AF_UNIX).connect({str(scratch)!r}+'/socket')"
        )
        assert sandbox.exec(python("import sys")).ok
        assert "ConnectionRefusedError" in sandbox.exec(python(program)).stderr
    assert sandbox.exec("ls -A /run /var/run/ /tmp /mnt /media").stdout.split() == [
        "/media:", "/mnt:", "/run:", "lock", "/tmp:", "/var/run/:", "lock",
    ]  # fmt: skip


@in_sandbox
def the_old_root_is_gone(sandbox: LocalSandbox, scratch: Path) -> None:
    secret = Path("/tmp") / f"secret-of-{scratch.name}"
    secret.write_text("of the host")
    try:
        escape = f"""
import os
os.mkdir("/tmp/cage")
outside = os.open("/", os.O_RDONLY)
os.chroot("/tmp/cage")
os.fchdir(outside)
for _ in range(64):
    os.chdir("..")
os.chroot(".")
print(os.path.exists("/tmp/cage"), os.path.exists({str(secret)!r}))
"""
        assert sandbox.exec(python(escape)).stdout == "True False\n"
    finally:
        secret.unlink()
    assert not sandbox.exec("ls /proc/1/root/").ok
    assert not sandbox.exec("ls /proc/1/cwd/").ok
    assert sandbox.exec("ls -A /sys").stdout == ""


@in_sandbox
def capabilities_are_few(sandbox: LocalSandbox, scratch: Path) -> None:
    status = sandbox.exec("cat /proc/self/status").stdout
    for kind in ("CapEff", "CapPrm", "CapBnd"):
        held = int(status.split(f"{kind}:")[1].split()[0], 16)
        for forbidden in (16, 19, 21, 27):  # SYS_MODULE, SYS_PTRACE, SYS_ADMIN, MKNOD
            assert not held >> forbidden & 1, (kind, forbidden)
    assert not sandbox.exec("mknod /disk b 254 0").ok
    assert not sandbox.exec("mount -t tmpfs none /mnt").ok
    assert not sandbox.exec("umount /proc").ok
    assert not sandbox.exec("echo 0 > /proc/sys/vm/overcommit_memory").ok
    assert not sandbox.exec("echo h > /proc/sysrq-trigger").ok


@in_sandbox
def the_first_process_is_untouchable(sandbox: LocalSandbox, scratch: Path) -> None:
    sandbox.exec("for number in $(seq 64); do kill -$number 1; done")
    assert not sandbox.exec("cat /proc/1/environ").ok
    assert not sandbox.exec("cat /proc/1/maps").ok
    assert sandbox.exec("kill -KILL -1; echo here").stdout == "here\n"
    assert sandbox.alive()


@in_sandbox
def processes_of_the_host_are_invisible(sandbox: LocalSandbox, scratch: Path) -> None:
    assert not sandbox.exec(f"kill -0 {os.getpid()}").ok
    seen = sandbox.exec("ls /proc | grep -c '^[0-9]'").stdout
    assert int(seen) <= 6, seen


@in_sandbox
def orphans_are_reaped(sandbox: LocalSandbox, scratch: Path) -> None:
    assert sandbox.exec("for i in $(seq 20); do (true &); done").ok
    states = "cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) \\(.\\).*/\\1/'"
    wait_until(lambda: "Z" not in sandbox.exec(states).stdout, "zombies are reaped")


@in_sandbox
def commands_end_as_they_should(sandbox: LocalSandbox, scratch: Path) -> None:
    assert sandbox.exec("echo out; echo err >&2; exit 3").exit_code == 3
    assert sandbox.exec("kill -SEGV $$").exit_code == 128 + signal.SIGSEGV
    assert sandbox.exec(["no-such-program"]).exit_code == 127
    assert sandbox.exec("true", user="no-such-user").exit_code == 126
    assert sandbox.exec("cat").stdout == ""
    assert sandbox.exec("pwd", workdir="/new/place").stdout == "/new/place\n"
    assert sandbox.exec(["printf", "%s", "$HOME"]).stdout == "$HOME"


@in_sandbox
def nothing_of_our_environment(sandbox: LocalSandbox, scratch: Path) -> None:
    with mock.patch.dict(os.environ, RESEVAL_SECRET="ours"):
        names = {line.partition("=")[0] for line in sandbox.exec(["env"]).stdout.splitlines()}
    assert names == {"PATH", "HOME", "LANG", "TERM"}


@in_sandbox
def output_is_bounded(sandbox: LocalSandbox, scratch: Path) -> None:
    result = sandbox.exec("head -c 64M /dev/zero; echo error >&2")
    assert len(result.stdout) == OUTPUT_LIMIT
    assert result.truncated == 64 * MIB - OUTPUT_LIMIT
    assert result.stderr == "error\n"


@in_sandbox
def a_daemon_can_go_on_writing(sandbox: LocalSandbox, scratch: Path) -> None:
    """It holds the command's output, and no closed pipe may end it."""
    daemon = "(sleep 0.2; head -c 1M /dev/zero; touch /survived) & echo started"
    assert sandbox.exec(daemon).stdout == "started\n"
    wait_until(lambda: sandbox.exec("test -e /survived").ok, "the daemon has written everything")


@in_sandbox
def a_timeout_kills_the_tree_alone(sandbox: LocalSandbox, scratch: Path) -> None:
    assert sandbox.exec("(sleep 4711 >/dev/null 2>&1 &)").ok
    result = sandbox.exec("trap '' TERM; echo before; sleep 4712 & sleep 4713", timeout=0.5)
    assert (result.timed_out, result.exit_code, result.stdout) == (True, None, "before\n")
    running = sandbox.exec("cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout
    assert "sleep 4711" in running
    assert "sleep 4712" not in running
    assert "sleep 4713" not in running


@in_sandbox
def commands_run_side_by_side(sandbox: LocalSandbox, scratch: Path) -> None:
    answers = {}

    def ask(number: int) -> None:
        answers[number] = sandbox.exec(f"sleep 0.1; echo {number}").stdout

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == {number: f"{number}\n" for number in range(8)}


@in_sandbox
def only_regular_files_are_read(sandbox: LocalSandbox, scratch: Path) -> None:
    made = (
        "mkfifo fifo; mkdir dir dir/in; echo x > dir/in/file; ln -s dir link; ln -s dir/in/file l"
    )
    assert sandbox.exec(f"{made}; echo hidden > closed; chmod 0 closed", workdir="/odd").ok
    for path in ("/odd/fifo", "/odd/dir", "/odd/l", "/odd/link/in/file", "/odd/../odd/closed"):
        refusal(lambda path=path: sandbox.read(path, max_bytes=100), SandboxFileError)  # type: ignore[misc]
    refusal(lambda: sandbox.read("/odd/dir/none", max_bytes=100), SandboxFileMissing)
    refusal(lambda: sandbox.read("/odd/closed", max_bytes=6), SandboxFileError)
    assert sandbox.read("/odd/closed", max_bytes=7) == b"hidden\n"
    assert sandbox.read("/odd/dir/in/file", max_bytes=7) == b"x\n"


@in_sandbox
def copying_follows_no_link_out(sandbox: LocalSandbox, scratch: Path) -> None:
    victim, source = scratch / "victim", scratch / "source"
    for directory in (victim, source / "sub"):
        directory.mkdir(parents=True)
    (victim / "file").write_text("of the host")
    (source / "file").write_text("copied")
    (source / "sub" / "tool").write_text("tool")
    (source / "sub" / "tool").chmod(0o750)
    (source / "link").symlink_to("sub/tool")
    assert sandbox.exec(f"ln -s {victim} /tests; mkfifo /pipe; chmod 0 /").ok
    sandbox.put(source, "/tests")
    sandbox.write("/pipe", b"no longer a fifo", 0o600)
    assert sandbox.exec("cat /tests/file").stdout == "copied"
    assert sandbox.exec("stat -c '%a %u %g' /tests/sub/tool").stdout == "750 0 0\n"
    assert sandbox.exec("readlink /tests/link").stdout == "sub/tool\n"
    assert sandbox.read("/pipe", max_bytes=100) == b"no longer a fifo"
    assert (victim / "file").read_text() == "of the host"
    assert sorted(path.name for path in victim.iterdir()) == ["file"]


@in_sandbox
def the_peak_is_seen(sandbox: LocalSandbox, scratch: Path) -> None:
    """By polling too, as long as the memory is held until a poll has seen it."""
    hold = (
        "import os, time\nb = b'x' * (300 << 20)\nwhile not os.path.exists('/go'): time.sleep(0.01)"
    )
    command = threading.Thread(target=sandbox.exec, args=(python(hold),))
    command.start()
    wait_until(lambda: (sandbox.meter.counters().peak or 0) >= 300 * MIB, "the peak is seen")
    sandbox.write("/go", b"")
    command.join(PATIENCE)
    counters = sandbox.meter.counters()
    assert counters.peak is not None
    assert 300 * MIB <= counters.peak <= 330 * MIB, counters
    assert counters.nonreclaimable is not None
    assert counters.nonreclaimable < 50 * MIB, counters
    assert (counters.cpu_seconds or 0) > 0
    by_kernel = sandbox.enforced.by == "cgroup" and (host_version() == 1 or release() >= (5, 19))
    assert sandbox.meter.peak_source == ("kernel" if by_kernel else "sampled")
    can_reset = sandbox.enforced.by == "watchdog" or host_version() == 1 or release() >= (6, 12)
    assert sandbox.meter.reset_peak() is can_reset
    assert ((sandbox.meter.counters().peak or 0) < 100 * MIB) is can_reset


@alone
def too_much_memory_is_an_oom_kill(scratch: Path) -> None:
    sandbox = start(LocalEngine(scratch / "state"), memory_limit=128 * MIB)
    try:
        assert sandbox.exec("(sleep 4711 >/dev/null 2>&1 &)").ok
        grow = "import time\nb = b''\nwhile True:\n b += b'x' * (16 << 20)\n time.sleep(0.03)"
        result = sandbox.exec(python(grow), timeout=PATIENCE)
        counters = sandbox.meter.counters()
        assert result.exit_code == 128 + signal.SIGKILL, result
        assert (counters.oom_kill or 0) >= 1
        assert (counters.peak or 0) > 100 * MIB
        assert "sleep" in sandbox.exec("cat /proc/[0-9]*/cmdline").stdout
    finally:
        sandbox.close()
    assert sandbox.meter.counters().oom_kill == counters.oom_kill


@in_sandbox
def files_in_memory_are_counted(sandbox: LocalSandbox, scratch: Path) -> None:
    assert sandbox.exec("head -c 48M /dev/zero > /dev/shm/left").ok
    assert (sandbox.meter.counters().nonreclaimable or 0) >= 48 * MIB
    assert not sandbox.exec("head -c 48M /dev/zero > /dev/shm/more").ok


@alone
def processes_are_bounded(scratch: Path) -> None:
    sandbox = start(LocalEngine(scratch / "state"), pids_limit=40)
    forks = """
import os, time
made = 0
try:
    while made < 200:
        if os.fork() == 0:
            os.execlp("sleep", "sleep", "3")
        made += 1
except BlockingIOError:
    print(made)
"""
    try:
        made = sandbox.exec(python(forks)).stdout
        assert 30 <= int(made) <= 40, made
        assert sandbox.enforced.pids_limit == 40
        wait_until(lambda: sandbox.exec("/bin/true; true").ok, "commands start again")
    finally:
        sandbox.close()


@in_sandbox
def what_is_on_disk_is_counted(sandbox: LocalSandbox, scratch: Path) -> None:
    before = sandbox.disk_used()
    assert before < MIB, before
    for number, place in enumerate(("/tmp", "/var/tmp", "/run", "/app"), 1):
        fill = f"mkdir -p {place} && head -c 10M /dev/zero > {place}/file && chmod 0 {place}/file"
        assert sandbox.exec(fill).ok
        assert number * 10 * MIB <= sandbox.disk_used() - before < (number * 10 + 1) * MIB, place
    held = sandbox.disk_used()
    program = """
import os, time
for place in "/tmp/gone", "/dev/shm/gone":
    file = open(place, "wb", buffering=0)
    os.unlink(place)
    file.write(bytes(10 << 20))
    os.dup(file.fileno())
print("held", flush=True)
time.sleep(4713)
"""
    assert sandbox.exec(["sh", "-c", '"$@" > /out 2>&1 &', "sh", *python(program)]).ok
    wait_until(lambda: sandbox.exec("cat /out").stdout == "held\n", "the files are written")
    assert 10 * MIB <= sandbox.disk_used() - held < 11 * MIB


@alone
def above_its_bound_on_disk_it_is_ended(scratch: Path) -> None:
    engine = LocalEngine(scratch / "state")
    sandbox = start(engine, storage_limit=100 * MIB)
    watch = DiskWatcher().watch(sandbox, 100 * MIB)
    try:
        fill = "head -c 300M /dev/zero > /var/tmp/file; exec sleep 600"
        refusal(lambda: sandbox.exec(fill, timeout=120), SandboxLost)
        wait_until(lambda: not sandbox.alive(), "the watcher has ended it")
        assert (watch.exceeded or 0) > 100 * MIB
        assert (sandbox.meter.counters().peak or 0) > 0
        assert sandbox.disk_used() > 100 * MIB
    finally:
        watch.stop()
        sandbox.close()
        engine.close()
    assert list((scratch / "state").iterdir()) == []


@in_sandbox
def what_is_enforced_is_what_was_asked(sandbox: LocalSandbox, scratch: Path) -> None:
    enforced = sandbox.enforced
    assert enforced.by == ("cgroup" if owns_a_cgroup() else "watchdog")
    assert enforced.memory_limit == 512 * MIB
    assert enforced.pids_limit == 256
    if enforced.by == "cgroup":
        assert enforced.memory_swap_limit in (512 * MIB, None)
        assert enforced.memory_reservation == 64 * MIB
        assert enforced.cpu_limit == 1.5
    else:
        assert enforced.memory_swap_limit is None
        assert enforced.cpu_limit is None


@alone
def without_network_there_is_no_network(scratch: Path) -> None:
    engine = LocalEngine(scratch / "state")
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect = f"import socket; socket.create_connection({server.getsockname()!r})"
        for network in (True, False):
            sandbox = start(engine, network=network)
            assert sandbox.exec(python(connect)).ok is network
            sandbox.close()


@alone
def closing_leaves_nothing(scratch: Path) -> None:
    engine = LocalEngine(scratch / "state")
    sandbox = start(engine)
    deep = "import os\nfor _ in range(1200): os.mkdir('d'); os.chdir('d')\nos.chmod('/deep/d', 0)"
    assert sandbox.exec(python(deep), workdir="/deep").ok
    assert sandbox.exec("mkdir shut && touch shut/in && chmod 0 shut", workdir="/deep").ok
    assert sandbox.exec("(sleep 4711 >/dev/null 2>&1 &)").ok
    [keeper] = keepers()
    groups = _cgroups(_sleeper(keeper).pid, scratch)
    inside = keeper.children(recursive=True)
    sandbox.close()
    sandbox.close()
    assert not sandbox.alive()
    assert not [process for process in inside if process.is_running()]
    wait_until(lambda: not keeper.is_running(), "the keeper is reaped")
    engine.close()
    assert psutil.Process().children() == []
    assert not [group for group in groups if group.exists()]
    assert list((scratch / "state").iterdir()) == []
    assert str(scratch) not in Path("/proc/self/mountinfo").read_text()
    assert refusal(lambda: sandbox.exec("true"), SandboxLost)
    assert sandbox.meter.counters().peak is not None
    assert sandbox.meter.sample() is None


def _sleeper(ancestor: psutil.Process) -> psutil.Process:
    """The one process below another that sleeps, once it has come so far."""

    def sleepers() -> list[psutil.Process]:
        return [one for one in ancestor.children(recursive=True) if one.name() == "sleep"]

    wait_until(lambda: bool(sleepers()), "the process it left sleeps")
    [found] = sleepers()
    return found


def _cgroups(pid: int, scratch: Path) -> list[Path]:
    """The directories that were noted for the sandbox; the process must really be in them."""
    [record] = (scratch / "state").glob("*/cgroups.json") if owns_a_cgroup() else [None]
    directories = [] if record is None else [Path(path) for path in json.loads(record.read_text())]
    for directory in directories:
        assert str(pid) in (directory / "cgroup.procs").read_text().split()
    return directories


@alone
def a_failed_start_leaves_nothing(scratch: Path) -> None:
    engine = LocalEngine(scratch / "state")
    steps = [("bind", "/here", "/no/such/file")]
    with mock.patch.object(rootfs, "plan", return_value=steps):
        told = refusal(lambda: start(engine), StartError)
    assert "bind /here" in told, told
    assert "No such file" in told, told
    assert list((scratch / "state").iterdir()) == []
    wait_until(lambda: keepers() == [], "the keeper has ended")


@in_sandbox
def without_its_keeper_a_sandbox_ends(sandbox: LocalSandbox, scratch: Path) -> None:
    assert sandbox.exec("(sleep 4711 >/dev/null 2>&1 &)").ok
    [keeper] = keepers()
    inside = keeper.children(recursive=True)
    assert len(inside) >= 2
    keeper.kill()
    wait_until(lambda: not sandbox.alive(), "the keeper's end is seen")
    wait_until(lambda: not any(process.is_running() for process in inside), "all have ended")
    assert refusal(lambda: sandbox.exec("true"), SandboxLost)


@alone
def a_dead_fork_server_is_replaced(scratch: Path) -> None:
    engine = LocalEngine(scratch / "state")
    early = start(engine)
    [server] = psutil.Process().children()
    server.kill()
    server.wait(PATIENCE)
    late = start(engine)
    for sandbox in (early, late):
        assert sandbox.exec("true").ok
        sandbox.close()
    engine.close()


@alone
def what_cannot_be_run_is_told(scratch: Path) -> None:
    engine = LocalEngine(scratch / "state")
    assert engine.unsupported(_task(host=True, user=None)) is None
    assert "no images" in (engine.unsupported(_task(host=False, user=None)) or "")
    other_user = engine.unsupported(_task(host=True, user="nobody"))
    assert other_user is None if os.geteuid() == 0 else "knows only root" in (other_user or "")
    assert engine.prepare("task", _task(host=True, user=None).environment, timeout=1.0) is None  # type: ignore[func-returns-value]


def _task(*, host: bool, user: str | None) -> Task:
    place = Path("/task")
    environment = Environment(
        image=None,
        dockerfile=None,
        context=None,
        build_timeout=1.0,
        env={},
        workdir=None,
        network=True,
        healthcheck=None,
        loose_files=None,
    )
    return Task(
        name="task",
        file=place / "task.toml",
        directory=place,
        instruction="",
        memory_guarantee=None,
        cpu_guarantee=None,
        storage_limit=None,
        environment=environment,
        agent_timeout=None,
        agent_user=user,
        verifier_timeout=1.0,
        verifier_env={},
        verifier_user=None,
        verifier_environment=None,
        tests=place / "tests",
        solution=None,
        solution_env={},
        host=host,
    )


@alone
def the_header_is_honest(scratch: Path) -> None:
    info = LocalEngine(scratch / "state").info
    assert info.name == "local"
    assert info.memory > 0
    assert info.cores > 0
    assert any("trusted agents only" in note for note in info.notes)
    assert any("bounded by polling" in note for note in info.notes)
    enforcement = "cgroup v" if owns_a_cgroup() else "watchdog"
    assert any(enforcement in note for note in info.notes), info.notes


def refused_namespaces_are_explained(scratch: Path) -> None:
    """Run where the kernel grants no further user namespace."""
    told = refusal(lambda: LocalEngine(scratch / "state"), EngineUnavailable)
    assert re.search(r"user\.max_user_namespaces = 0", told), told
    assert "Run as root" in told
    assert list((scratch / "state").iterdir()) == []


def hold(scratch: Path) -> None:
    """Start a sandbox, tell what belongs to it, and wait to be killed, which a fork outlives."""
    engine = LocalEngine(scratch / "state")
    sandbox = start(engine)
    assert sandbox.exec("(sleep 4711 >/dev/null 2>&1 &)").ok
    groups = _cgroups(_sleeper(psutil.Process()).pid, scratch)
    processes = psutil.Process().children(recursive=True)
    heir = os.fork()
    if heir:
        told = {
            "processes": [process.pid for process in processes],
            "cgroups": [str(group) for group in groups],
            "heir": heir,
        }
        print(json.dumps(told), flush=True)
    signal.pause()


def sweep(scratch: Path) -> None:
    """Make an engine where ``hold`` was killed: nothing may be left."""
    LocalEngine(scratch / "state")
    assert list((scratch / "state").iterdir()) == []


if __name__ == "__main__":
    programs = {**SCENARIOS, "hold": hold, "sweep": sweep}
    programs["refused_namespaces_are_explained"] = refused_namespaces_are_explained
    programs[sys.argv[1]](Path(sys.argv[2]))
