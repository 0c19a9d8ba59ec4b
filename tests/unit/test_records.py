from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, is_dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import execnet
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_reseval.cgroups.meter import Sample
from pytest_reseval.outcomes import Cause
from pytest_reseval.records import Attempt, Manifest, RunDirectory, TrialRecord
from pytest_reseval.resources import MIB, Resources
from tests.unit.builders import RESOURCES, make_manifest, make_phase, make_record

HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J",
    "a\nb\r\nc\u2028d",
    "\x00\x01\x7f\x9b",
    "\udcff\ud800",
    "\u202egnp.exe",
    '"}\n{"trial": "forged"}\n',
    "é漢😀",
)


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "deep" / "run")


texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp"]), max_size=4),
)
undecodable = st.one_of(st.text(max_size=8), st.sampled_from(HOSTILE))
figures = st.one_of(
    st.floats(0, allow_infinity=False),
    st.sampled_from([5e-324, 1e-7, 1e22, 1.7976931348623157e308]),
)
amounts = st.integers(0, 2**63 - 1)


def any_of(kind: Any, words: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Any value of a field's type; what is added to the records is covered without being named."""
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: words,
        float: figures,
        int: amounts,
        bool: st.booleans(),
        type(None): st.none(),
        Any: st.one_of(st.none(), words, amounts, figures),
        Resources: st.sampled_from([RESOURCES, replace(RESOURCES, memory_limit=None)]),
    }
    if kind in plain:
        return plain[kind]
    arguments = get_args(kind)
    match get_origin(kind):
        case None if isinstance(kind, type) and is_dataclass(kind):
            hints = get_type_hints(kind)
            return st.builds(
                kind, **{field.name: any_of(hints[field.name], words) for field in fields(kind)}
            )
        case None:
            return st.sampled_from(list(kind))
        case origin if origin is Literal:
            return st.sampled_from(arguments)
        case origin if origin is tuple:
            return st.lists(any_of(arguments[0], words), max_size=2).map(tuple)
        case origin if origin is Mapping:
            return st.dictionaries(texts, any_of(arguments[1], words), max_size=2)
        case _:
            return st.one_of(*(any_of(argument, words) for argument in arguments))


records: st.SearchStrategy[TrialRecord] = any_of(TrialRecord, texts)
manifests: st.SearchStrategy[Manifest] = any_of(Manifest, texts)


def as_said(value: Any) -> Any:
    """The value as JSON has it, with a question mark for all that is no text in UTF-8."""
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case dict():
            return {as_said(key): as_said(entry) for key, entry in value.items()}
        case list() | tuple():
            return [as_said(entry) for entry in value]
        case _:
            return value


@settings(max_examples=50)
@given(records)
def test_a_record_survives_the_way_through_builtins(record: TrialRecord) -> None:
    plain = record.builtins()
    assert TrialRecord.from_builtins(plain) == record
    assert TrialRecord.from_builtins(json.loads(json.dumps(plain))) == record
    assert TrialRecord.from_builtins(execnet.loads(execnet.dumps(plain))) == record


@settings(max_examples=25)
@given(st.lists(records, max_size=4))
def test_what_was_appended_is_read_in_order(
    tmp_path_factory: pytest.TempPathFactory, written: list[TrialRecord]
) -> None:
    directory = RunDirectory(tmp_path_factory.mktemp("run"))
    for record in written:
        directory.append(record)
    assert list(directory.read()) == written
    assert directory.missing(written) == []


@settings(max_examples=25)
@given(any_of(TrialRecord, undecodable), records)
def test_a_record_of_anything_is_one_line_that_is_read_back_as_far_as_it_can_be_said(
    tmp_path_factory: pytest.TempPathFactory, hostile: TrialRecord, next_one: TrialRecord
) -> None:
    directory = RunDirectory(tmp_path_factory.mktemp("run"))
    directory.append(hostile)
    directory.append(next_one)
    first, second = directory.trials.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    assert json.loads(first) == as_said(hostile.builtins())
    assert json.loads(second) == as_said(next_one.builtins())
    found, next_found = directory.read()
    assert as_said(found.builtins()) == as_said(hostile.builtins())
    assert next_found == next_one


@settings(max_examples=25)
@given(any_of(TrialRecord, undecodable))
def test_an_obituary_of_anything_is_found_by_its_trial(
    tmp_path_factory: pytest.TempPathFactory, obituary: TrialRecord
) -> None:
    directory = RunDirectory(tmp_path_factory.mktemp("run"))
    directory.announce(obituary)
    found = directory.obituary(obituary.trial)
    assert found is not None
    assert as_said(found.builtins()) == as_said(obituary.builtins())
    directory.retract(obituary.trial)
    assert directory.obituary(obituary.trial) is None


@settings(max_examples=25)
@given(manifests, any_of(Manifest, undecodable))
def test_a_manifest_is_read_as_it_was_written_as_far_as_it_can_be_said(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest, hostile: Manifest
) -> None:
    directory = RunDirectory(tmp_path_factory.mktemp("run"))
    directory.write_manifest(hostile)
    found = msgspec.to_builtins(directory.read_manifest())
    assert as_said(found) == as_said(msgspec.to_builtins(hostile))
    directory.write_manifest(manifest)
    assert directory.read_manifest() == manifest


@settings(max_examples=25)
@given(records)
def test_an_attempt_is_what_its_record_said_of_it(record: TrialRecord) -> None:
    later = replace(record, earlier=(*record.earlier, record.attempt))
    kept = TrialRecord.from_builtins(json.loads(json.dumps(later.builtins()))).earlier[-1]
    assert kept == record.attempt
    assert all(
        getattr(kept, field.name) == getattr(record, field.name) for field in fields(Attempt)
    )


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_record_is_one_line_of_json_whatever_is_in_it(directory: RunDirectory, text: str) -> None:
    hostile = make_record(
        task=text, message=text, phases=[make_phase(output_tail=text)], configuration=text
    )
    directory.append(hostile)
    directory.append(make_record())
    first, second = directory.trials.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    assert json.loads(first)["outcome"] == "passed"
    assert json.loads(second)["task"] == "unpack"
    assert [record.sample for record in directory.read()] == [0, 0]


def test_a_line_of_before_there_were_conditions_is_still_read(directory: RunDirectory) -> None:
    earlier = (make_record(cause=Cause.OOM_LIMIT).attempt,)
    plain = make_record(earlier=earlier).builtins()
    del plain["conditions"], plain["earlier"][0]["conditions"]
    directory.path.mkdir(parents=True)
    directory.trials.write_bytes(msgspec.json.encode(plain) + b"\n")
    (record,) = directory.read()
    assert record == make_record(earlier=earlier)
    assert record.conditions is None


def test_nothing_is_read_where_nothing_was_written(directory: RunDirectory) -> None:
    assert list(directory.read()) == []
    assert not directory.path.exists()


def test_a_torn_last_line_is_passed_over(directory: RunDirectory) -> None:
    directory.append(make_record("one"))
    with directory.trials.open("ab") as file:
        file.write(b'{"trial":"torn","ta')
    assert [record.task for record in directory.read()] == ["one"]


@pytest.mark.parametrize("torn", [b'{"trial":"torn","ta', b"x" * 100_000])
def test_a_torn_line_does_not_spoil_the_next_one(directory: RunDirectory, torn: bytes) -> None:
    directory.append(make_record("one"))
    with directory.trials.open("ab") as file:
        file.write(torn)
    directory.append(make_record("two"))
    assert [record.task for record in directory.read()] == ["one", "two"]


def test_a_file_that_is_nothing_but_torn_begins_anew(directory: RunDirectory) -> None:
    directory.path.mkdir(parents=True)
    directory.trials.write_bytes(b'{"tri')
    directory.append(make_record("one"))
    assert [record.task for record in directory.read()] == ["one"]


def test_many_writers_never_mix_their_lines(directory: RunDirectory) -> None:
    tasks = [f"task-{number}" for number in range(40)]
    phases = [make_phase(output_tail="x" * 20_000)]
    written = [make_record(task, phases=phases) for task in tasks]
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        list(pool.map(directory.append, written))
    assert sorted(record.task for record in directory.read()) == sorted(tasks)


def test_a_line_that_does_not_fit_on_the_disk_is_taken_back(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.append(make_record("one"))
    real = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda fd, data: real(fd, data[: len(data) // 2]))
        with pytest.raises(OSError, match="No space left"):
            directory.append(make_record("two"))
    directory.append(make_record("three"))
    assert [record.task for record in directory.read()] == ["one", "three"]


def test_the_peak_is_the_highest_of_all_phases() -> None:
    phases = [make_phase(peak=MIB), make_phase("verifier", peak=3 * MIB), make_phase(peak=None)]
    assert make_record(phases=phases).peak == 3 * MIB
    assert make_record(phases=[make_phase(peak=None)]).peak is None
    assert make_record().peak is None


def test_an_obituary_stands_until_it_is_retracted(directory: RunDirectory) -> None:
    first, second = (make_record(task, Cause.WORKER_CRASH) for task in ("one", "two"))
    directory.announce(first)
    directory.announce(second)
    directory.retract(second.trial)
    assert directory.obituary(first.trial) == first
    assert directory.obituary(second.trial) is None


def test_a_trial_that_was_not_announced_has_no_obituary(directory: RunDirectory) -> None:
    assert directory.obituary("t") is None
    directory.retract("t")


def test_a_later_obituary_replaces_the_earlier(directory: RunDirectory) -> None:
    directory.announce(make_record(message="one"))
    directory.announce(make_record(message="two"))
    obituary = directory.obituary(make_record().trial)
    assert obituary is not None
    assert obituary.message == "two"


def test_another_session_knows_what_was_broken_off_and_has_nothing_in_flight(
    directory: RunDirectory,
) -> None:
    first, second = (make_record(task, Cause.WORKER_CRASH) for task in ("one", "two"))
    directory.announce(first)
    directory.announce(second)
    directory.set_obituaries_aside()
    assert directory.obituary(first.trial) is None
    assert directory.broken_off(first.trial) == first
    assert directory.holds_a_run()
    again = replace(first, message="again")
    directory.announce(again)
    assert (directory.obituary(first.trial), directory.broken_off(first.trial)) == (again, first)
    directory.conclude(make_record("one"))
    assert directory.obituary(first.trial) is None
    assert directory.broken_off(first.trial) is None
    assert directory.broken_off(second.trial) == second


def test_what_is_broken_off_again_is_the_later(directory: RunDirectory) -> None:
    for message in ("one", "two"):
        directory.announce(make_record(message=message))
        directory.set_obituaries_aside()
    found = directory.broken_off(make_record().trial)
    assert found is not None
    assert found.message == "two"


def test_a_torn_obituary_is_none(directory: RunDirectory) -> None:
    directory.announce(make_record())
    (file,) = (directory.path / "in-flight").iterdir()
    file.write_bytes(file.read_bytes()[:50])
    assert directory.obituary(make_record().trial) is None


def test_the_series_is_a_table_in_seconds_since_the_trial_began(directory: RunDirectory) -> None:
    row = partial(Sample, cache=2, nonreclaimable=3, total=4, throttled_seconds=0.0, pids=5)
    samples = [row(time=100.0, anonymous=1, cpu_seconds=0.5), row(100.25, 7, cpu_seconds=0.75)]
    directory.attempt_files("t", 1).write_series("series", 99.0, samples)
    (file,) = directory.path.glob("trials/*/series.csv")
    with file.open(newline="") as lines:
        first, second = csv.DictReader(lines)
    assert first == {
        "time": "1.000",
        "anonymous": "1",
        "cache": "2",
        "nonreclaimable": "3",
        "total": "4",
        "cpu_seconds": "0.500",
        "throttled_seconds": "0.000",
        "pids": "5",
    }
    assert (second["time"], second["anonymous"]) == ("1.250", "7")


@pytest.mark.parametrize(
    "trial",
    ["../../x[a/b]", "/etc/passwd", "..", "", "a\x00b", "x" * 5000, "\udcff", "-rf", ".hidden"],
    ids=ascii,
)
def test_a_log_stays_in_the_folder_of_the_run(directory: RunDirectory, trial: str) -> None:
    directory.attempt_files(trial, 1).write_log("agent", "said")
    (log,) = directory.path.rglob("*.log")
    assert log.parent.parent == directory.path / "trials"
    assert log.resolve().is_relative_to(directory.path.resolve())
    assert log.read_text() == "said"
    assert not log.parent.name.startswith(".")


def test_trials_of_similar_names_have_folders_of_their_own(directory: RunDirectory) -> None:
    for trial in ("tasks/a/b::run", "tasks/a-b::run", "tasks/a b::run", "y" + "x" * 300, "x" * 300):
        directory.attempt_files(trial, 1).write_log("agent", trial)
    assert len(list(directory.path.rglob("agent.log"))) == 5


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_log_is_utf_8_whatever_was_printed(directory: RunDirectory, text: str) -> None:
    directory.attempt_files("t", 1).write_log("agent", text)
    (log,) = directory.path.rglob("agent.log")
    log.read_bytes().decode("utf-8")


def test_the_manifest_is_read_as_it_was_written(directory: RunDirectory) -> None:
    manifest = make_manifest(tasks={"unpack": "abc"}, ended="later", not_run=1)
    directory.write_manifest(make_manifest())
    directory.write_manifest(manifest)
    assert directory.read_manifest() == manifest
    assert [file.name for file in directory.path.iterdir()] == ["manifest.json"]


def test_the_manifest_says_what_undecodable_arguments_can_be_said(directory: RunDirectory) -> None:
    directory.write_manifest(make_manifest(arguments=("tasks/\udcff",)))
    written: dict[str, Any] = json.loads(directory.manifest.read_bytes())
    assert written["arguments"] == ["tasks/?"]
