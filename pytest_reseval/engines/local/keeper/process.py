"""The keeper: one process a sandbox, outside its pid namespace, that makes it and serves its owner.

It is forked from the fork server for the owner of the control socket. It makes the namespaces,
forks the sandbox's first process, which builds the root and then only reaps orphans, and from then
on forks every command, so that exit codes come from the kernel to a process the sandbox can neither
see nor signal. When the owner closes the control socket or dies, however it dies, the keeper kills
the first process, and with it the kernel kills everything in the sandbox.

Only the standard library is imported, and nothing after the old root is gone: a module found then
would be the agent's.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence

from . import execution, files, mounts, syscalls, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def serve(control: socket.socket, owner: int, null: int) -> NoReturn:
    """Serve one sandbox from its start request to its end, then leave.

    ``owner`` is a pidfd of the process behind ``control``, ``null`` an open ``/dev/null``.
    """
    started = wire.accept_conversation(control)
    if started is None:
        os._exit(0)
    conversation, request, _ = started
    try:
        keeper = Keeper(control, owner, null, request)
    except (OSError, RuntimeError) as error:
        wire.reply(conversation, {"error": str(error)})
        os._exit(1)
    wire.reply(conversation, {"first_process": keeper.first_process})
    conversation.close()
    keeper.serve()


class Keeper:
    """Makes one sandbox from a start request (``client.StartRequest``) and serves it.

    Raises OSError or RuntimeError when the kernel refuses a step.
    """

    def __init__(
        self, control: socket.socket, owner: int, null: int, request: dict[str, Any]
    ) -> None:
        self._control = control
        self._owner = owner
        self._null = null
        self._ids: tuple[int, int] | None = request["ids"]
        self._processes: int | None = request["processes"]
        self._capabilities: list[int] = request["capabilities"]
        self._oom_score_adj: int = request["oom_score_adj"]
        self._cgroup = [os.open(path, os.O_WRONLY) for path in request["cgroup"]]
        self._running: dict[int, tuple[int, socket.socket]] = {}
        self._poller = select.poll()
        self._make_namespaces(request["name"], request["network"])
        self.first_process = self._start_first_process(request["root"], request["steps"])
        self._first = os.pidfd_open(self.first_process)
        sys.path.clear()
        sys.meta_path.clear()

    def _make_namespaces(self, name: str, network: bool) -> None:
        flags = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID
        flags |= syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
        if not network:
            flags |= syscalls.CLONE_NEWNET
        if self._ids is not None:
            flags |= syscalls.CLONE_NEWUSER
        syscalls.unshare(flags)
        if self._ids is not None:
            _write("/proc/self/setgroups", "deny")
            uid, gid = self._ids
            _write("/proc/self/uid_map", f"0 {uid} 1")
            _write("/proc/self/gid_map", f"0 {gid} 1")
        socket.sethostname(name)
        if not network:
            syscalls.raise_loopback()

    def _start_first_process(self, root: str, steps: Sequence[Sequence[str]]) -> int:
        """Fork pid 1 and wait until the root is built; RuntimeError with its words if it is not."""
        reading, writing = os.pipe()
        lifeline, self._lifeline = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(self._lifeline)
            _be_first_process(root, steps, writing, lifeline)
        os.close(writing)
        os.close(lifeline)
        with os.fdopen(reading) as report:
            problem = report.read()
        if problem != _READY:
            raise RuntimeError(problem or "the first process ended while it built the root")
        return pid

    def serve(self) -> NoReturn:
        """Answer requests until the owner or the first process is gone."""
        for descriptor in (self._control.fileno(), self._owner, self._first):
            self._poller.register(descriptor, select.POLLIN)
        while self._serve_events():
            pass
        os.kill(self.first_process, signal.SIGKILL)
        _reap_all()
        os._exit(0)

    def _serve_events(self) -> bool:
        for descriptor, _ in self._poller.poll():
            if descriptor in self._running:
                self._finish(descriptor)
            elif descriptor != self._control.fileno() or not self._serve_request():
                return False
        return True

    def _serve_request(self) -> bool:
        accepted = wire.accept_conversation(self._control)
        if accepted is None:
            return False
        conversation, request, descriptors = accepted
        try:
            if request["do"] == "run":
                self._run(conversation, request, descriptors)
            else:
                with conversation:
                    _serve_file(conversation, request, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _run(
        self, conversation: socket.socket, request: dict[str, Any], streams: Sequence[int]
    ) -> None:
        pid = os.fork()
        if pid == 0:
            execution.become(
                command=request["command"],
                environment=request["environment"],
                workdir=request["workdir"],
                user=request["user"],
                cgroup=self._cgroup,
                oom_score_adj=self._oom_score_adj,
                processes=self._processes,
                standard_streams=(self._null, *streams),
                single_user=self._ids is not None,
                capabilities=self._capabilities,
            )
        handle = os.pidfd_open(pid)
        self._running[handle] = (pid, conversation)
        self._poller.register(handle, select.POLLIN)
        _answer(conversation, {"pid": pid})

    def _finish(self, handle: int) -> None:
        pid, conversation = self._running.pop(handle)
        self._poller.unregister(handle)
        os.close(handle)
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        with conversation:
            if code != -signal.SIGKILL or _namespace_lives():
                _answer(conversation, {"exit_code": code if code >= 0 else 128 - code})


_READY = "ready"


def _be_first_process(
    root: str, steps: Sequence[Sequence[str]], report: int, lifeline: int
) -> NoReturn:
    """Build the root, then stay until the lifeline ends; ignoring SIGCHLD has the kernel reap.

    From inside the sandbox only signals that it handles reach this process (pid_namespaces(7)),
    and it handles none; as it keeps its capabilities, nothing there may trace it.
    """
    try:
        syscalls.die_with_parent()
        mounts.build(root, steps)
    except OSError as error:
        os.write(report, str(error).encode())
        os._exit(1)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.write(report, _READY.encode())
    kept = sorted((0, 1, 2, lifeline))
    for below, above in zip(kept, [*kept[1:], os.sysconf("SC_OPEN_MAX")], strict=True):
        os.closerange(below + 1, above)
    while os.read(lifeline, 1):
        pass
    os._exit(0)


def _serve_file(
    conversation: socket.socket, request: dict[str, Any], descriptors: Sequence[int]
) -> None:
    try:
        if request["do"] == "copy":
            files.copy(descriptors[0], request["path"])
            _answer(conversation, {})
            return
        if request["do"] == "open":
            handle = files.open_for_reading(request["path"], request["or_directory"])
        else:
            handle = files.open_for_writing(request["path"], request["mode"])
    except FileNotFoundError as error:
        _answer(conversation, {"error": error.strerror, "missing": True})
        return
    except (OSError, files.Refused) as error:
        _answer(conversation, {"error": _words(error)})
        return
    try:
        _answer(conversation, {}, [handle])
    finally:
        os.close(handle)


def _words(error: OSError | files.Refused) -> str:
    if isinstance(error, OSError):
        if error.errno == errno.ELOOP:
            return "a link is on the path, and links are not followed"
        return error.strerror or str(error)
    return str(error)


def _answer(conversation: socket.socket, answer: object, descriptors: Sequence[int] = ()) -> None:
    """Reply, unless the owner gave up on this request."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        wire.reply(conversation, answer, descriptors)


def _namespace_lives() -> bool:
    """False from the moment the first process began to end and to kill all others with it.

    The kernel then refuses new processes in the namespace, before the first one is seen to end.
    """
    try:
        pid = os.fork()
    except OSError:
        return False
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True


def _reap_all() -> None:
    """Wait for every child: the first process ends only when each of its namespace is reaped."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _write(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)
