"""Task files with the specs of all 89 tasks of Terminal-Bench 2.0, in both spellings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_reseval.resources import MIB
from pytest_reseval.tasks import load_task
from tests.unit.tasks.specs import ROWS, task_file

MakeTask = Callable[..., Path]


def test_the_set_is_whole() -> None:
    assert len({row["task"] for row in ROWS}) == 89
    assert sum(row["cpus"] == "1" and row["memory_mb"] == "2048" for row in ROWS) == 69


@pytest.mark.parametrize("old", [True, False], ids=["old", "new"])
@pytest.mark.parametrize("row", ROWS, ids=[row["task"] for row in ROWS])
def test_guarantees_are_the_specs(make_task: MakeTask, row: dict[str, str], old: bool) -> None:
    composed = bool(row["custom_docker_compose"])
    files = {
        "environment/Dockerfile": f"FROM {row['base_images']}\n",
        "environment/docker-compose.yaml": "services: {}\n" if composed else None,
    }
    unitless = row["memory_raw"].isdecimal()  # such a file has the new spelling
    task = load_task(make_task(task_file(row, old=old and not unitless), files), {})

    assert task.memory_guarantee == int(row["memory_mb"]) * MIB
    assert task.storage_limit == int(row["storage_mb"]) * MIB
    assert task.cpu_guarantee == float(row["cpus"])
    assert task.agent_timeout == float(row["agent_timeout_sec"])
    assert task.verifier_timeout == float(row["verifier_timeout_sec"])
    assert task.environment.build_timeout == float(row["build_timeout_sec"])
    assert task.metadata == {"difficulty": row["difficulty"], "category": row["category"]}
    assert task.ignored_keys == ()
    assert bool(task.unsupported) is composed
