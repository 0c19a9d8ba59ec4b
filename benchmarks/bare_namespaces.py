"""The least that util-linux can do for one trial: namespaces, an overlay over ``/``, a cgroup.

A root directory is made by ``unshare`` and ``mount``, commands are run by ``nsenter``, files are
copied through ``/proc/PID/root``. Nothing is measured, verified, recorded, hidden or admitted, and
nothing survives an error. Needs root, and disk (not tmpfs or an overlay) below ``folder``.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from pytest_reseval.cgroups.control import Cgroup, find_home
from pytest_reseval.plans import TrialPlan

_IDLE = """\
for procs in $CGROUPS; do echo 0 > "$procs"; done
cd "$1"
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
mount -t proc proc root/proc
mount -t tmpfs tmpfs root/tmp
exec chroot root sh -c 'echo ready; read -r _'
"""
_ENTER = """\
for procs in $CGROUPS; do echo 0 > "$procs"; done
exec nsenter --target "$0" --mount --pid --ipc --uts --root --wd=/ -- "$@"
"""
_CLEAR = ["sh", "-c", "rm -rf /tests /logs/verifier; mkdir -p -m 777 /logs/verifier"]


def bare_namespaces(plan: TrialPlan, folder: Path) -> Callable[[], None]:
    """A function that runs the trial of ``plan`` by plain commands; RuntimeError unless solved."""
    task = plan.task
    assert task is not None
    assert task.solution is not None
    solution, tests, home = task.solution, task.tests, find_home()

    def run() -> None:
        private = folder / secrets.token_hex(4)
        for name in ("upper", "work", "root"):
            (private / name).mkdir(parents=True)
        cgroup = Cgroup(home, f"benchmark-{private.name}")
        cgroup.create(plan.resources)
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "CGROUPS": " ".join(map(str, cgroup.procs_files)),
        }
        namespaces = ["--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
        first = subprocess.Popen(
            ["unshare", *namespaces, "sh", "-c", _IDLE, "sh", private],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        stdin, stdout = cast(IO[bytes], first.stdin), cast(IO[bytes], first.stdout)
        if stdout.readline() != b"ready\n":
            raise RuntimeError("the bare sandbox did not start")
        pid = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().strip()

        def execute(*command: str) -> None:
            enter = ["sh", "-c", _ENTER, pid, *command]
            subprocess.run(enter, env=environment, capture_output=True, check=True)

        inside = Path(f"/proc/{pid}/root")
        for name in ("agent", "verifier", "artifacts"):
            (inside / "logs" / name).mkdir(parents=True)
        shutil.copytree(solution, inside / "solution")
        execute("/solution/solve.sh")
        execute(*_CLEAR)
        shutil.copytree(tests, inside / "tests")
        execute("/tests/test.sh")
        if float((inside / "logs/verifier/reward.txt").read_text()) != 1:
            raise RuntimeError("the bare trial was not solved")
        stdin.close()
        stdout.close()
        first.wait()
        cgroup.remove()
        shutil.rmtree(private)

    return run
