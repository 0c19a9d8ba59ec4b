"""Approaches to ``key-value-service``."""

import socket
import subprocess
import sys
import time
from pathlib import Path

from chosen import run
from survey import survey

SOCKET = Path("/app/kv.sock")
SERVER = Path(__file__).with_name("key-value-server.py")


def _launch(*arguments):
    SOCKET.unlink(missing_ok=True)
    with Path("/app/kv.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, SERVER, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    while server.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(SOCKET)) == 0:
                return
        time.sleep(0.02)
    sys.exit(f"the service ended with status {server.returncode}")


def threads():
    """A thread for each client."""
    _launch("threads")


def processes():
    """A process for each client, each with its own copy of what is stored."""
    _launch("processes")


def surveyed(kilobytes):
    """Look for a server to start from first, then a thread for each client."""
    survey(kilobytes)
    threads()


def surveyed_processes(kilobytes):
    """Look for a server to start from first, then a process for each client."""
    survey(kilobytes)
    processes()


def arena(megabytes):
    """A thread for each client, values in an arena taken at once, large buffers."""
    _launch("threads", megabytes)


run(threads, processes, surveyed, surveyed_processes, arena)
