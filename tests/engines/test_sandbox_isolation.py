"""What an agent that is root in its sandbox cannot do; see docs/security.md."""

from __future__ import annotations

import socket
import uuid
from contextlib import ExitStack
from pathlib import Path

import pytest

from pytest_reseval.engines.base import Engine, Sandbox
from pytest_reseval.engines.privileges import CAPABILITIES
from pytest_reseval.resources import MIB
from tests.engines.conftest import Start


def status_of(sandbox: Sandbox, user: str | None = None) -> dict[str, str]:
    lines = sandbox.exec("cat /proc/self/status", user=user).stdout.splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_root_holds_the_capabilities_that_tasks_need_and_no_others(sandbox: Sandbox) -> None:
    kept = sum(1 << number for number in CAPABILITIES.values())
    status = status_of(sandbox)
    for kind in ("CapEff", "CapPrm", "CapBnd"):
        assert int(status[kind], 16) == kept, kind


def test_no_program_gives_privileges(sandbox: Sandbox) -> None:
    assert status_of(sandbox)["NoNewPrivs"] == "1"
    sandbox.exec("cp /usr/bin/id /usr/local/bin/rooted && chmod 4755 /usr/local/bin/rooted")
    told = sandbox.exec(["/usr/local/bin/rooted", "-u"], user="65534")
    assert told.stdout == "65534\n"


@pytest.mark.parametrize(
    "attempt",
    [
        "mount -t tmpfs none /mnt",
        "mount -o remount,rw /proc/sys",
        "umount /proc",
        "mknod /dev/disk b 254 0 && head -c 1 /dev/disk",
        "echo 1 > /proc/sys/kernel/panic",
        "echo h > /proc/sysrq-trigger",
        "echo > /proc/1/oom_score_adj && echo 1000 > /proc/1/oom_score_adj",
        "head -c 1 /proc/kcore",
        "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)'",
        "python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)'",
        "nsenter -t 1 -m true",
        "date -s 2001-01-01",
        "hostname elsewhere",
        "find /sys/fs/cgroup -name memory.limit_in_bytes -o -name memory.max | "
        "while read file; do echo 99999999999 > $file && exit 0; done; exit 1",
    ],
)
def test_refused(sandbox: Sandbox, attempt: str) -> None:
    assert not sandbox.exec(attempt).ok


def test_a_limit_cannot_be_raised_from_inside(start: Start) -> None:
    sandbox = start(memory_limit=64 * MIB)
    sandbox.exec(
        "for f in $(find /sys/fs/cgroup /proc/self -name '*limit*' -o -name '*max' "
        "2>/dev/null); do echo 9999999999 > $f; done"
    )
    sandbox.exec("python3 -c 'b = bytearray(128 << 20)'")
    assert sandbox.meter.counters().oom_kill == 1


CONNECT = """
import socket, sys
for path in sys.stdin.read().splitlines():
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
        print("reached", path)
    except OSError as error:
        print("refused", path)
"""


def test_no_socket_of_the_host_can_be_reached(sandbox: Sandbox) -> None:
    """Neither an engine's nor any other; those on the host's disk are seen on the local engine."""
    name = f"reseval-{uuid.uuid4().hex}.sock"
    places = [Path("/run", name), Path("/var/tmp", name)]
    with ExitStack() as opened:
        for place in places:
            listening = opened.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(str(place))
            opened.callback(place.unlink)
            listening.listen()
        tried = sandbox.exec(
            f"find / -path /proc -prune -o -type s -print | python3 -c '{CONNECT}'", timeout=60
        )
    print(tried.stdout, tried.stderr)
    assert tried.exit_code == 0
    assert "reached" not in tried.stdout
    assert "/run/" not in tried.stdout


def test_nothing_of_the_host_can_be_written(sandbox: Sandbox, tmp_path: Path) -> None:
    """Writes to every directory that can be found inside, then looks for them outside."""
    name = f"reseval-{tmp_path.name}"
    written = sandbox.exec(
        f'find / -xdev -maxdepth 3 -type d -exec sh -c \'echo x > "$1/{name}" && echo "$1"\' '
        "sh {} \\; 2>/dev/null",
        timeout=60,
    ).stdout.split("\n")
    assert "/etc" in written
    for directory in filter(None, written):
        assert not Path(directory, name).exists(), directory


def test_every_mount_is_the_sandbox_s_own(sandbox: Sandbox, engine: Engine) -> None:
    allowed = {"overlay", "proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"}
    files = {"/etc/resolv.conf", "/etc/hostname", "/etc/hosts"}
    devices = {f"/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty")}
    for line in sandbox.exec("cat /proc/self/mountinfo").stdout.splitlines():
        source, place, options = line.split()[3:6]
        kind = line.partition(" - ")[2].split()[0]
        if place in files or kind in allowed - {"cgroup", "cgroup2", "sysfs"}:
            continue
        if kind == "devtmpfs" and source in devices:
            continue
        assert kind in allowed, line
        assert options.startswith("ro"), line


def test_processes_of_others_cannot_be_seen(sandbox: Sandbox, start: Start, mark: str) -> None:
    neighbour = start()
    neighbour.exec(f"sleep {mark} > /dev/null 2>&1 &")
    assert sandbox.exec(f"grep -als {mark[:-1]}[{mark[-1]}] /proc/[0-9]*/cmdline").stdout == ""


def test_directories_that_are_to_be_hidden_are(
    start: Start, engine: Engine, request: pytest.FixtureRequest
) -> None:
    home = Path("/var/tmp") / f"reseval-{request.node.name}"
    secret = home / "task" / "tests" / "secret"
    secret.parent.mkdir(parents=True)
    secret.write_text("42")
    try:
        shown = start(hidden=())
        hiding = start(hidden=(home / "task",))
        assert shown.exec(["test", "-e", str(secret)]).ok is (engine.info.name == "local")
        assert not hiding.exec(["test", "-e", str(secret)]).ok
        assert not hiding.exec(f"umount {home}/task || echo x > {home}/task/x").ok
    finally:
        secret.unlink()
        for directory in (home / "task" / "tests", home / "task", home):
            directory.rmdir()
