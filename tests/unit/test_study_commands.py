"""``reseval compare``, ``calibrate`` and ``show`` as they are typed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pytest_reseval.cgroups.meter import Sample
from pytest_reseval.commands import main
from pytest_reseval.outcomes import Cause, Evidence
from pytest_reseval.records import RunDirectory, TrialRecord
from pytest_reseval.resources import MIB
from pytest_reseval.study.ceiling import Candidate, Ceiling, Rule
from pytest_reseval.study.comparison import Comparison
from pytest_reseval.study.needs import Need
from pytest_reseval.tasks import load_task
from tests.unit.builders import ENFORCED, RESOURCES, make_phase, make_record
from tests.unit.study.folders import records_of, write_run

DOCS = Path(__file__).parents[2] / "docs"


def reseval(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def answered(status: int, *arguments: str | Path) -> str:
    result = reseval(*arguments)
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit | None)
    return result.output


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return write_run(
        tmp_path / "sweep",
        records_of({"1x": {"a": "ip", "b": "pp"}, "3x": {"a": "pp", "b": "pp"}}),
    )


@pytest.mark.parametrize("command", ["compare", "calibrate", "show"])
def test_help_has_an_example_and_the_exit_status(command: str) -> None:
    told = answered(0, command, "--help")
    assert f"reseval {command} reseval-runs/" in told
    assert "Exit status" in told


@pytest.mark.parametrize("command", ["compare", "calibrate", "show"])
def test_what_is_no_run_is_one_line_and_status_2(command: str, tmp_path: Path) -> None:
    told = answered(2, command, tmp_path, *([tmp_path] if command == "compare" else []))
    assert told == (
        f"Error: {tmp_path}: there is no manifest.json, so no run; name the folder of one, which "
        "pytest tells at its end\n"
    )


@pytest.mark.parametrize("command", ["compare", "calibrate"])
@pytest.mark.parametrize("missing", ["scipy", "numpy", "tomlkit"])
def test_without_the_extra_it_is_named(
    command: str, missing: str, sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("pytest_reseval.stat")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith("pytest_reseval.study")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    arguments = [command, str(sweep), *([str(sweep)] if command == "compare" else [])]
    if (command, missing) == ("compare", "tomlkit"):
        answered(0, *arguments)
    else:
        assert f"needs {missing}: pip install 'pytest-reseval[study]'" in answered(2, *arguments)


class TestCompare:
    def test_the_sentence_comes_first(self, sweep: Path) -> None:
        lines = answered(0, "compare", sweep, "-c", "1x,3x").splitlines()
        assert lines[:2] == ["A  sweep", "B  sweep"]
        assert lines[3] == "1x of A beside 3x of B"
        assert lines[4].strip().startswith("not the same test: resources (memory headroom 1x")
        assert "within noise: 25.0 points, p = 1" in lines[5]

    def test_equal_runs(self, sweep: Path) -> None:
        told = answered(0, "compare", sweep, sweep)
        assert told.count("same test") == 2

    def test_json_is_the_decision(self, sweep: Path) -> None:
        told = json.loads(answered(0, "compare", sweep, "-c", "1x,3x", "--json"))
        assert told["schema"] == 1
        (one,) = told["comparisons"]
        assert one.keys() == {field.name for field in fields(Comparison)}
        assert (one["finding"], one["contrast"]["score"]["value"]) == ("within-noise", 0.25)

    def test_what_is_missing_of_an_interrupted_run_is_told(
        self, sweep: Path, tmp_path: Path
    ) -> None:
        records = records_of({"3x": {"a": "p"}})
        cut = write_run(tmp_path / "cut", records, order=(records[0].trial, "more", "and more"))
        told = answered(0, "compare", sweep, cut)
        assert "B is not complete: 2 trials have no verdict" in told
        assert "trials not compared: 3 in A alone" in told

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ([], "one run alone"),
            (["-c", "1x"], "both are the same"),
            (["-c", "1x,1x"], "both are the same"),
            (["-c", "1x,"], "write one label"),
            (["-c", "1x,2x"], "sweep has no configuration 2x; sweep has 1x, 3x"),
        ],
    )
    def test_configurations_that_cannot_be(
        self, arguments: Sequence[str], told: str, sweep: Path
    ) -> None:
        assert told in answered(2, "compare", sweep, *arguments)

    def test_names_from_tasks_move_no_cursor(self, tmp_path: Path) -> None:
        run = write_run(tmp_path / "r", records_of({"1x": {"a\x1b[2J": "p"}}), agent="\x1b[2J")
        other = write_run(tmp_path / "s", records_of({"1x": {"a\x1b[2J": "f"}}))
        assert "\x1b" not in answered(0, "compare", run, other)


def killed_and_calm(task: Path, rootdir: Path) -> list[TrialRecord]:
    digest = load_task(task, {}).digest
    name = task.relative_to(rootdir)
    records = []
    for headroom, cause, peak in (("1x", Cause.OOM_LIMIT, 128), ("uncapped", Cause.SOLVED, 200)):
        phase = make_phase(
            peak=peak * MIB, nonreclaimable_peak=peak * MIB, oom_kill=int(headroom == "1x")
        )
        limit = 128 * MIB if headroom == "1x" else None
        record = make_record(
            task.parent.name,
            cause,
            configuration=headroom,
            trial=f"{name}::run[{headroom}-s0]",
            task_digest=digest,
        )
        resources = replace(RESOURCES, memory_limit=limit)
        records.append(replace(record, evidence=Evidence(resources, ENFORCED, phases=(phase,))))
    return records


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    for name, memory in (("a", "memory_mb = 128  # a"), ("b b", 'memory = "128M"')):
        folder = tmp_path / "tasks" / name
        (folder / "tests").mkdir(parents=True)
        (folder / "tests" / "test.sh").write_text("")
        (folder / "instruction.md").write_text("Do it.\n")
        (folder / "task.toml").write_text(
            f"[metadata]\nreseval.host = true\n\n[environment]\n{memory}\n"
        )
    return tmp_path / "tasks"


@pytest.fixture
def calibrated(tasks: Path, tmp_path: Path) -> Path:
    records = [
        record
        for task in sorted(tasks.glob("*/task.toml"))
        for record in killed_and_calm(task, tmp_path)
    ]
    return write_run(tmp_path / "run", records, rootdir=str(tmp_path))


class TestCalibrate:
    def test_none_is_named_with_status_1_and_what_would_change_is_told(
        self, calibrated: Path
    ) -> None:
        told = answered(1, "calibrate", calibrated)
        assert "ceiling  none can be named" in told
        assert "memory guarantees  2 too low" in told
        assert "2 task files would change" in told

    def test_a_named_ceiling_is_status_0(self, tmp_path: Path) -> None:
        calm = {f"t{number}": "p" for number in range(300)}
        run = write_run(tmp_path / "r", records_of({"1x": calm, "3x": calm}))
        assert "ceiling  1x" in answered(0, "calibrate", run)

    def test_patch_and_write_come_to_the_same(
        self, calibrated: Path, tasks: Path, tmp_path: Path
    ) -> None:
        before = {file: file.read_text() for file in tasks.glob("*/task.toml")}
        answered(1, "calibrate", calibrated, "--patch", tmp_path / "p.diff")
        assert {file: file.read_text() for file in before} == before
        result = reseval("calibrate", calibrated, "--patch", "-")
        assert result.stdout == (tmp_path / "p.diff").read_text()
        assert "memory guarantees" in result.stderr
        answered(1, "calibrate", calibrated, "--write")
        for file, text in before.items():
            assert load_task(file, {}).memory_guarantee == 256 * MIB
            assert file.read_text() == text.replace("128", "256")
        assert result.stdout.count("+memory") == 2

    def test_written_once_it_is_another_task(self, calibrated: Path) -> None:
        answered(1, "calibrate", calibrated, "--write")
        told = answered(2, "calibrate", calibrated, "--write")
        assert told.count("has changed since the run") == 2

    def test_one_that_has_changed_is_named_and_the_other_done(
        self, calibrated: Path, tasks: Path
    ) -> None:
        (tasks / "a" / "instruction.md").write_text("Do another thing.\n")
        told = answered(2, "calibrate", calibrated, "--write")
        assert "not changed: a: " in told
        assert load_task(tasks / "a" / "task.toml", {}).memory_guarantee == 128 * MIB
        assert load_task(tasks / "b b" / "task.toml", {}).memory_guarantee == 256 * MIB

    def test_tasks_may_have_moved(self, calibrated: Path, tasks: Path, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        tasks.rename(tmp_path / "elsewhere" / "tasks")
        assert "--rootdir" in answered(2, "calibrate", calibrated, "--write")
        answered(1, "calibrate", calibrated, "--write", "--rootdir", tmp_path / "elsewhere")
        moved = tmp_path / "elsewhere" / "tasks" / "a" / "task.toml"
        assert load_task(moved, {}).memory_guarantee == 256 * MIB

    def test_json_is_the_decision(self, calibrated: Path) -> None:
        told = json.loads(answered(1, "calibrate", calibrated, "--json"))
        assert told["ceiling"].keys() == {field.name for field in fields(Ceiling)}
        assert told["needs"][0].keys() == {field.name for field in fields(Need)}
        assert told["ceiling"]["rule"]["cut"] == 0.5
        assert told["needs"][0]["proposal"] == 256 * MIB
        assert "+memory_mb = 256" in told["patch"]
        assert told["refused"] == []

    def test_json_and_patch_cannot_share_standard_output(self, calibrated: Path) -> None:
        assert "both want" in answered(2, "calibrate", calibrated, "--json", "--patch", "-")

    def test_a_patch_that_cannot_be_written_is_told(self, calibrated: Path, tmp_path: Path) -> None:
        told = answered(2, "calibrate", calibrated, "--patch", tmp_path / "no" / "p.diff")
        assert "No such file" in told


class TestShow:
    def test_without_a_trial_all_are_listed(self, sweep: Path) -> None:
        lines = answered(0, "show", sweep).splitlines()
        assert lines[0].split() == ["trial", "outcome", "cause", "peak", "took"]
        assert [line.split()[0] for line in lines[1:]] == [
            "a[1x-s0]",
            "a[1x-s1]",
            "a[3x-s0]",
            "a[3x-s1]",
            *("b[1x-s0]", "b[1x-s1]", "b[3x-s0]", "b[3x-s1]"),
        ]

    def test_by_outcome(self, sweep: Path) -> None:
        lines = answered(0, "show", sweep, "--outcome", "infra-error").splitlines()
        assert [line.split()[0] for line in lines[1:]] == ["a[1x-s0]"]

    def test_one_trial_with_all_that_is_behind_it(self, tmp_path: Path) -> None:
        (record,) = records_of({"1x": {"a": "i"}})
        phase = make_phase(peak=100 * MIB, oom_kill=3, disk_peak=None)
        told = replace(
            record,
            evidence=Evidence(RESOURCES, ENFORCED, phases=(phase,), reward=0.0),
            message="a \x1b[2J message",
            earlier=(record.attempt,),
        )
        run = write_run(tmp_path / "r", [told])
        files = RunDirectory(run).attempt_files(record.trial, 2)
        files.write_log("agent", "one\n" * 50 + "the \x1b[31mend\n")
        files.write_series(
            "series", 0.0, [Sample(t / 10, 0, 0, t * MIB, t * MIB, t / 10, 0, 1) for t in range(9)]
        )
        text = answered(0, "show", run, "a[1x-s0]")
        assert "infra-error (oom-limit): a \\x1b[2J message" in text
        assert "\x1b" not in text
        for line in (
            r"  memory limit        256 MiB             256 MiB",
            r"  processes killed for memory         3",
            r"  peak on disk                        -",
            r"    | the \x1b[31mend",
            r"    memory          ▁▂▃▄▅▆▇██  at most 8 MiB",
        ):
            assert line in text.splitlines(), text
        assert text.count("    | one") == 11
        assert "  2        infra-error" in text

    def test_a_trial_that_never_had_a_sandbox(self, tmp_path: Path) -> None:
        record = replace(make_record("a", Cause.IMAGE_BUILD), evidence=Evidence(RESOURCES, None))
        text = answered(0, "show", write_run(tmp_path / "r", [record]), "a")
        assert "no sandbox was started" in text
        assert "no phase was reached" in text

    def test_an_unknown_or_ambiguous_trial_is_status_2(self, sweep: Path) -> None:
        assert "part of 4 trials" in answered(2, "show", sweep, "a[")
        assert "near it: a[1x-s0]" in answered(2, "show", sweep, "a1x-s0]")
        assert "leave out one" in answered(2, "show", sweep, "a", "--outcome", "passed")

    def test_it_needs_no_extra(self, sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("numpy", "scipy", "tomlkit"):
            monkeypatch.setitem(sys.modules, name, None)
        answered(0, "show", sweep)


@pytest.mark.parametrize("written", [Comparison, Ceiling, Candidate, Rule, Need])
def test_what_the_json_has_is_explained(written: type) -> None:
    document = DOCS / ("compare.md" if written is Comparison else "calibrate.md")
    text = document.read_text()
    assert not [field.name for field in fields(written) if f"`{field.name}`" not in text]
