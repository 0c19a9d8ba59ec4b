"""Runs of every format that can be compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_reseval.outcomes import Outcome
from pytest_reseval.records import Resumption
from pytest_reseval.runs import UnreadableRun
from pytest_reseval.study.comparable import Weight
from pytest_reseval.study.comparison import compare
from pytest_reseval.study.readers import read_comparable
from pytest_reseval.study.readers.folder import task_names
from tests.unit.study.folders import records_of, write_run


def test_a_folder_tells_results_and_terms(tmp_path: Path) -> None:
    records = records_of({"1x": {"a": "pi"}, "3x-time2x": {"a": "p"}})
    run = read_comparable(
        write_run(tmp_path / "r", records, order=(*(one.trial for one in records), "more"))
    )
    assert [(one.task, one.configuration, one.sample) for one in run.results] == [
        ("a", "1x", 0),
        ("a", "1x", 1),
        ("a", "3x-time2x", 0),
    ]
    assert run.unfinished == 1
    assert run.configurations["3x-time2x"] == {
        "resources.memory headroom": "3x",
        "resources.cpu headroom": "3x",
        "resources.timeout scale": 2.0,
    }
    assert {key.partition(".")[0] for key in run.terms} <= {*Weight}
    assert run.terms["agent.agent"] == "oracle"
    assert run.terms["environment.kernel"] == "6.12"
    assert run.results[0].resources is not None


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ("oom", "rules.oom"),
        ("infra_retries", "rules.infra retries"),
        ("default_memory", "resources.default memory"),
        ("a_later_one", "environment.a later one"),
    ],
)
def test_options_that_move_scores_are_terms(option: str, key: str, tmp_path: Path) -> None:
    run, other = (
        read_comparable(
            write_run(tmp_path / text, records_of({"1x": {"a": "p"}}), options={option: text})
        )
        for text in "rs"
    )
    (differs,) = compare(run, other)[0].sameness.differences
    assert (f"{differs.weight}.{differs.name}", differs.before, differs.after) == (key, "r", "s")


def test_the_seed_and_the_number_of_workers_are_no_difference_of_test(tmp_path: Path) -> None:
    records = records_of({"1x": {"a": "p"}})
    run = read_comparable(write_run(tmp_path / "r", records))
    other = read_comparable(write_run(tmp_path / "s", records, seed=9, workers=7, started="later"))
    found = compare(run, other)[0].sameness
    assert found.told == "same test"
    assert {one.name for one in found.differences} == {"seed", "workers", "started"}


def test_what_changed_while_a_run_was_gone_on_with_is_a_term(tmp_path: Path) -> None:
    resumed = Resumption("then", (), 1, {"host.kernel": "6.13", "options.samples": "5"})
    run = read_comparable(
        write_run(tmp_path / "r", records_of({"1x": {"a": "p"}}), resumed=(resumed,))
    )
    assert run.terms["environment.kernel after going on"] == "6.13"
    assert not [key for key in run.terms if "samples" in key]


def test_tasks_of_one_name_in_two_places_stay_apart() -> None:
    first, second = records_of({"1x": {"a": "p"}, "3x": {"a": "p"}})
    other = replace(first, trial="more/a/task.toml::run[1x-s0]")
    assert task_names((first, second)) == {first.trial: "a", second.trial: "a"}
    named = task_names((first, second, other))
    assert named[first.trial] == named[second.trial] == "tasks/a/task.toml::run"
    assert named[other.trial] == "more/a/task.toml::run"


def test_parameters_of_tests_stay_apart() -> None:
    (record,) = records_of({"1x": {"a": "p"}})
    one = replace(record, trial="test_a.py::test_a[b-1x-s0-x]")
    two = replace(record, trial="test_a.py::test_a[b-1x-s0-y]")
    assert len(set(task_names((one, two)).values())) == 2


def test_a_table_has_results_and_no_resources(tmp_path: Path) -> None:
    file = tmp_path / "others.csv"
    file.write_text("task,sample,outcome\na,0,passed\na,1,failed\n\nb,0,infra-error\n")
    run = read_comparable(file)
    assert [one.outcome for one in run.results] == [*Outcome]
    assert run.labels == ["unknown"]
    found = compare(run, run)[0]
    assert found.sameness.resources == "unknown"
    assert found.finding == "not-interpretable"


def test_a_table_stands_beside_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "others.csv"
    file.write_text("task,sample,outcome\na,0,passed\n")
    folder = write_run(tmp_path / "r", records_of({"3x": {"a": "p"}}))
    (found,) = compare(read_comparable(folder), read_comparable(file))
    assert found.configurations == ("3x", "unknown")
    assert found.contrast.score.pairs == 1
    assert "agent (unknown on one side)" in found.sameness.told
    assert len({one.weight for one in found.sameness.differences}) == len(
        found.sameness.differences
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "first line"),
        ("task,outcome\na,passed\n", "first line is not task,sample,outcome"),
        ("task,sample,outcome\na,0\n", "line 2 has 2 values"),
        ("task,sample,outcome\na,-1,passed\n", "line 2: sample '-1'"),
        ("task,sample,outcome\na,0,ok\n", "line 2: outcome 'ok': write passed, failed"),
        ("task,sample,outcome\na,0,passed\na,0,failed\n", "line 3: sample 0 of 'a' is there twice"),
        ('task,sample,outcome\n"a,0,passed\n', "no CSV"),
        ("task,sample,outcome\n\xff,0,passed\n", "no CSV"),
    ],
)
def test_a_bad_table_is_told_with_its_line(content: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "others.csv"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(UnreadableRun, match=told):
        read_comparable(file)


@pytest.mark.parametrize("name", ["nowhere", "nowhere.csv"])
def test_what_is_not_there_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableRun, match=name):
        read_comparable(tmp_path / name)


def test_configurations_come_from_the_tightest_to_the_loosest(tmp_path: Path) -> None:
    records = records_of({label: {"a": "p"} for label in ("uncapped", "10x", "1x", "3x")})
    run = read_comparable(write_run(tmp_path / "run", records))
    assert run.labels == ["1x", "3x", "10x", "uncapped"]
