"""The process that keepers are forked from: an interpreter then starts once, not for each sandbox.

It is started by the owner with its socket as standard input. Each conversation on it asks for one
keeper and brings two descriptors, the keeper's control socket and its standard error; the answer is
the keeper's process id with a pidfd. Keepers do not need this process again, and outlive it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket

from . import process, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Fork keepers, and reap them, until the owner is gone or closes the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests = socket.socket(fileno=os.dup(0))
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    owner = os.pidfd_open(os.getppid())
    keepers: dict[int, int] = {}
    poller = select.poll()
    for descriptor in (requests.fileno(), owner):
        poller.register(descriptor, select.POLLIN)
    while True:
        for descriptor, _ in poller.poll():
            if descriptor in keepers:
                poller.unregister(descriptor)
                os.waitpid(keepers.pop(descriptor), 0)
                os.close(descriptor)
            elif descriptor == owner:
                os._exit(0)
            else:
                pid, handle = _fork_keeper(requests, owner, null)
                keepers[handle] = pid
                poller.register(handle, select.POLLIN)


def _fork_keeper(requests: socket.socket, owner: int, null: int) -> tuple[int, int]:
    """Fork one keeper and answer its process and a pidfd; ends this process with the requests."""
    accepted = wire.accept_conversation(requests)
    if accepted is None:
        os._exit(0)
    conversation, _, (control, errors) = accepted
    pid = os.fork()
    if pid == 0:
        requests.close()
        conversation.close()
        os.setsid()
        os.dup2(errors, 2)
        os.close(errors)
        process.serve(socket.socket(fileno=control), owner, null)
    os.close(control)
    os.close(errors)
    handle = os.pidfd_open(pid)
    with conversation, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        wire.reply(conversation, {"pid": pid}, [handle])
    return pid, handle
