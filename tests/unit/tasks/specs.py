"""The specs of all 89 tasks of Terminal-Bench 2.0, as task files."""

from __future__ import annotations

import csv
from pathlib import Path

SPECS = Path(__file__).parents[2] / "data" / "terminal_bench_2_specs.csv"

with SPECS.open(newline="") as stream:
    ROWS = list(csv.DictReader(stream))


def task_file(row: dict[str, str], *, old: bool) -> str:
    """A task file of a row, in the older or the newer spelling of sizes."""
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
