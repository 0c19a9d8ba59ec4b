"""The owner's side of a keeper: having it forked, asking it, ending it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pytest_reseval.engines.base import SandboxFileError, SandboxFileMissing, SandboxLost
from pytest_reseval.engines.local.forkserver import ForkServer, KeeperFailed
from pytest_reseval.engines.local.keeper import wire
from pytest_reseval.engines.local.rootfs import Step
from pytest_reseval.engines.privileges import CAPABILITIES

_END_SECONDS = 30.0
"""How long the kernel may take to end every process of a sandbox before the keeper is killed."""

_LAST_WORDS_SECONDS = 2.0
"""How long a keeper whose sockets are closed may take to end."""


class StartRequest(NamedTuple):
    """All that a keeper needs to make a sandbox.

    ``cgroup`` holds paths of ``cgroup.procs`` files, ``processes`` a bound for RLIMIT_NPROC or
    None. With ``ids``, the uid and gid outside that become root inside, a user namespace is made.
    """

    name: str
    root: Path
    steps: Sequence[Step]
    network: bool
    cgroup: Sequence[Path]
    oom_score_adj: int
    processes: int | None
    ids: tuple[int, int] | None


class KeeperClient:
    """One running keeper. Its requests may be made from several threads at once.

    ``pid`` is the keeper's process: the sandbox's processes are its descendants.
    """

    def __init__(self, server: ForkServer, request: StartRequest) -> None:
        """Have a keeper forked and wait until its sandbox stands. Raises KeeperFailed."""
        self.pid, self._handle, self._control, self._errors = server.fork_keeper()
        try:
            self.first_process = self._make(request)
        except BaseException:
            self.close()
            raise

    def _make(self, request: StartRequest) -> int:
        message = {
            "name": request.name,
            "root": str(request.root),
            "steps": list(request.steps),
            "network": request.network,
            "cgroup": [str(path) for path in request.cgroup],
            "oom_score_adj": request.oom_score_adj,
            "processes": request.processes,
            "ids": request.ids,
            "capabilities": list(CAPABILITIES.values()),
        }
        try:
            with wire.open_conversation(self._control, message) as conversation:
                answer, _ = wire.read_reply(conversation)
        except (OSError, EOFError) as error:
            raise KeeperFailed(self._last_words(error)) from error
        if "error" in answer:
            raise KeeperFailed(answer["error"])
        return int(answer["first_process"])

    def alive(self) -> bool:
        """False once the keeper has ended, and the sandbox with it."""
        return not self._errors.closed and not self._ended_within(0.0)

    def _ended_within(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def run(
        self,
        command: Sequence[str],
        *,
        environment: dict[str, str],
        workdir: str,
        user: str,
        streams: tuple[int, int],
    ) -> tuple[socket.socket, int]:
        """Start a command whose output goes to the two descriptors.

        Answers the conversation that will carry ``{"exit_code": int}`` and the command's process.
        Raises SandboxLost.
        """
        request = {
            "do": "run",
            "command": list(command),
            "environment": environment,
            "workdir": workdir,
            "user": user,
        }
        conversation = self._open(request, streams)
        try:
            answer, _ = wire.read_reply(conversation)
        except (OSError, EOFError) as error:
            conversation.close()
            raise self._lost(error) from error
        return conversation, answer["pid"]

    def open_for_reading(self, path: str, *, or_directory: bool = False) -> int:
        """A descriptor of a regular file or, if it may be one, a directory.

        Raises SandboxFileError or SandboxLost.
        """
        (handle,) = self._ask({"do": "open", "path": path, "or_directory": or_directory})
        return handle

    def open_for_writing(self, path: str, mode: int) -> int:
        """A descriptor of a new regular file. Raises SandboxFileError or SandboxLost."""
        (handle,) = self._ask({"do": "create", "path": path, "mode": mode})
        return handle

    def copy(self, source: int, target: str) -> None:
        """Copy an open host file or directory. Raises SandboxFileError or SandboxLost."""
        self._ask({"do": "copy", "path": target}, [source])

    def _ask(self, request: dict[str, Any], descriptors: Sequence[int] = ()) -> list[int]:
        try:
            with self._open(request, descriptors) as conversation:
                answer, received = wire.read_reply(conversation)
        except (OSError, EOFError) as error:
            raise self._lost(error) from error
        if "error" in answer:
            kind = SandboxFileMissing if answer.get("missing") else SandboxFileError
            raise kind(f"{request['path']}: {answer['error']}")
        return received

    def _open(self, request: dict[str, Any], descriptors: Sequence[int]) -> socket.socket:
        try:
            return wire.open_conversation(self._control, request, descriptors)
        except OSError as error:
            raise self._lost(error) from error

    def end(self) -> None:
        """End the sandbox with every process in it, and wait until they are gone."""
        with contextlib.suppress(OSError):  # it has ended already
            self._control.shutdown(socket.SHUT_RDWR)
        if not self._ended_within(_END_SECONDS):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def close(self) -> None:
        """End the sandbox, and let go of its keeper."""
        self.end()
        self._control.close()
        self._errors.close()
        os.close(self._handle)

    def _lost(self, error: Exception) -> SandboxLost:
        return SandboxLost(f"the sandbox has ended: {self._last_words(error)}")

    def _last_words(self, error: Exception) -> str:
        """What an ended keeper wrote on its stderr, else the error that told of its end."""
        words = None
        if not self._errors.closed:
            self._ended_within(_LAST_WORDS_SECONDS)
            words = self._errors.read()
        return (words or b"").decode(errors="replace").strip() or str(error)
