"""A bound on disk use, kept by real pytest processes over real sandboxes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_reseval.engines.local import rootfs, state
from tests.plugin.conftest import SOLVE, MakeTask

Run = Callable[..., pytest.RunResult]
Records = Callable[[], dict[str, dict[str, Any]]]

INFRA_ONLY = 75
MIB = 1 << 20
FILL = f"{SOLVE}; head -c 200M /dev/zero > /var/tmp/file"
GONE = (
    f"{SOLVE}; exec 9>/var/tmp/file; rm /var/tmp/file; head -c 200M /dev/zero >&9; exec sleep 600"
)


@pytest.fixture
def sandboxes(local_engine: None) -> Path:
    """Where the local engine's sandboxes have their files."""
    return state.choose_directory(rootfs.mountpoints(Path("/proc/self/mountinfo").read_text()))


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_overfilling_is_an_outcome_and_leaves_nothing(
    make_task: MakeTask, run: Run, records: Records, sandboxes: Path, workers: str
) -> None:
    make_task("modest", toml="storage_mb = 100")
    make_task("greedy", solve=FILL, toml="storage_mb = 50")
    make_task("hidden", solve=GONE, toml="storage_mb = 50")
    before = set(sandboxes.iterdir())
    result = run(workers)
    assert result.ret == INFRA_ONLY
    found = {line["task"]: line for line in records().values()}
    assert {task: line["cause"] for task, line in found.items()} == {
        "modest": "solved",
        "greedy": "disk-limit",
        "hidden": "disk-limit",
    }
    for task in ("greedy", "hidden"):
        [agent] = found[task]["evidence"]["phases"]
        assert 50 * MIB < agent["disk_peak"] < 201 * MIB
        assert "more than its bound of 50 MiB (polled)" in found[task]["message"]
    assert found["modest"]["evidence"]["phases"][0]["disk_peak"] < 50 * MIB
    assert found["modest"]["evidence"]["enforced"]["storage_limit"] == 100 * MIB
    assert found["modest"]["evidence"]["enforced"]["storage_by"] == "polled"
    assert not [entry for entry in set(sandboxes.iterdir()) - before if state.is_orphan(entry.name)]
    result.stdout.fnmatch_lines(["*disk use is bounded by polling*", "*2 disk-limit*"])


def test_what_a_task_does_not_state_comes_from_the_ini_file(
    make_task: MakeTask, run: Run, records: Records, pytester: pytest.Pytester
) -> None:
    make_task("greedy", solve=FILL)
    assert run().ret == 0
    pytester.makeini("[pytest]\nreseval_default_storage = 50MiB\n")
    (pytester.path / "results" / "trials.jsonl").unlink()
    assert run().ret == INFRA_ONLY
    assert [line["cause"] for line in records().values()] == ["disk-limit"]


def test_a_test_that_overfills_its_sandbox(
    make_task: MakeTask, run: Run, records: Records, pytester: pytest.Pytester
) -> None:
    pytester.makeini("[pytest]\nreseval_default_storage = 50MiB\n")
    pytester.makepyfile(
        """
        def test_fills(sandbox):
            sandbox.exec("head -c 200M /dev/zero > /var/tmp/file; exec sleep 600", timeout=120)
        """
    )
    assert run(".", tasks="").ret == INFRA_ONLY
    assert [line["cause"] for line in records().values()] == ["disk-limit"]
