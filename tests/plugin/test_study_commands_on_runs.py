"""A real run of the local engine, read by every command; its tasks patched, and run again."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pytest_reseval.commands import main
from pytest_reseval.engines.local import LocalEngine
from pytest_reseval.tasks import load_task
from tests.plugin.conftest import HOG, MakeTask

pytestmark = pytest.mark.root

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def limited(local_engine: None) -> None:
    """Skips where no kernel holds limits: a watchdog may look too late to kill."""
    engine = LocalEngine()
    try:
        if engine.info.cgroup_version is None:
            pytest.skip("no cgroup can be written here")
    finally:
        engine.close()


def reseval(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def _starts(result: Result, words: int) -> list[list[str]]:
    return [line.split()[:words] for line in result.output.splitlines()]


def test_a_run_is_shown_compared_and_calibrated_and_its_patch_holds(
    pytester: pytest.Pytester, limited: None, make_task: MakeTask, run: Run, tmp_path: Path
) -> None:
    hog = make_task("hog", solve=HOG) / "task.toml"
    make_task("plain")
    first = run("--reseval-headroom=1x,uncapped")
    assert first.parseoutcomes() == {"passed": 3, "infra": 1}
    results = pytester.path / "results"

    listed = reseval("show", results)
    assert ["hog[1x-s0]", "infra-error", "oom-limit"] in _starts(listed, 3)
    shown = reseval("show", results, "hog[uncapped")
    assert shown.exit_code == 0
    assert "passed (solved): reward 1" in shown.output
    assert "▁" in shown.output

    compared = reseval("compare", results, "--configuration", "1x,uncapped")
    assert compared.exit_code == 0
    assert "resources (memory headroom 1x against uncapped" in compared.output
    assert ["hog", "0/1", "1/1"] in _starts(compared, 3)

    (tmp_path / "copy").mkdir()
    subprocess.run(["cp", "-a", pytester.path / "tasks", tmp_path / "copy"], check=True)
    patch = tmp_path / "specs.diff"
    calibrated = reseval("calibrate", results, "--patch", patch, "--write")
    assert calibrated.exit_code == 1, calibrated.output
    assert "1 too low" in calibrated.output
    guarantee = load_task(hog, {}).memory_guarantee
    assert guarantee is not None
    assert guarantee > 200 << 20
    subprocess.run(["git", "apply", patch], cwd=tmp_path / "copy", check=True)
    assert (tmp_path / "copy/tasks/hog/task.toml").read_bytes() == hog.read_bytes()

    again = pytester.runpytest_subprocess(
        "tasks",
        "--reseval-engine=local",
        "--reseval-headroom=1x",
        f"--reseval-ledger={pytester.path}/ledger",
        f"--reseval-results={pytester.path}/again",
    )
    again.assert_outcomes(passed=2)
    compared = reseval("compare", results, pytester.path / "again")
    assert "not the same test: resources (memory guarantee of hog" in compared.output
    assert "tasks not compared, since their files differ: 1 (hog)" in compared.output
