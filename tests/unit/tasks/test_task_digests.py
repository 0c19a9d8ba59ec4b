from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_reseval.tasks import load_task
from pytest_reseval.tasks.digest import tree_digest
from pytest_reseval.tasks.model import TaskError

MakeTask = Callable[..., Path]
Change = Callable[[Path], object]


def append(name: str) -> Change:
    def change(directory: Path) -> None:
        with (directory / name).open("a") as stream:
            stream.write("# more\n")

    return change


def chmod(name: str, mode: int) -> Change:
    return lambda directory: (directory / name).chmod(mode)


def digests(file: Path) -> tuple[str, str | None]:
    task = load_task(file, {"X": "x"})
    return task.digest, task.environment.context_digest


@pytest.mark.parametrize(
    "change",
    [
        append("task.toml"),
        append("instruction.md"),
        append("tests/test.sh"),
        append("solution/solve.sh"),
        chmod("tests/test.sh", 0o755),
        lambda directory: (directory / "tests" / "new").touch(),
        lambda directory: (directory / "tests" / "new").mkdir(),
        lambda directory: (directory / "tests" / "new").symlink_to("test.sh"),
        lambda directory: (directory / "solution" / "solve.sh").unlink(),
    ],
)
def test_the_digest_covers_what_can_move_a_score(make_task: MakeTask, change: Change) -> None:
    file = make_task("")
    whole, context = digests(file)
    change(file.parent)
    assert digests(file)[0] != whole
    assert digests(file)[1] == context


@pytest.mark.parametrize(
    "change",
    [
        append("environment/Dockerfile"),
        chmod("environment/Dockerfile", 0o755),
        lambda directory: (directory / "environment" / "new").mkdir(),
        lambda directory: (directory / "environment" / "Dockerfile").rename(
            directory / "environment" / "dockerfile"
        ),
        lambda directory: (directory / "environment" / "link").symlink_to("Dockerfile"),
    ],
)
def test_a_change_of_the_context_changes_both(make_task: MakeTask, change: Change) -> None:
    file = make_task("[metadata]\nreseval.host = true\n")
    whole, context = digests(file)
    change(file.parent)
    assert digests(file)[0] != whole
    assert digests(file)[1] != context


@pytest.mark.parametrize(
    "change",
    [
        chmod("tests/test.sh", 0o600),
        chmod("environment/Dockerfile", 0o666),
        lambda directory: os.utime(directory / "tests" / "test.sh", (1, 1)),
        lambda directory: (directory / "README.md").write_text("About this task"),
        lambda directory: (directory / ".pytest_cache").mkdir(),
    ],
)
def test_the_digest_covers_nothing_else(make_task: MakeTask, change: Change) -> None:
    file = make_task("")
    before = digests(file)
    change(file.parent)
    assert digests(file) == before


def test_a_copy_elsewhere_is_the_same_task(make_task: MakeTask, tmp_path: Path) -> None:
    file = make_task("", {"tests/b/c": "1", "tests/a": "2", "tests/b.c": "3"})
    copy = tmp_path / "copy"
    shutil.copytree(file.parent, copy, symlinks=True)
    assert digests(copy / "task.toml") == digests(file)


def test_filled_in_values_are_no_part_of_it(make_task: MakeTask) -> None:
    file = make_task("[environment.env]\nTOKEN = '${TOKEN}'")
    one, other = (load_task(file, {"TOKEN": token}) for token in ("one", "other"))
    assert one.environment.env != other.environment.env
    assert one.digest == other.digest


def test_a_part_that_is_a_link_counts_by_its_content(make_task: MakeTask) -> None:
    file = make_task("", {"tests/test.sh": None, "checks/test.sh": "true"})
    (file.parent / "tests").symlink_to("checks")
    before = load_task(file, {}).digest
    (file.parent / "checks" / "test.sh").write_text("false")
    assert load_task(file, {}).digest != before


def test_names_and_contents_are_kept_apart(tmp_path: Path) -> None:
    for directory, name, content in (("one", "a", "bc"), ("other", "ab", "c")):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / name).write_text(content)
    assert tree_digest(tmp_path / "one") != tree_digest(tmp_path / "other")


def test_names_that_are_not_text_are_digested(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff")).touch()
    one = tree_digest(tmp_path)
    (tmp_path / os.fsdecode(b"\xff")).rename(tmp_path / os.fsdecode(b"\xfe"))
    assert tree_digest(tmp_path) != one


def test_loading_reads_no_digest(make_task: MakeTask) -> None:
    """Else collecting a set with large contexts would read gigabytes in every worker."""
    file = make_task("")
    task = load_task(file, {})
    (file.parent / "tests" / "test.sh").write_text("changed after loading")
    assert task.digest == load_task(file, {}).digest


def test_a_file_that_is_gone_is_told(make_task: MakeTask) -> None:
    file = make_task("")
    task = load_task(file, {})
    shutil.rmtree(file.parent / "tests")
    with pytest.raises(TaskError, match="No such file") as caught:
        _ = task.digest
    assert caught.value.file == file.parent / "tests"
