"""Task files found through a run's records, and replaced as a whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_reseval.resources import MIB
from pytest_reseval.study.needs import Need, needs
from pytest_reseval.study.specs import CannotEdit
from pytest_reseval.study.taskfiles import changes, put_in_place
from pytest_reseval.tasks import load_task
from tests.unit.study.folders import records_of


@pytest.fixture
def task(tmp_path: Path) -> Path:
    return make_task(tmp_path / "tasks" / "unpack")


def make_task(folder: Path, memory: str = "memory_mb = 64  # low") -> Path:
    (folder / "tests").mkdir(parents=True)
    (folder / "tests" / "test.sh").write_text("echo 1 > /logs/verifier/reward.txt\n")
    (folder / "instruction.md").write_text("Unpack it.\n")
    file = folder / "task.toml"
    file.write_text(f"[metadata]\nreseval.host = true\n[environment]\n{memory}\n")
    return file


def proposed(file: Path, rootdir: Path, amount: int = 256 * MIB) -> Need:
    """A need of the task as it is now."""
    (record,) = records_of({"1x": {"unpack": "p"}}, digest=load_task(file, {}).digest)
    name = file.relative_to(rootdir)
    (need,) = needs([replace(record, trial=f"{name}::run[1x-s0]")])
    return replace(need, proposal=amount)


def test_the_loader_reads_the_new_guarantee(task: Path, tmp_path: Path) -> None:
    (change,), refused = changes([proposed(task, tmp_path)], tmp_path, {})
    assert not refused
    assert task.read_bytes() == change.before
    put_in_place(change)
    assert load_task(task, {}).memory_guarantee == 256 * MIB
    assert "memory_mb = 256  # low\n" in task.read_text()
    assert [path.name for path in task.parent.iterdir() if path.is_file()].count("task.toml") == 1
    assert not list(task.parent.glob(".task*"))
    assert change.patch.startswith("--- a/tasks/unpack/task.toml\n+++ b/tasks/unpack/task.toml\n")


def test_the_mode_stays(task: Path, tmp_path: Path) -> None:
    task.chmod(0o640)
    (change,), _ = changes([proposed(task, tmp_path)], tmp_path, {})
    put_in_place(change)
    assert task.stat().st_mode & 0o777 == 0o640


def test_a_task_that_has_changed_is_refused_and_others_are_done(task: Path, tmp_path: Path) -> None:
    other = make_task(tmp_path / "tasks" / "pack", 'memory = "64M"')
    both = [proposed(task, tmp_path), proposed(other, tmp_path)]
    (task.parent / "instruction.md").write_text("Pack it.\n")
    made, (refusal,) = changes(both, tmp_path, {})
    assert "has changed since the run" in refusal.why
    assert [change.file for change in made] == [other]
    assert b'memory = "256M"' in made[0].after


@pytest.mark.parametrize("how", ["up", "link", "absolute"])
def test_nothing_outside_the_rootdir_is_touched(how: str, task: Path, tmp_path: Path) -> None:
    rootdir = tmp_path / "root"
    (rootdir / "tasks").mkdir(parents=True)
    (rootdir / "link").symlink_to(task.parent)
    name = {"up": "../tasks/unpack/task.toml", "link": "link/task.toml", "absolute": str(task)}[how]
    need = replace(proposed(task, tmp_path), trial=f"{name}::run[1x-s0]")
    made, (refusal,) = changes([need], rootdir, {})
    assert not made
    assert "outside" in refusal.why


def test_a_link_within_the_rootdir_changes_what_it_leads_to(task: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(task.parent)
    need = replace(proposed(task, tmp_path), trial="link/task.toml::run[1x-s0]")
    (change,), _ = changes([need], tmp_path, {})
    put_in_place(change)
    assert load_task(task, {}).memory_guarantee == 256 * MIB
    assert (tmp_path / "link").is_symlink()
    assert "b/tasks/unpack/task.toml" in change.patch


@pytest.mark.parametrize("trial", ["tasks/gone/task.toml::run[1x-s0]", "tests/test_a.py::test_a"])
def test_what_is_not_there_is_told(trial: str, task: Path, tmp_path: Path) -> None:
    need = replace(proposed(task, tmp_path), trial=trial)
    made, (refusal,) = changes([need], tmp_path, {})
    assert not made
    assert "--rootdir" in refusal.why or "no task file" in refusal.why


def test_a_task_file_with_a_mistake_is_told(task: Path, tmp_path: Path) -> None:
    need = proposed(task, tmp_path)
    task.write_text("[environment]\nmemory_mb = 'x'\n")
    made, (refusal,) = changes([need], tmp_path, {})
    assert not made
    assert "whole number" in refusal.why


def test_a_file_that_changes_meanwhile_is_not_overwritten(task: Path, tmp_path: Path) -> None:
    (change,), _ = changes([proposed(task, tmp_path)], tmp_path, {})
    task.write_text("# mine\n")
    with pytest.raises(CannotEdit, match="meanwhile"):
        put_in_place(change)
    assert task.read_text() == "# mine\n"
