"""Tasks in every format that can be read: one loader a format, found by the task file's name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_reseval.tasks.model import Task

_LOADERS = {"task.toml": "pytest_reseval.tasks.harbor"}
"""From the name of a task file to the module that reads it, imported when a task is there."""


def is_task_file(path: PurePath) -> bool:
    """True when a file by this name is a task's; nothing is read."""
    return path.name in _LOADERS


def task_file_in(directory: Path) -> Path | None:
    """The task file of a directory, be that file good or bad; nothing is read."""
    return next((directory / name for name in _LOADERS if os.path.lexists(directory / name)), None)


def load_task(file: Path, environ: Mapping[str, str]) -> Task:
    """Read one task, with ``${VAR}`` filled in from ``environ``; TaskError for a mistake in it.

    Raises KeyError for a file whose name is no task file's.
    """
    task: Task = import_module(_LOADERS[file.name]).load_task(file, environ)
    return task
