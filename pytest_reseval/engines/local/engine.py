"""The local engine: what it offers on this machine, and how it puts a sandbox together."""

from __future__ import annotations

import os
import platform
import re
from contextlib import ExitStack, suppress
from pathlib import Path

from pytest_reseval.cgroups import control
from pytest_reseval.cgroups.control import Cgroup, CgroupError, Home
from pytest_reseval.cgroups.locate import host_version, own_cpu_ceiling, own_memory_ceiling
from pytest_reseval.cgroups.meter import Meter
from pytest_reseval.engines.base import (
    Enforced,
    EngineInfo,
    EngineLost,
    EngineUnavailable,
    SandboxRequest,
    StartError,
)
from pytest_reseval.engines.local import processes, rootfs, state
from pytest_reseval.engines.local.client import KeeperClient, StartRequest
from pytest_reseval.engines.local.forkserver import ForkServer, KeeperFailed
from pytest_reseval.engines.local.janitor import CGROUP_PREFIX, LocalJanitor
from pytest_reseval.engines.local.sandbox import LocalSandbox
from pytest_reseval.engines.local.watchdog import Watchdog
from pytest_reseval.janitor import sweep
from pytest_reseval.resources import GIB, SMALLEST_LIMIT, Resources
from pytest_reseval.tasks.model import Environment, Task

_CAP_SYS_ADMIN = 21

_ALL_IDS = ["0", "0", "4294967295"]
"""What /proc/self/uid_map says in the first user namespace; user_namespaces(7)."""

_SYSCTLS = (
    "user.max_user_namespaces",
    "kernel.unprivileged_userns_clone",
    "kernel.apparmor_restrict_unprivileged_userns",
)

_NPROC_PER_NAMESPACE = (5, 14)
"""The kernel from which RLIMIT_NPROC counts the processes of a user namespace by themselves."""

_TRUST = (
    "isolation is for trusted agents only: tasks run on this host's kernel, can read what this "
    "user can read, and have its network unless the task forbids it"
)


class LocalEngine:
    """Sandboxes made of this host's own system, for tasks that say they need nothing else.

    With CAP_SYS_ADMIN namespaces are made directly, else in a user namespace, in which only root
    exists. Limits are a cgroup's where one can be written, else a watchdog's.
    """

    def __init__(self, directory: Path | None = None) -> None:
        """Try out what this machine allows, and remove what dead owners left.

        ``directory`` is where sandboxes keep what is written in them; it has to be on a disk.
        Raises EngineUnavailable.
        """
        self._privileged = _may_make_namespaces()
        self._fork_server = ForkServer()
        mounts = _mounts()
        try:
            self._directory = directory or state.choose_directory(mounts)
            state.prepare_directory(self._directory)
            self._memory = own_memory_ceiling()
        except (OSError, ValueError, state.StateError) as error:
            raise EngineUnavailable(str(error)) from error
        self._home: Home | None = None
        self._open: dict[Path, Cgroup | None] = {}
        try:
            self._home = control.find_home()
            self._try_out()
            enforcement = f"limits are enforced by cgroup v{self._home.version}"
        except (OSError, CgroupError) as error:
            self._home = None
            self._try_out()
            enforcement = (
                f"no cgroup can be used ({error}): a watchdog polls memory, and CPU is not limited"
            )
        self.info = EngineInfo(
            name="local",
            version=platform.release(),
            cgroup_version=host_version(),
            storage_driver=f"overlay on {rootfs.filesystem(self._directory, mounts)}",
            memory=self._memory,
            cores=own_cpu_ceiling(),
            needs_image=False,
            notes=(_TRUST, enforcement, "disk use is bounded by polling"),
        )
        self.sweep()

    def _try_out(self) -> None:
        """Start and end one small sandbox. Raises CgroupError and EngineUnavailable."""
        resources = Resources(
            SMALLEST_LIMIT, SMALLEST_LIMIT, 1.0, 1.0, pids_limit=64, storage_limit=GIB
        )
        try:
            self._start(SandboxRequest("preflight", None, resources)).close()
        except (OSError, KeeperFailed) as error:
            self._fork_server.close()
            raise _namespaces_refused(error) from error

    def unsupported(self, task: Task) -> str | None:
        """Why this engine cannot run this task; None when it can."""
        if not task.host:
            return (
                "the local engine has no images; it runs only tasks whose file says that the "
                "host's own system is enough ([metadata] reseval.host = true)"
            )
        users = {task.agent_user, task.verifier_user} - {None, "root", "0"}
        if users and not self._privileged:
            return (
                f"user {', '.join(sorted(map(str, users)))} does not exist in a sandbox of an "
                "ordinary user, which knows only root; run as root"
            )
        return None

    def prepare(self, name: str, environment: Environment, *, timeout: float | None) -> None:
        """Nothing: there are no images."""

    def join_network(self, run: str, name: str | None = None) -> None:
        """Nothing: sandboxes have the host's network, and a note says so."""

    def start(self, request: SandboxRequest) -> LocalSandbox:
        """Make one sandbox and read back what is enforced. Raises StartError."""
        try:
            return self._start(request)
        except (OSError, CgroupError, KeeperFailed) as error:
            raise StartError(f"sandbox {request.name!r} could not be started: {error}") from error

    def _start(self, request: SandboxRequest) -> LocalSandbox:
        with ExitStack() as undo:
            private = state.new_private_directory(self._directory)
            cgroup = None
            if self._home is not None:
                cgroup = Cgroup(self._home, f"{CGROUP_PREFIX}{private.name}")
            self._open[private] = cgroup
            undo.callback(self._remove, private, cgroup)
            state.record_labels(private, request.labels)
            if cgroup is not None:
                state.record_cgroups(private, cgroup.directories)
                cgroup.create(request.resources)
            keeper = self._start_keeper(request, private, cgroup)
            undo.callback(keeper.close)
            meter = self._meter(keeper, cgroup, request.resources)
            undo.callback(meter.close)
            sandbox = LocalSandbox(
                keeper,
                enforced=self._enforced(cgroup, request.resources),
                meter=meter,
                env=request.env,
                workdir=request.workdir,
                private=private,
                remove=lambda: self._remove(private, cgroup),
            )
            undo.pop_all()
        return sandbox

    def _start_keeper(
        self, request: SandboxRequest, private: Path, cgroup: Cgroup | None
    ) -> KeeperClient:
        root = private / "root"
        root.mkdir(mode=0o755)
        return KeeperClient(
            self._fork_server,
            StartRequest(
                name=re.sub("[^A-Za-z0-9-]", "-", request.name)[:63] or "sandbox",
                root=root,
                steps=rootfs.plan(
                    private, _mounts(), privileged=self._privileged, hidden=request.hidden
                ),
                network=request.network,
                cgroup=cgroup.procs_files if cgroup else [],
                oom_score_adj=oom_score_adj(request.resources.memory_guarantee, self._memory),
                processes=self._process_bound(cgroup, request.resources),
                ids=None if self._privileged else (os.geteuid(), os.getegid()),
            ),
        )

    def _process_bound(self, cgroup: Cgroup | None, resources: Resources) -> int | None:
        """The bound for RLIMIT_NPROC where it stands in for a cgroup's; it never binds real root.

        Beside the sandbox's processes it counts the keeper and the first process.
        """
        release = tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2])
        if cgroup is not None or self._privileged or release < _NPROC_PER_NAMESPACE:
            return None
        return resources.pids_limit + 2

    @staticmethod
    def _meter(keeper: KeeperClient, cgroup: Cgroup | None, resources: Resources) -> Meter:
        if cgroup is not None:
            return cgroup.meter()
        root = processes.find(keeper.pid)
        if root is None:
            raise KeeperFailed("the keeper ended as soon as it was ready")
        shm = os.open(f"/proc/{keeper.first_process}/root/dev/shm", os.O_RDONLY | os.O_DIRECTORY)
        return Watchdog(root, keeper.first_process, shm, resources.memory_ceiling)

    def _enforced(self, cgroup: Cgroup | None, resources: Resources) -> Enforced:
        if cgroup is None:
            bounded = self._process_bound(cgroup, resources) is not None
            return Enforced(
                by="watchdog",
                memory_limit=resources.memory_ceiling,
                memory_swap_limit=None,
                cpu_limit=None,
                cpu_weight=None,
                pids_limit=resources.pids_limit if bounded else None,
                storage_limit=resources.storage_limit,
                storage_by="polled",
            )
        limits = cgroup.limits()
        return Enforced(
            by="cgroup",
            memory_limit=limits.memory_limit,
            memory_swap_limit=limits.memory_swap_limit,
            cpu_limit=limits.cpu_limit,
            cpu_weight=limits.cpu_weight,
            pids_limit=limits.pids_limit,
            storage_limit=resources.storage_limit,
            storage_by="polled",
            memory_reservation=limits.memory_reservation,
        )

    def _remove(self, private: Path, cgroup: Cgroup | None) -> None:
        """Remove the cgroup, then the directory that would tell a later sweep of it."""
        try:
            if cgroup is not None:
                cgroup.remove()
            state.remove(private)
        except (OSError, CgroupError) as error:
            raise EngineLost(f"a sandbox could not be removed: {error}") from error
        self._open.pop(private, None)

    def sweep(self) -> list[str]:
        """Remove directories and cgroups of dead owners and answer their names.

        What cannot be removed, or is being removed by somebody else, is left to the next sweep.
        """
        return sweep(LocalJanitor(self._directory))

    def close(self) -> None:
        """See ``Engine.close``."""
        for private, cgroup in tuple(self._open.items()):
            with suppress(EngineLost):
                self._remove(private, cgroup)
        self._fork_server.close()


def oom_score_adj(guarantee: int, memory: int) -> int:
    """The kubelet's formula for a sandbox promised ``guarantee`` of ``memory`` bytes.

    When the host runs out, whoever is beyond its guarantee by most scores highest and dies first.
    """
    return min(max(2, 1000 - 1000 * guarantee // memory), 999)


def _mounts() -> dict[str, str]:
    return rootfs.mountpoints(Path("/proc/self/mountinfo").read_text())


def _may_make_namespaces() -> bool:
    """True with CAP_SYS_ADMIN in the first user namespace: it means little in any other."""
    status = Path("/proc/self/status").read_text()
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    capable = effective is not None and bool(int(effective[1], 16) >> _CAP_SYS_ADMIN & 1)
    return capable and Path("/proc/self/uid_map").read_text().split() == _ALL_IDS


def _namespaces_refused(error: Exception) -> EngineUnavailable:
    values = []
    for name in _SYSCTLS:
        file = Path("/proc/sys") / name.replace(".", "/")
        if file.exists():
            values.append(f"{name} = {file.read_text().strip()}")
    return EngineUnavailable(
        f"this machine refuses the namespaces or mounts of a sandbox: {error}",
        "Run as root (CAP_SYS_ADMIN), or allow user namespaces to ordinary users "
        f"({', '.join(values)}); in a container its runtime may forbid them (--privileged, or a "
        "seccomp profile that allows unshare and mount)",
    )
