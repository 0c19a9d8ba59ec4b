"""Processes that a test starts and that must not outlive it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process and the group that it leads, and print the output that nobody has read."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None and not process.stdout.closed:
        with process.stdout as output:
            print(output.read())
