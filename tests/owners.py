"""A pytest plugin that leaves the name of every pytest process, so that what it owns is known."""

from __future__ import annotations

import os
from pathlib import Path

DIRECTORY = "OWNERS_DIRECTORY"
"""The environment variable that names the directory for files PID-START."""


def pytest_configure() -> None:
    start = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    Path(os.environ[DIRECTORY], f"{os.getpid()}-{start}").touch()
