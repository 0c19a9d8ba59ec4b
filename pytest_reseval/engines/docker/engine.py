"""The Docker engine: images and containers behind any Docker API on this machine's kernel."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import PurePosixPath
from typing import Any, Protocol

import psutil
import requests
from docker.errors import APIError

from pytest_reseval.cgroups.locate import locate, open_meter, read_limits
from pytest_reseval.engines.base import (
    Enforced,
    EngineInfo,
    EngineLost,
    EngineUnavailable,
    SandboxRequest,
    StartError,
)
from pytest_reseval.engines.docker import forgotten, images, orphans
from pytest_reseval.engines.docker.client import (
    Client,
    address,
    engine_answers,
    reason,
)
from pytest_reseval.engines.docker.config import container_config, container_name
from pytest_reseval.engines.docker.disk import ContainerDisk
from pytest_reseval.engines.docker.janitor import DockerJanitor
from pytest_reseval.engines.docker.network import CannotSeparate, Networks, is_missing
from pytest_reseval.engines.docker.processes import ProcessHandle
from pytest_reseval.engines.docker.sandbox import DockerSandbox
from pytest_reseval.janitor import sweep
from pytest_reseval.tasks.model import Environment, Task

_CONTROLLERS = {
    "MemoryLimit": "memory limits",
    "SwapLimit": "swap limits",
    "CpuCfsQuota": "CPU limits",
    "CPUShares": "CPU shares",
    "PidsLimit": "pids limits",
}


class DockerEngine:
    """Containers behind the Docker API at DOCKER_HOST; see ``Engine``.

    The engine must run on this machine's kernel: limits are read back, memory is measured and
    commands are killed through the kernel's own files and calls, never on the engine's word.
    """

    def __init__(self) -> None:
        """Raises EngineUnavailable with the address that was tried and the reason."""
        self._client = Client.connect()
        try:
            told, version = self._client.info(), self._client.version()
        except (APIError, requests.RequestException) as error:
            raise EngineUnavailable(
                f"the Docker API at {address()} does not describe itself: {error}"
            ) from error
        if told["KernelVersion"] != os.uname().release:
            raise EngineUnavailable(
                f"the engine at {address()} runs on another kernel ({told['KernelVersion']}), as "
                "remote engines and Docker Desktop do; limits could be neither verified nor "
                "measured",
                "Run this on the engine's own machine",
            )
        self._bounds_storage = can_bound_storage(told, psutil.disk_partitions(all=True))
        self._owner = orphans.owner_labels(orphans.Place.here())
        self._started: set[str] = set()
        """Names of containers, from before the engine was asked for them."""
        self._created: set[str] = set()
        """Their ids, as far as it answered."""
        self._broken_off: set[str] = set()
        """Those whose start failed, of which something may be left once the engine is back."""
        self._networks = Networks(self._client, self._owner)
        self._run = ""
        self._network: str | None = None
        self.info = engine_info(told, version, bounds_storage=self._bounds_storage)

    def unsupported(self, task: Task) -> str | None:
        """See ``Engine.unsupported``."""
        if task.unsupported is not None:
            return task.unsupported
        if task.environment.image is None and task.environment.dockerfile is None:
            return "the task has neither an image nor a Dockerfile"
        return None

    def prepare(self, name: str, environment: Environment, *, timeout: float | None) -> str:
        """See ``Engine.prepare``; ``timeout`` is for the whole pull or build."""
        deadline = images.Deadline(timeout)
        if environment.image is not None:
            images.pull(self._client, environment.image, deadline)
            return environment.image
        return images.build(self._client, name, environment, deadline)

    def join_network(self, run: str, name: str | None = None) -> str | None:
        """See ``Engine.join_network``."""
        self._run, self._network = run, name
        if name is None:
            try:
                self._network = self._networks.make(run)
            except CannotSeparate as error:
                note = f"sandboxes can reach each other: the run has no network of its own: {error}"
                self.info = replace(self.info, notes=(*self.info.notes, note))
        return self._network

    def start(self, request: SandboxRequest) -> DockerSandbox:
        """See ``Engine.start``.

        Keys of ``request.labels`` appear below ``org.pytest-reseval.``, beside those of the owner.
        A network that somebody removed is replaced by one of this process's own.
        """
        try:
            return self._create_and_start(request)
        except StartError as error:
            if not is_missing(self._network, error.__cause__):
                raise
            try:
                self._network = self._networks.make(self._run)
            except CannotSeparate as cannot:
                raise StartError(f"{error}; no other can be made: {cannot}") from cannot
        return self._create_and_start(request)

    def _create_and_start(self, request: SandboxRequest) -> DockerSandbox:
        container_id = self._create(request)
        try:
            sandbox = self._start(container_id, request)
        except BaseException:
            self._broken_off.add(container_id)
            with suppress(APIError, EngineLost), engine_answers("removing a sandbox"):
                orphans.remove_container(self._client, container_id)
            raise
        if self._broken_off:
            forgotten.end_processes_of(self._broken_off)
            self._broken_off.clear()
        return sandbox

    def sweep(self) -> list[str]:
        """Remove what dead runs of this host left behind; answers the names. Raises EngineLost."""
        return sweep(DockerJanitor(self._client))

    def close(self) -> None:
        """See ``Engine.close``."""
        if self._started:
            with suppress(APIError, EngineLost), engine_answers("removing the last sandboxes"):
                self._remove_started()
            forgotten.end_processes_of(self._created)
            self._started.clear()
            self._created.clear()
        self._networks.remove()
        self._client.close()

    def _remove_started(self) -> None:
        """Remove what is left where a start or a removal was broken off."""
        ours = {"label": [f"{name}={value}" for name, value in self._owner.items()]}
        for container in self._client.containers(all=True, filters=ours):
            if container["Names"][0].lstrip("/") in self._started:
                orphans.remove_container(self._client, container["Id"])

    def _create(self, request: SandboxRequest) -> str:
        name = container_name(request)
        self._started.add(name)
        config = container_config(
            request,
            owner=self._owner,
            mark=str(orphans.mark_of(self._owner, name)),
            host_memory=self.info.memory,
            bounds_storage=self._bounds_storage,
            network=self._network,
        )
        try:
            with engine_answers("creating a sandbox"):
                created = self._client.create_container_from_config(  # type: ignore[no-untyped-call]
                    config, name
                )
        except APIError as error:
            raise StartError(
                f"sandbox {request.name} cannot be created: {reason(error)}"
            ) from error
        container_id = str(created["Id"])
        self._created.add(container_id)
        return container_id

    def _start(self, container_id: str, request: SandboxRequest) -> DockerSandbox:
        with ExitStack() as opened:
            try:
                with engine_answers("starting a sandbox"):
                    stdin = self._client.hijack(
                        f"/containers/{container_id}/attach", params={"stream": "1", "stdin": "1"}
                    )
                    opened.callback(stdin.close)
                    self._client.start(container_id)
                    told = self._client.inspect_container(container_id)
            except APIError as error:
                raise StartError(
                    f"sandbox {request.name} cannot be started: {reason(error)}"
                ) from error
            first_process = _first_process(request, told["State"])
            opened.callback(first_process.close)
            place = locate(first_process.pid, name=container_id)
            limits = read_limits(first_process.pid, name=container_id)
            meter = open_meter(first_process.pid, name=container_id)
            if place is None or limits is None or meter is None:
                raise _not_ours(request, first_process)
            opened.callback(meter.close)
            first_process.shield_from_oom()
            enforced = Enforced(
                by="cgroup",
                storage_limit=request.resources.storage_limit,
                storage_by="quota" if self._bounds_storage else "polled",
                **asdict(limits),
            )
            disk = ContainerDisk.of(self._client, told, place)
            sandbox = DockerSandbox(
                self._client, container_id, stdin, first_process, enforced, meter, disk
            )
            opened.pop_all()
            return sandbox


class Mount(Protocol):
    """What psutil tells of a mounted file system."""

    @property
    def mountpoint(self) -> str:
        """Where it is mounted."""

    @property
    def fstype(self) -> str:
        """Its type, such as ``xfs``."""

    @property
    def opts(self) -> str:
        """Its mount options, separated by commas."""


def can_bound_storage(told: Mapping[str, Any], mounts: Iterable[Mount]) -> bool:
    """True when the storage driver of an ``/info`` answer bounds a container's disk use.

    Docker, "docker run": ``--storage-opt size`` works with btrfs and zfs, and with overlay2 on XFS
    that is mounted with pquota. ``mounts`` are those of this machine.
    """
    if told["Driver"] != "overlay2":
        return told["Driver"] in ("btrfs", "zfs")
    root = PurePosixPath(told["DockerRootDir"])
    above = [mount for mount in mounts if root.is_relative_to(mount.mountpoint)]
    nearest = max(above, key=lambda mount: len(mount.mountpoint), default=None)
    if nearest is None or nearest.fstype != "xfs":
        return False
    return not {"pquota", "prjquota"}.isdisjoint(nearest.opts.split(","))


def engine_info(
    told: Mapping[str, Any], version: Mapping[str, Any], *, bounds_storage: bool
) -> EngineInfo:
    """What ``/info`` and ``/version`` say, in the words of ``EngineInfo``."""
    components = version.get("Components") or [{"Name": "Engine"}]
    component = components[0]["Name"]
    notes = []
    missing = [what for key, what in _CONTROLLERS.items() if told.get(key) is False]
    if missing and not _looks_for_v1(component, told):
        notes.append(f"the engine cannot enforce {', '.join(missing)}")
    if not bounds_storage:
        notes.append(
            f"disk use is bounded by polling: storage driver {told['Driver']} has no quota here"
        )
    if any("rootless" in option for option in told.get("SecurityOptions") or ()):
        notes.append("the engine is rootless: only delegated controllers are enforced")
    cgroup_version = told.get("CgroupVersion")
    return EngineInfo(
        name="docker",
        version=f"{component} {version['Version']} (API {version['ApiVersion']})",
        cgroup_version=int(cgroup_version) if cgroup_version else None,
        storage_driver=told["Driver"],
        memory=told["MemTotal"],
        cores=float(told["NCPU"]),
        needs_image=True,
        notes=tuple(notes),
    )


def _looks_for_v1(component: str, told: Mapping[str, Any]) -> bool:
    """True for Podman on v2, which looks for files of v1 and so denies limits that it enforces."""
    return component.startswith("Podman") and told.get("CgroupVersion") == "2"


def _first_process(request: SandboxRequest, state: Mapping[str, Any]) -> ProcessHandle:
    pid = state["Pid"]
    with suppress(ProcessLookupError):
        if state["Running"] and pid:
            return ProcessHandle(pid)
    raise StartError(
        f"sandbox {request.name} ended at once with exit code {state['ExitCode']}"
        f" {state['Error']}; the image must hold a POSIX sh"
    )


def _not_ours(request: SandboxRequest, first_process: ProcessHandle) -> Exception:
    if first_process.ended():
        return StartError(f"sandbox {request.name} ended at once; the image must hold a POSIX sh")
    return EngineUnavailable(
        f"the engine at {address()} runs on this kernel, but its containers' processes and cgroups "
        "cannot be seen from here, so limits could be neither verified nor measured",
        "Run this outside of a container, or in one with the host's pid and cgroup namespaces",
    )
