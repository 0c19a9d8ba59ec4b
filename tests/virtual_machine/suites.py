"""What runs in the guest: tests, as whom, and against which engine."""

from __future__ import annotations

from dataclasses import dataclass

USER = "evaluator"
"""The guest's ordinary user, who has a session of its own since boot."""

RUNTIME_DIRECTORY = "/run/user/1000"
"""That user's XDG_RUNTIME_DIR."""


@dataclass(frozen=True, slots=True)
class Suite:
    """One run of pytest in the guest."""

    name: str
    tests: tuple[str, ...]
    """Arguments that select tests; those of the command line come instead."""
    require: str
    """Markers whose tests must not be skipped."""
    socket: str | None = None
    """Path of the Docker API's socket, where the suite has one."""
    delegated: bool = False
    """As the ordinary user in a delegated scope, instead of as root."""


_V2 = "tests/system/test_cgroup_v2_kernel.py"
_CONTAINERS = (
    "tests/engines/test_docker.py",
    "tests/engines/test_conformance.py",
    "-k",
    "not local",
)

SUITES = (
    Suite("kernel", ("tests/unit/cgroups", _V2), "root cgroup_v2"),
    Suite(
        "local",
        ("tests/engines/test_local.py", "tests/engines/test_conformance.py", "-k", "not docker"),
        "root",
    ),
    Suite("docker", _CONTAINERS, "docker root", socket="/run/docker.sock"),
    Suite("podman", _CONTAINERS, "docker root", socket="/run/podman/podman.sock"),
    Suite(
        "delegated",
        ("tests/system/test_cgroup_v2_delegated.py", _V2, "tests/engines/test_local.py"),
        "delegated cgroup_v2",
        delegated=True,
    ),
    Suite(
        "podman-rootless",
        _CONTAINERS,
        "docker",
        socket=f"{RUNTIME_DIRECTORY}/podman/podman.sock",
        delegated=True,
    ),
)
"""In the order in which they run."""
