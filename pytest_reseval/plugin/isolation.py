"""Nothing inside a task directory is imported or obeyed on the host, however pytest was called.

pytest imports the conftest of every directory it is pointed at, and of ``test*`` beside it, before
any collector of ours is asked. So its starting points are replaced by conftests that lie outside
all task directories: those load what they would have, without what is in between.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pytest_reseval.tasks import is_task_file, task_file_in


def named_paths(config: pytest.Config) -> list[Path]:
    """The paths that pytest was called with, or what it takes when called with none."""
    where = config.invocation_params.dir
    named = [
        where / str(argument).split("::", 1)[0]
        for argument in config.known_args_namespace.file_or_dir
    ]
    if not named and where == config.rootpath:
        named = [
            path for pattern in config.getini("testpaths") for path in sorted(where.glob(pattern))
        ]
    return named or [where]


def names_a_task(paths: Sequence[Path]) -> bool:
    """Whether a task file, a task directory or a directory of tasks is among the paths.

    A directory holds tasks when a task file in a child of it has an instruction beside it: were
    such a directory left to pytest, it would run the tasks' hidden tests on the host.
    """
    return any(is_task_file(path) or task_file_in(path) or _holds_tasks(path) for path in paths)


def _holds_tasks(path: Path) -> bool:
    return any(task_file_in(found.parent) for found in path.glob("*/instruction.md"))


def refuse_what_lies_in_a_task(config: pytest.Config, paths: Sequence[Path]) -> None:
    """Raise pytest.UsageError for a call that would have pytest obey or run a task's own files."""
    if config.inipath is not None:
        home = _task_directory_around(config.inipath)
        if home is not None:
            raise pytest.UsageError(
                f"{config.inipath} lies in a task directory, so pytest must not obey it; run from "
                f"outside {home} or give another file with -c"
            )
    for path in paths:
        home = _task_directory_around(path)
        if home is not None and not is_task_file(path):
            raise pytest.UsageError(
                f"{path} lies in the task directory {home}, whose files are not run on this host; "
                f"name {home} itself"
            )


def conftest_anchors(paths: Sequence[Path]) -> list[str]:
    """Where pytest may look for conftests: never in a task directory."""
    anchors: dict[Path, None] = {}
    for path in paths:
        for directory in _starting_points(path.absolute()):
            conftest = _nearest_conftest(directory)
            if conftest is not None:
                anchors[conftest] = None
    return [str(anchor) for anchor in anchors] or [os.devnull]


def obey_conftests_around(config: pytest.Config, task: Path) -> None:
    """Let the conftests around a task directory have their hooks called for its items.

    pytest knows which conftests belong to a directory once it has looked for one in it, which must
    not happen here, and asks none where it has not looked. There is no public way to say so.
    """
    known = config.pluginmanager._dirpath2confmods
    known[task] = list(config.pluginmanager._getconftestmodules(task.parent))


def _starting_points(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path.parent
        return
    yield path
    if not task_file_in(path):
        yield from (child for child in sorted(path.glob("test*")) if child.is_dir())


def _nearest_conftest(directory: Path) -> Path | None:
    for place in (directory, *directory.parents):
        conftest = place / "conftest.py"
        if not task_file_in(place) and conftest.is_file():
            return conftest
    return None


def _task_directory_around(path: Path) -> Path | None:
    """The task directory that a path lies in; None for the directory itself or anything outside."""
    return next((place for place in path.absolute().parents if task_file_in(place)), None)
