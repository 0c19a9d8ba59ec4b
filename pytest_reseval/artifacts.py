"""What a separate verifier gets to see of the agent's sandbox: copies of what the task names.

The content is the agent's, so only regular files and directories are taken, and no more than fits
the bounds: a link could have the verifier read its own hidden answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pytest_reseval.engines.base import Sandbox, SandboxFileError, SandboxFileMissing
from pytest_reseval.resources import GIB

ALWAYS = "/logs/artifacts"
"""The directory that is copied whatever the task names, if it is there."""

LARGEST = GIB
"""Bytes that all artifacts of one trial may hold together."""

MOST_FILES = 100_000
"""Files and directories in one artifact."""


def collect(
    sandbox: Sandbox, named: Iterable[str], folder: Path
) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Copy artifacts into ``folder``, each below a name of its own.

    Answers where each path's copy is, and a sentence for each path that could not be had.
    """
    found: dict[str, Path] = {}
    missing: list[str] = []
    room = LARGEST
    for number, path in enumerate(dict.fromkeys((ALWAYS, *named))):
        copy = folder / str(number)
        try:
            room -= sandbox.fetch(path, copy, max_bytes=room, max_files=MOST_FILES)
            found[path] = copy
        except SandboxFileMissing:
            if path != ALWAYS:
                missing.append(f"{path} is missing")
        except SandboxFileError as error:
            missing.append(str(error))
    return found, tuple(missing)
