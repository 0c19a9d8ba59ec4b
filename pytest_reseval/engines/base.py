"""What every engine offers: a Protocol for engines, one for sandboxes, and the errors they raise.

Sizes are bytes, times seconds, CPU cores. An engine module imports its client library only when the
engine is constructed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from pytest_reseval.cgroups.meter import Meter
from pytest_reseval.resources import Resources
from pytest_reseval.tasks.model import Environment, Task

CANNOT_RUN = 126
"""Exit code of a command that could not be started, as for a user who does not exist."""

OUTPUT_LIMIT = 1024 * 1024
"""Bytes kept of each output stream of an exec; the rest is read, counted and dropped."""


class EngineError(Exception):
    """Something that is not the agent's doing kept a sandbox from being had or used.

    ``cause`` is the cause code of the outcome table.
    """

    cause: str = "engine-lost"


class EngineUnavailable(EngineError):
    """The engine cannot be used on this machine; the message says why and what would help.

    ``reason`` alone is for those who take another engine.
    """

    def __init__(self, reason: str, mend: str = "") -> None:
        self.reason = reason
        super().__init__(f"{reason}. {mend}" if mend else reason)


class ImageBuildError(EngineError):
    """The task's Dockerfile failed, or its build took longer than the task allows."""

    cause = "image-build"


class ImagePullError(EngineError):
    """A prebuilt image is neither present nor can be pulled."""

    cause = "image-pull"


class StartError(EngineError):
    """The sandbox could not be created or started."""

    cause = "start"


class EngineLost(EngineError):
    """The engine stopped answering."""

    cause = "engine-lost"


class SandboxLost(EngineError):
    """The sandbox ended without our doing."""

    cause = "sandbox-lost"


class SandboxEnded(EngineError):
    """What ran in the sandbox ended it: the agent's doing, and no excuse."""

    cause = "agent-error"


class SandboxFileError(Exception):
    """A file in the sandbox that is missing, too large, or not a regular file.

    It is the agent's or the verifier's doing, so never an infra verdict by itself.
    """


class SandboxFileMissing(SandboxFileError):
    """There is nothing at that path in the sandbox."""


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How one command in a sandbox ended.

    ``exit_code`` is None when the command was killed at its timeout. A command that died of signal
    N has exit code 128 + N. ``stdout`` and ``stderr`` hold at most OUTPUT_LIMIT bytes each, decoded
    with replacement; ``truncated`` counts the bytes that were dropped.
    """

    exit_code: int | None
    stdout: str
    stderr: str
    seconds: float
    timed_out: bool = False
    truncated: int = 0

    @property
    def ok(self) -> bool:
        """True when the command ended by itself with exit code 0."""
        return self.exit_code == 0


@dataclass(frozen=True, slots=True)
class Enforced:
    """What the kernel says it enforces, read back after start. None: no limit, or not readable.

    ``by`` is "cgroup" when figures come from the kernel's files, "watchdog" when a polling process
    stands in for the kernel.
    """

    by: Literal["cgroup", "watchdog"]
    memory_limit: int | None
    memory_swap_limit: int | None
    """Memory plus swap together; equal to memory_limit when swap is off for the sandbox."""
    cpu_limit: float | None
    cpu_weight: int | None
    """v1 cpu.shares or v2 cpu.weight, as the kernel shows it: compare ratios, not values."""
    pids_limit: int | None
    storage_limit: int | None = None
    storage_by: Literal["quota", "polled"] | None = None
    """What bounds the writable layer: the storage driver, or looks at it. The rest is polled."""
    memory_reservation: int | None = None


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the manifest and the header tell of an engine."""

    name: str
    version: str
    cgroup_version: int | None
    storage_driver: str | None
    memory: int
    """Bytes of memory of the machine (or of our own cgroup, if that is less) the engine runs on."""
    cores: float
    needs_image: bool
    """Whether a sandbox starts from an image, and not from what the host itself has."""
    notes: tuple[str, ...] = ()
    """Sentences a reader of the header must see, such as what the isolation is worth."""


@dataclass(frozen=True, slots=True)
class SandboxRequest:
    """All that is needed to start one sandbox. ``image`` is what ``Engine.prepare`` answered."""

    name: str
    image: str | None
    resources: Resources
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str | None = None
    network: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    hidden: Sequence[Path] = ()
    """Host directories that must not be seen, for engines whose sandboxes show the host's files."""


class Sandbox(Protocol):
    """One running, limited, measured environment.

    Every method raises SandboxLost when the sandbox has ended without our doing and EngineLost when
    the engine does not answer.
    """

    enforced: Enforced
    meter: Meter

    def exec(
        self,
        command: str | Sequence[str],
        *,
        timeout: float | None = None,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
    ) -> ExecResult:
        """Run a command (a string goes to ``sh -c``) and wait for it.

        At the timeout the command and all its descendants are killed inside the sandbox; processes
        that left the tree (daemons) stay. A command ends when its first process ends, even if a
        daemon it left holds the output open.
        """

    def put(self, source: Path, target: str) -> None:
        """Copy a host file to ``target``, or the contents of a host directory into ``target``.

        Parents are made; modes are kept; everything belongs to root. Symlinks are copied as links.
        """

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write one regular file, making its parents."""

    def read(self, path: str, *, max_bytes: int) -> bytes:
        """The content of one regular file.

        Raises SandboxFileMissing when there is nothing, SandboxFileError when it is no regular
        file, behind a symlink, or larger than ``max_bytes``.
        """

    def fetch(self, path: str, target: Path, *, max_bytes: int, max_files: int) -> int:
        """Copy a regular file to ``target`` on the host, or a directory and what it holds.

        Only regular files and directories are copied: links, devices, pipes and sockets are left
        out, and nothing is written outside of ``target``. Modes lose setuid, setgid and sticky
        bits. Answers the bytes copied. Raises SandboxFileMissing when there is nothing,
        SandboxFileError when ``path`` is neither, behind a symlink, or beyond the bounds.
        """

    def disk_used(self) -> int | None:
        """Bytes that what the sandbox wrote occupies on the host's disk; None if none can be seen.

        Its writable layer, its volumes, and deleted files that it holds open, in allocated blocks;
        what the image holds does not count, nor do file systems in memory.
        """

    def kill(self) -> None:
        """End every process in the sandbox; harmless when it has ended.

        Counters stay as they were last seen, and what was written stays until ``close``.
        """

    def alive(self) -> bool:
        """False when the sandbox has ended. Raises EngineLost when that cannot be known."""

    def explain(self, lost: SandboxLost) -> EngineError:
        """SandboxEnded when a sandbox that is lost was ended from inside, else ``lost`` itself.

        Raises EngineLost.
        """

    def close(self) -> None:
        """Kill and remove the sandbox and all it made; harmless when called twice."""


class Engine(Protocol):
    """Where sandboxes run."""

    info: EngineInfo

    def unsupported(self, task: Task) -> str | None:
        """Why this engine cannot run this task, for a skip; None when it can."""

    def prepare(self, name: str, environment: Environment, *, timeout: float | None) -> str | None:
        """Build or pull an image and answer its name; None for an engine without images.

        ``name`` only serves people who look at the images. Raises ImageBuildError or
        ImagePullError. Safe to call from several processes at once.
        """

    def join_network(self, run: str, name: str | None = None) -> str | None:
        """Keep sandboxes from each other: from now on they start on a network made for that.

        ``name`` is what this answered in another process of the run, and the network is that
        process's to remove; without it one is made, and removed by ``close``. Answers the name, or
        None where no such network can be had: sandboxes then start on the engine's default, and
        ``info`` has a note that says so. Never raises.
        """

    def start(self, request: SandboxRequest) -> Sandbox:
        """Create, start and read back one sandbox. Raises StartError or EngineLost."""

    def sweep(self) -> list[str]:
        """Remove what dead owners left on this host and answer its names; never what is in use."""

    def close(self) -> None:
        """End what was started and not closed, and release connections and helper processes.

        Harmless when called twice.
        """
