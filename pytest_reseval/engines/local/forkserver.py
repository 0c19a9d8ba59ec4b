"""The owner's side of the fork server: starting it, and having keepers forked from it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from pytest_reseval.engines.local.keeper import wire

_PASSED_ON = ("LD_LIBRARY_PATH",)
"""Variables of ours that the fork server gets: what its interpreter may need in order to start."""

_BOOTSTRAP = f"""\
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from keeper.forkserver import main
main()
"""


class KeeperFailed(Exception):
    """A keeper could not be had or could not make the sandbox; the message says what failed."""


class Forked(NamedTuple):
    """A keeper that waits for its start request; everything here is the caller's to close."""

    pid: int
    handle: int
    """A pidfd: readable once the keeper has ended."""
    control: socket.socket
    errors: FileIO
    """What it writes on its stderr; reading never blocks."""


class ForkServer:
    """One process that keepers are forked from; started when first needed, and again if it died.

    Its methods may be called from several threads at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None

    def fork_keeper(self) -> Forked:
        """A new keeper. Raises KeeperFailed."""
        requests = self._running()
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reading, writing = os.pipe()
        errors = FileIO(reading)
        os.set_blocking(reading, False)
        try:
            descriptors = [theirs.fileno(), writing]
            with wire.open_conversation(requests, {}, descriptors) as conversation:
                answer, (handle,) = wire.read_reply(conversation)
        except (OSError, EOFError) as error:
            control.close()
            errors.close()
            with self._lock:
                words = self._end()
            raise KeeperFailed(f"no keeper could be forked: {words or error}") from error
        finally:
            theirs.close()
            os.close(writing)
        return Forked(answer["pid"], handle, control, errors)

    def close(self) -> None:
        """End it; keepers that run stay. Harmless when called twice."""
        with self._lock:
            self._end()

    def _running(self) -> socket.socket:
        with self._lock:
            if self._process is None or self._requests is None or self._process.poll() is not None:
                self._end()
                self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                with theirs:
                    self._process = subprocess.Popen(
                        [sys.executable, "-I", "-S", "-c", _BOOTSTRAP],
                        stdin=theirs.fileno(),
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.PIPE,
                        env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
                        cwd="/",
                        start_new_session=True,
                    )
            return self._requests

    def _end(self) -> str:
        """Have it end; answers what it wrote on its stderr."""
        if self._process is None or self._requests is None:
            return ""
        self._requests.close()
        _, words = self._process.communicate()
        self._process = self._requests = None
        return words.decode(errors="replace").strip()
