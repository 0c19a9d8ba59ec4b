from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_reseval.plugin.isolation import conftest_anchors, names_a_task


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite of tasks whose every directory holds a conftest, which only two may be obeyed."""
    for name in ("", "tasks", "tasks/small", "tasks/test-x", "tasks/test-x/tests", "tests"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "conftest.py").touch()
    for name in ("small", "test-x"):
        (tmp_path / "tasks" / name / "task.toml").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("named", "anchors"),
    [
        (["tasks"], ["tasks"]),
        (["tasks/small"], ["tasks"]),
        (["tasks/small/task.toml"], ["tasks"]),
        (["tasks/test-x"], ["tasks"]),
        (["tasks/test-x/task.toml"], ["tasks"]),
        (["tasks/small", "tasks/test-x"], ["tasks"]),
        (["."], ["", "tests"]),
        (["tests"], ["tests"]),
        (["tests/test_a.py"], ["tests"]),
        (["tests", "tasks/small"], ["tests", "tasks"]),
        (["no/such/place"], [""]),
    ],
    ids=lambda names: "+".join(names),
)
def test_conftests_are_looked_for_outside_of_tasks_only(
    suite: Path, named: list[str], anchors: list[str]
) -> None:
    expected = [str(suite / anchor / "conftest.py") for anchor in anchors]
    assert conftest_anchors([suite / name for name in named]) == expected


def test_a_directory_without_conftests_leads_to_the_nearest_above(suite: Path) -> None:
    (suite / "tasks" / "conftest.py").unlink()
    anchors = conftest_anchors([suite / "tasks" / "test-x"])
    assert anchors == [str(suite / "conftest.py")]


def test_where_there_is_none_at_all_pytest_gets_a_place_without_any(
    suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "is_file", lambda path: path.name == "task.toml" and path.exists())
    assert conftest_anchors([suite / "tasks"]) == [os.devnull]


def test_relative_paths_are_taken_from_here(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(suite)
    assert conftest_anchors([Path("tasks/test-x")]) == [str(suite / "tasks" / "conftest.py")]


def test_task_files_and_task_directories_are_known_when_named(suite: Path) -> None:
    tasks = suite / "tasks"
    assert names_a_task([suite / "tests", tasks / "small"])
    assert names_a_task([tasks / "small" / "task.toml"])
    assert not names_a_task([suite, tasks, suite / "tests"])


def test_a_directory_of_tasks_is_known_by_their_instructions(suite: Path) -> None:
    (suite / "tasks" / "small" / "instruction.md").write_text("Do it.\n")
    assert names_a_task([suite / "tasks"])
    assert not names_a_task([suite])
