"""Task files with the specs of all 89 tasks of Terminal-Bench 2.0, in both spellings."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_reseval.resources import MIB
from pytest_reseval.tasks import load_task

MakeTask = Callable[..., Path]
SPECS = Path(__file__).parents[2] / "data" / "terminal_bench_2_specs.csv"

with SPECS.open(newline="") as stream:
    ROWS = list(csv.DictReader(stream))


def task_file(row: dict[str, str], *, old: bool) -> str:
    resources = (
        f'memory = "{row["memory_raw"]}"\nstorage = "{row["storage_raw"]}"'
        if old
        else f"memory_mb = {row['memory_mb']}\nstorage_mb = {row['storage_mb']}"
    )
    return f"""
        {'version = "1.0"' if old else 'schema_version = "1.4"'}
        [metadata]
        difficulty = "{row["difficulty"]}"
        category = "{row["category"]}"
        [agent]
        timeout_sec = {row["agent_timeout_sec"]}
        [verifier]
        timeout_sec = {row["verifier_timeout_sec"]}
        [environment]
        build_timeout_sec = {row["build_timeout_sec"]}
        cpus = {row["cpus"]}
        {resources}
    """


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
