"""Finding, reading and replacing the task files that a run was made of."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_reseval.study.needs import Need
from pytest_reseval.study.specs import CannotEdit, unified_diff, with_guarantee
from pytest_reseval.tasks import is_task_file, load_task
from pytest_reseval.tasks.model import TaskError


@dataclass(frozen=True, slots=True)
class Change:
    """A task file as it is and as it would be."""

    task: str
    file: Path
    before: bytes
    after: bytes
    patch: str
    """Relative to the run's rootdir."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A task whose file is left as it is, and why."""

    task: str
    why: str


def changes(
    proposed: Iterable[Need], rootdir: Path, environ: Mapping[str, str]
) -> tuple[list[Change], list[Refusal]]:
    """The proposals as changes of files below ``rootdir``; nothing is written."""
    made, refused = [], []
    for need in proposed:
        try:
            made.append(_change(need, rootdir, environ))
        except CannotEdit as error:
            refused.append(Refusal(need.task, str(error)))
    return made, refused


def _change(need: Need, rootdir: Path, environ: Mapping[str, str]) -> Change:
    assert need.proposal is not None
    name = need.trial.partition("::")[0]
    named = rootdir / name
    if not is_task_file(named):
        raise CannotEdit(f"{name} is no task file")
    try:
        file = named.resolve(strict=True)
        if not file.is_relative_to(rootdir.resolve()):
            raise CannotEdit(f"{named} lies outside {rootdir}; nothing is written there")
        if not file.is_file():
            raise CannotEdit(f"{named} is no regular file")
        digest = load_task(named, environ).digest
        before = file.read_bytes()
    except TaskError as error:
        raise CannotEdit(str(error)) from None
    except OSError as error:
        raise CannotEdit(
            f"{named}: {error.strerror}; --rootdir names the folder from which this path is to be "
            "looked for"
        ) from None
    if digest != need.digest:
        raise CannotEdit(
            f"{named}: the task has changed since the run, so its figures are of another task; "
            "run it again"
        )
    text = before.decode()
    after = with_guarantee(text, need.proposal)
    patch = unified_diff(file.relative_to(rootdir.resolve()).as_posix(), text, after)
    return Change(need.task, file, before, after.encode(), patch)


def put_in_place(change: Change) -> None:
    """Put the changed file in the place of the old one, as a whole, with its mode and owner.

    Raises CannotEdit when it is not what was read any more, or cannot be written.
    """
    try:
        if change.file.read_bytes() != change.before:
            raise CannotEdit(f"{change.file} was changed meanwhile; start again")
        _replace(change.file, change.after)
    except OSError as error:
        raise CannotEdit(f"{change.file}: {error.strerror}") from None


def _replace(file: Path, content: bytes) -> None:
    old = file.stat()
    descriptor, draft = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            with suppress(PermissionError):
                os.fchown(descriptor, old.st_uid, old.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
            os.fsync(descriptor)
        Path(draft).replace(file)
    except BaseException:
        with suppress(OSError):
            Path(draft).unlink()
        raise
