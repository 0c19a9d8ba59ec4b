"""Running one command in a container under a deadline.

The API cannot kill an exec and cannot tell its end from a lost engine by the stream alone. So the
first process of the command is found on this host, its end is seen through a pidfd, and at the
deadline its tree is killed from here.
"""

from __future__ import annotations

import select
import signal
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any

import psutil
from docker.errors import APIError, NotFound

from pytest_reseval.engines.base import CANNOT_RUN, EngineLost, ExecResult, SandboxLost
from pytest_reseval.engines.docker.client import Client, Hijacked, engine_answers, reason
from pytest_reseval.engines.docker.processes import (
    PATIENCE,
    ProcessHandle,
    in_container,
    kill_tree,
    namespace_depth,
    numbers_inside,
    send_directly,
)
from pytest_reseval.engines.docker.streams import Demultiplexer

_IN_WORKDIR = 'mkdir -p -- "$1" && cd -- "$1" || exit 126; shift; exec "$@"'
_DEATH_BY_SIGKILL = 128 + signal.SIGKILL
_IDENTIFY_AFTER = 0.2
_ASK_AGAIN = 0.005
_READS_PER_TURN = 16
_DRAIN_IDLE = 1.0
_DRAIN_TOTAL = 5.0


def run(
    client: Client,
    container_id: str,
    first_process: ProcessHandle,
    command: str | Sequence[str],
    *,
    timeout: float | None,
    user: str | None,
    env: Mapping[str, str] | None,
    workdir: str | None,
) -> ExecResult:
    """Run a command and wait for it; see ``Sandbox.exec``. Raises EngineLost, SandboxLost."""
    started = time.monotonic()
    execution = _Execution(client, container_id, first_process)
    try:
        return execution.run(
            argv(command, workdir),
            user=user or "",
            env=dict(env or {}),
            started=started,
            deadline=None if timeout is None else started + timeout,
        )
    finally:
        execution.close()


def argv(command: str | Sequence[str], workdir: str | None) -> list[str]:
    """The arguments to start; a missing working directory is made first."""
    arguments = ["sh", "-c", command] if isinstance(command, str) else list(command)
    return arguments if workdir is None else ["sh", "-c", _IN_WORKDIR, "sh", workdir, *arguments]


class _Execution:
    """One exec, from its creation to its exit code."""

    def __init__(self, client: Client, container_id: str, first_process: ProcessHandle) -> None:
        self._client = client
        self._container_id = container_id
        self._first_process = first_process
        self._output = Demultiplexer()
        self._stream: Hijacked | None = None
        self._id = ""
        self._process: ProcessHandle | None = None
        self._code: int | None = None

    def run(
        self,
        arguments: list[str],
        *,
        user: str,
        env: dict[str, str],
        started: float,
        deadline: float | None,
    ) -> ExecResult:
        try:
            with engine_answers("starting a command"):
                self._id = self._create(arguments, user, env)
                self._stream = self._client.hijack(
                    f"/exec/{self._id}/start", body={"Tty": False, "Detach": False}
                )
        except APIError as error:
            self._check_sandbox()
            seconds = time.monotonic() - started
            return ExecResult(CANNOT_RUN, "", reason(error), seconds)
        timed_out = not self._wait_for_end(deadline)
        if timed_out:
            self._kill()
        self._drain()
        exit_code = None if timed_out else self._exit_code()
        return ExecResult(
            exit_code=exit_code,
            stdout=self._output.stdout.content().decode(errors="replace"),
            stderr=self._output.stderr.content().decode(errors="replace"),
            seconds=time.monotonic() - started,
            timed_out=timed_out,
            truncated=self._output.stdout.dropped + self._output.stderr.dropped,
        )

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._process is not None:
            self._process.close()

    def _create(self, arguments: list[str], user: str, env: dict[str, str]) -> str:
        created = self._client.exec_create(
            self._container_id, arguments, user=user, environment=env
        )
        return str(created["Id"])

    def _wait_for_end(self, deadline: float | None) -> bool:
        """True when the command has ended, False when the deadline came first."""
        identify_at = time.monotonic() + _IDENTIFY_AFTER
        while True:
            was_open = self._stream is not None
            self._read()
            self._check_sandbox()
            if was_open and self._stream is None and self._process is not None:
                self._inspect()  # raises when the stream ended because the engine is lost
            if self._process is not None and self._process.ended():
                return True
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                return False
            if self._process is None and (self._stream is None or now >= identify_at):
                if self._identify():
                    return True
                identify_at = now + (_ASK_AGAIN if self._process is None else 0)
            wake_ups = [deadline] if deadline is not None else []
            if self._process is None:
                wake_ups.append(identify_at)
            self._wait(min(wake_ups) if wake_ups else None)

    def _identify(self) -> bool:
        """Find the command's first process on this host; True when it has already ended."""
        pid = self._inspect()["Pid"]
        if self._code is not None:
            return True
        if not pid:
            return False
        try:
            process = ProcessHandle(pid)
        except ProcessLookupError:
            return True
        if not in_container(process.pid, self._container_id) or process.ended():
            process.close()
            return True
        self._process = process
        return False

    def _read(self) -> None:
        """Take some of what the stream has; a flood must not keep us from the deadline."""
        for _ in range(_READS_PER_TURN):
            data = None if self._stream is None else self._stream.receive()
            if data is None:
                return
            if not data:
                self._end_stream()
                return
            self._output.feed(data)

    def _end_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _wait(self, until: float | None) -> None:
        """Sleep until there is output, a process has ended, or ``until`` (monotonic) has come."""
        poll = select.poll()
        for watched in (self._stream, self._process, self._first_process):
            if watched is not None:
                poll.register(watched.fileno(), select.POLLIN)
        seconds = None if until is None else max(0.0, until - time.monotonic())
        poll.poll(None if seconds is None else seconds * 1000)

    def _drain(self) -> None:
        """Read what is left. A daemon that holds the output open may keep it open for ever."""
        end = time.monotonic() + _DRAIN_TOTAL
        while self._stream is not None and time.monotonic() < end:
            data = self._stream.receive()
            if data is None:
                poll = select.poll()
                poll.register(self._stream.fileno(), select.POLLIN)
                if not poll.poll(_DRAIN_IDLE * 1000):
                    return
            elif data:
                self._output.feed(data)
            else:
                self._end_stream()

    def _exit_code(self) -> int:
        end = time.monotonic() + PATIENCE
        while self._code is None:
            self._check_sandbox()
            if time.monotonic() >= end:
                raise EngineLost("the engine does not tell the exit code of a command that ended")
            self._inspect()
            if self._code is None:
                time.sleep(_ASK_AGAIN)
        if self._code == _DEATH_BY_SIGKILL and self._first_process.ending():
            raise _sandbox_lost()
        return self._code

    def _inspect(self) -> dict[str, Any]:
        """What the engine tells of the command; keeps the exit code once there is one."""
        try:
            with engine_answers("asking after a command"):
                told = self._client.exec_inspect(self._id)
            if not told["Running"]:
                self._code = told["ExitCode"]
            return told
        except NotFound as error:
            self._check_sandbox()
            raise EngineLost("the engine has forgotten a command that it ran") from error
        except APIError as error:
            raise EngineLost(f"the engine cannot tell of a command: {reason(error)}") from error

    def _check_sandbox(self) -> None:
        if self._first_process.ended():
            raise _sandbox_lost()

    def _kill(self) -> None:
        """Kill the command and all its descendants."""
        end = time.monotonic() + PATIENCE
        while self._process is None:
            if self._identify():
                return
            if time.monotonic() >= end:
                raise EngineLost("the engine does not tell which process a command is")
            self._check_sandbox()
            time.sleep(_ASK_AGAIN)
        if not kill_tree(self._process.pid, self._send):
            self._check_sandbox()
            raise SandboxLost("processes of a command that timed out outlive SIGKILL")

    def _send(self, processes: Collection[psutil.Process], which: signal.Signals) -> None:
        try:
            send_directly(processes, which)
        except psutil.AccessDenied:
            self._send_inside(processes, which)

    def _send_inside(self, processes: Collection[psutil.Process], which: signal.Signals) -> None:
        """Signal as the sandbox's own root, for a user who may use the engine but not its pids."""
        numbers = numbers_inside(processes, namespace_depth(self._first_process.pid))
        if not numbers:
            return
        script = ["sh", "-c", 'kill -s "$0" -- "$@"', which.name.removeprefix("SIG"), *numbers]
        with suppress(APIError), engine_answers("killing a command"):
            signalling = self._create(script, "0", {})
            with closing(
                self._client.hijack(
                    f"/exec/{signalling}/start", body={"Tty": False, "Detach": False}
                )
            ) as stream:
                end = time.monotonic() + PATIENCE
                while stream.receive() != b"" and time.monotonic() < end:
                    poll = select.poll()
                    poll.register(stream.fileno(), select.POLLIN)
                    poll.poll(100)


def _sandbox_lost() -> SandboxLost:
    return SandboxLost("the sandbox ended while a command ran in it")
