"""Tasks in every format that can be read: one loader a format, found by the task file's name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from pytest_reseval.tasks.harbor import TASK_FILE
from pytest_reseval.tasks.harbor import load_task as load_harbor_task
from pytest_reseval.tasks.model import Task, TaskError

__all__ = ["LOADERS", "TASK_FILE", "is_task_directory", "load_task"]

LOADERS: Mapping[str, Callable[[Path, Mapping[str, str]], Task]] = {TASK_FILE: load_harbor_task}
"""From the name of a task file to what reads it."""


def is_task_directory(path: Path) -> bool:
    """True when the directory has a task file, be that file good or bad; nothing is read."""
    return any(os.path.lexists(path / name) for name in LOADERS)


def load_task(file: Path, environ: Mapping[str, str]) -> Task:
    """Read one task, with ``${VAR}`` filled in from ``environ``; TaskError for a mistake in it."""
    loader = LOADERS.get(file.name)
    if loader is None:
        raise TaskError(file, "name", file.name, f"call a task file {' or '.join(LOADERS)}")
    return loader(file, environ)
