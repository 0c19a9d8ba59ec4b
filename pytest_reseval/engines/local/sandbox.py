"""One sandbox of the local engine."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pytest_reseval.cgroups.meter import Meter
from pytest_reseval.disk.usage import measure
from pytest_reseval.engines.base import (
    OUTPUT_LIMIT,
    Enforced,
    EngineError,
    EngineLost,
    ExecResult,
    SandboxFileError,
    SandboxLost,
)
from pytest_reseval.engines.local import processes, rootfs, tree
from pytest_reseval.engines.local.client import KeeperClient
from pytest_reseval.engines.local.keeper import wire
from pytest_reseval.engines.local.output import Capture, collect

BASE_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}
"""All that a command gets without being told so, with HOME; nothing comes from the host's own."""

_KILL_SECONDS = 10.0
"""How long a killed command may take to end; longer, and the machine is at fault."""


class LocalSandbox:
    """Namespaces, overlays and a cgroup (or a watchdog), all gone after ``close``."""

    def __init__(
        self,
        keeper: KeeperClient,
        *,
        enforced: Enforced,
        meter: Meter,
        env: Mapping[str, str],
        workdir: str | None,
        private: Path,
        remove: Callable[[], None],
    ) -> None:
        """Take over a running keeper; ``remove`` undoes what stands around it.

        ``private`` is the directory for what is written in the sandbox.
        """
        self.enforced = enforced
        self.meter = meter
        self._keeper = keeper
        self._env = dict(env)
        self._workdir = workdir or "/"
        self._private = private
        self._remove = remove
        self._closed = False

    def exec(
        self,
        command: str | Sequence[str],
        *,
        timeout: float | None = None,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
    ) -> ExecResult:
        """See ``Sandbox.exec``. The working directory is made if it is missing."""
        started = time.monotonic()
        conversation, pid, outputs = self._run(command, user, env, workdir)
        with conversation:
            root = processes.find(pid)
            captures = {output: Capture(OUTPUT_LIMIT) for output in outputs}
            timed_out = collect(
                captures,
                conversation,
                timeout=timeout,
                kill=lambda: None if root is None else processes.kill_tree(root),
                patience=_KILL_SECONDS,
            )
            if timed_out is None:
                raise EngineLost(f"a command did not end {_KILL_SECONDS:g} s after it was killed")
            try:
                answer, _ = wire.read_reply(conversation)
            except (OSError, EOFError) as error:
                raise SandboxLost("the sandbox ended while a command ran in it") from error
        stdout, stderr = captures.values()
        return ExecResult(
            exit_code=None if timed_out else answer["exit_code"],
            stdout=stdout.content.decode(errors="replace"),
            stderr=stderr.content.decode(errors="replace"),
            seconds=time.monotonic() - started,
            timed_out=timed_out,
            truncated=stdout.dropped + stderr.dropped,
        )

    def _run(
        self,
        command: str | Sequence[str],
        user: str | None,
        env: Mapping[str, str] | None,
        workdir: str | None,
    ) -> tuple[socket.socket, int, tuple[int, int]]:
        self._check_open()
        stdout, stdout_end = os.pipe()
        stderr, stderr_end = os.pipe()
        try:
            conversation, pid = self._keeper.run(
                ["/bin/sh", "-c", command] if isinstance(command, str) else list(command),
                environment={**BASE_ENVIRONMENT, **self._env, **(env or {})},
                workdir=workdir or self._workdir,
                user=user or "0",
                streams=(stdout_end, stderr_end),
            )
        except BaseException:
            os.close(stdout)
            os.close(stderr)
            raise
        finally:
            os.close(stdout_end)
            os.close(stderr_end)
        return conversation, pid, (stdout, stderr)

    def put(self, source: Path, target: str) -> None:
        """See ``Sandbox.put``. Raises SandboxFileError when something there is in the way."""
        self._check_open()
        handle = os.open(source, os.O_RDONLY)
        try:
            self._keeper.copy(handle, target)
        finally:
            os.close(handle)

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """See ``Sandbox.write``. Raises SandboxFileError when something there is in the way."""
        self._check_open()
        with open(self._keeper.open_for_writing(path, mode), "wb") as file:  # noqa: PTH123
            file.write(data)

    def read(self, path: str, *, max_bytes: int) -> bytes:
        """See ``Sandbox.read``."""
        self._check_open()
        with open(self._keeper.open_for_reading(path), "rb") as file:  # noqa: PTH123
            content = file.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise SandboxFileError(f"{path}: larger than {max_bytes} bytes")
        return content

    def fetch(self, path: str, target: Path, *, max_bytes: int, max_files: int) -> int:
        """See ``Sandbox.fetch``."""
        self._check_open()
        source = self._keeper.open_for_reading(path, or_directory=True)
        try:
            return tree.copy_out(source, target, max_bytes=max_bytes, max_files=max_files)
        except OSError as error:
            raise SandboxFileError(f"{path} in the sandbox cannot be copied: {error}") from error
        except tree.TooMuch as error:
            raise SandboxFileError(f"{path} in the sandbox {error}") from error
        finally:
            os.close(source)

    def disk_used(self) -> int:
        """See ``Sandbox.disk_used``."""
        keeper = processes.find(self._keeper.pid)
        inside = [] if keeper is None else processes.sampled_descendants(keeper)
        return measure(rootfs.written(self._private), [one.pid for one in inside]).size

    def kill(self) -> None:
        """See ``Sandbox.kill``."""
        if self.alive():
            self.meter.counters()
            self._keeper.end()

    def alive(self) -> bool:
        """False when the sandbox has ended."""
        return not self._closed and self._keeper.alive()

    def explain(self, lost: SandboxLost) -> EngineError:
        """See ``Sandbox.explain``: nothing inside can signal, see or trace what keeps it alive."""
        return lost

    def close(self) -> None:
        """Kill and remove everything; the meter keeps its last figures. Harmless when repeated."""
        if self._closed:
            return
        self._closed = True
        self.meter.counters()
        with contextlib.ExitStack() as stack:
            stack.callback(self._remove)
            stack.callback(self._keeper.close)
            stack.callback(self.meter.close)

    def _check_open(self) -> None:
        if self._closed:
            raise SandboxLost("the sandbox was closed")
