"""What is asked of the engine for one container: a pure translation of a request."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

from pytest_reseval.engines.base import SandboxRequest
from pytest_reseval.engines.docker import idle
from pytest_reseval.engines.docker.orphans import PREFIX
from pytest_reseval.engines.privileges import CAPABILITIES

CPU_PERIOD = 100_000
"""Microseconds; the kernel's default period."""

_SHARES_PER_CORE = 1024
_SMALLEST_SHARES = 2
_LARGEST_SHARES = 262_144
_SMALLEST_QUOTA = 1000
_LONGEST_NAME = 48


def container_name(request: SandboxRequest) -> str:
    """A name that people recognise in ``docker ps`` and that no other container has."""
    readable = re.sub(r"[^a-zA-Z0-9_.-]+", "-", request.name)[:_LONGEST_NAME].strip("-.")
    return f"reseval-{readable}-{secrets.token_hex(4)}"


def container_config(
    request: SandboxRequest,
    *,
    owner: Mapping[str, str],
    mark: str,
    host_memory: int,
    bounds_storage: bool,
    network: str | None = None,
) -> dict[str, object]:
    """The body of the create call (Docker Engine API, ContainerCreate).

    ``mark`` is what the first process says of itself, ``host_memory`` is in bytes, ``network`` is
    the one to join, None the engine's default. No log driver: what is written to the first
    process's output would fill the host's disk. The image's own health check is left to the task's.
    """
    resources = request.resources
    host: dict[str, object] = {
        "MemoryReservation": resources.memory_guarantee,
        "CpuShares": cpu_shares(resources.cpu_guarantee),
        "PidsLimit": resources.pids_limit,
        "OomScoreAdj": oom_score_adj(resources.memory_guarantee, host_memory),
        "CapDrop": ["ALL"],
        "CapAdd": list(CAPABILITIES),
        "SecurityOpt": ["no-new-privileges"],
        "LogConfig": {"Type": "none"},
        "Init": False,
    }
    if resources.memory_ceiling is not None:
        # Docker's default for memory and swap together is twice the memory.
        host |= {"Memory": resources.memory_ceiling, "MemorySwap": resources.memory_ceiling}
    if resources.cpu_limit is not None:
        # Not NanoCpus: Docker refuses that above the number of the host's cores.
        host |= {"CpuPeriod": CPU_PERIOD, "CpuQuota": cpu_quota(resources.cpu_limit)}
    if bounds_storage:
        host["StorageOpt"] = {"size": str(resources.storage_limit)}
    if not request.network:
        host["NetworkMode"] = "none"
    elif network is not None:
        host["NetworkMode"] = network
    config: dict[str, object] = {
        "Image": request.image,
        "Entrypoint": list(idle.COMMAND),
        "Cmd": [mark],
        "AttachStdin": True,
        "OpenStdin": True,
        "StdinOnce": True,
        "Env": [f"{name}={value}" for name, value in request.env.items()],
        "Labels": {PREFIX + key: value for key, value in request.labels.items()} | dict(owner),
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": host,
    }
    if request.workdir is not None:
        config["WorkingDir"] = request.workdir
    return config


def cpu_shares(cores: float) -> int:
    """v1 cpu.shares for a guarantee in cores; the engine turns them into v2 cpu.weight."""
    return min(max(round(cores * _SHARES_PER_CORE), _SMALLEST_SHARES), _LARGEST_SHARES)


def cpu_quota(cores: float) -> int:
    """Microseconds of CPU time per CPU_PERIOD; the kernel takes no less than 1000."""
    return max(round(cores * CPU_PERIOD), _SMALLEST_QUOTA)


def oom_score_adj(guarantee: int, host_memory: int) -> int:
    """The kubelet's formula for burstable pods: the larger the guarantee, the later to be killed.

    Kubernetes, "Node-pressure Eviction", node out of memory behaviour: 1000 - 1000 x
    guarantee / host memory, at least 2 and at most 999.
    """
    return min(max(1000 - 1000 * guarantee // host_memory, 2), 999)
