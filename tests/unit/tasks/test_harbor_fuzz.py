"""Whatever a task file holds: it is a task, or one TaskError that a person can use."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_reseval.resources import SMALLEST_LIMIT
from pytest_reseval.tasks import load_task
from pytest_reseval.tasks.model import Task, TaskError

REAL_LOOKING: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (
    ("", (("schema_version", '"1.4"'), ("artifacts", '["/app/out"]'), ("steps", "[]"))),
    ("task", (("name", '"example/task"'), ("authors", '[{ name = "A" }]'))),
    ("metadata", (("difficulty", '"hard"'), ("tags", '["a", "b"]'), ("reseval", "{host = true}"))),
    (
        "environment",
        (
            ("build_timeout_sec", "600.0"),
            ("docker_image", '"ubuntu:24.04"'),
            ("os", '"linux"'),
            ("cpus", "1"),
            ("memory", '"2G"'),
            ("memory_mb", "2048"),
            ("storage", '"10G"'),
            ("storage_mb", "10240"),
            ("gpus", "0"),
            ("gpu_types", '["H100"]'),
            ("mcp_servers", "[]"),
            ("skills_dir", '"/skills"'),
            ("workdir", '"/app"'),
            ("allow_internet", "true"),
            ("network_mode", '"public"'),
            ("allowed_hosts", "[]"),
            ("env", '{ TOKEN = "${TOKEN}", MODE = "x" }'),
        ),
    ),
    (
        "environment.healthcheck",
        (
            ("command", '"true"'),
            ("interval_sec", "5"),
            ("timeout_sec", "30"),
            ("start_period_sec", "0"),
            ("start_interval_sec", "5"),
            ("retries", "3"),
        ),
    ),
    ("agent", (("timeout_sec", "900.0"), ("user", '"agent"'), ("network_mode", '"public"'))),
    (
        "verifier",
        (
            ("timeout_sec", "900.0"),
            ("user", "1000"),
            ("env", '{ KEY = "${KEY:-}" }'),
            ("environment_mode", '"shared"'),
            ("collect", "[]"),
        ),
    ),
    ("solution", (("env", '{ A = "1" }'),)),
)
LINES = [(section, key, value) for section, entries in REAL_LOOKING for key, value in entries]
WEEK = 7 * 24 * 3600

odd_literals = st.one_of(
    st.sampled_from(
        [
            *{value for _, _, value in LINES},
            "true",
            "nan",
            "-inf",
            "0",
            "-1",
            "1e308",
            "1e999",
            "0x" + "f" * 5000,
            "1" + "0" * 400,
            "'${NOT_SET}'",
            "'${TOKEN:-5}'",
            '"\\u0000"',
            "1979-05-27T07:32:00Z",
            "1979-05-27",
            "07:32:00",
            "{}",
            "[[[]]]",
            "{a = {b = [{c = 1}]}}",
            "{reseval = {host = 1}}",
        ]
    ),
    st.integers().map(str),
    st.floats().map(repr),
    st.text(st.characters(exclude_categories=["Cs"])).map(json.dumps),
    st.lists(st.integers()).map(str),
    st.binary(max_size=20).map(lambda junk: junk.decode("latin-1")),
)
changes = st.dictionaries(
    st.sampled_from(range(len(LINES))), st.one_of(st.none(), odd_literals), max_size=len(LINES)
)
insertions = st.lists(
    st.tuples(
        st.sampled_from([section for section, _ in REAL_LOOKING]),
        st.one_of(st.sampled_from([key for _, key, _ in LINES]), st.text(max_size=8)),
        odd_literals,
    ),
    max_size=3,
)
flips = st.lists(st.tuples(st.integers(min_value=0), st.integers(1, 255)), max_size=3)


def written(lines: Sequence[tuple[str, str, str]]) -> bytes:
    text = ""
    for section, _ in REAL_LOOKING:
        text += f"[{section}]\n" if section else ""
        text += "".join(f"{key} = {value}\n" for name, key, value in lines if name == section)
    return text.encode()


def flipped(content: bytes, positions: Sequence[tuple[int, int]]) -> bytes:
    changed = bytearray(content)
    for position, bits in positions:
        changed[position % len(changed)] ^= bits
    return bytes(changed)


@pytest.fixture(scope="module")
def task_file(tmp_path_factory: pytest.TempPathFactory, good_files: Mapping[str, str]) -> Path:
    directory = tmp_path_factory.mktemp("fuzzed")
    for name, content in good_files.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(content)
    return directory / "task.toml"


def loaded(file: Path, content: bytes) -> Task | TaskError:
    file.write_bytes(content)
    try:
        return load_task(file, {"TOKEN": "secret"})
    except TaskError as error:
        return error


def check(file: Path, content: bytes) -> None:
    match loaded(file, content):
        case TaskError() as error:
            is_clear(error, file)
        case Task() as task:
            is_sane(task)


def is_clear(error: TaskError, file: Path) -> None:
    assert error.file == file
    assert error.key
    assert error.mend
    assert str(error).startswith(f"{file}: ")
    assert str(error).isprintable()
    assert len(str(error)) < 1000


def is_sane(task: Task) -> None:
    assert task.memory_guarantee is None or task.memory_guarantee >= SMALLEST_LIMIT
    assert task.cpu_guarantee is None or 0.01 <= task.cpu_guarantee <= 4096
    assert task.storage_limit is None or task.storage_limit > 0
    assert task.agent_timeout is None or 0 < task.agent_timeout <= WEEK
    assert 0 < task.verifier_timeout <= WEEK
    assert 0 < task.environment.build_timeout <= WEEK
    for env in (task.environment.env, task.verifier_env, task.solution_env):
        assert all(isinstance(text, str) for pair in env.items() for text in pair)
    assert all(key.isprintable() for key in task.ignored_keys)


def test_the_file_to_be_changed_is_good_but_for_its_gpus(task_file: Path) -> None:
    task_file.write_bytes(written(LINES))
    task = load_task(task_file, {"TOKEN": "secret"})
    assert task.unsupported == "not supported yet: environment.gpus, environment.skills_dir"


@settings(max_examples=400, deadline=None, database=None)
@given(changes=changes, insertions=insertions)
def test_values_of_odd_types(
    task_file: Path,
    changes: dict[int, str | None],
    insertions: list[tuple[str, str, str]],
) -> None:
    lines = [
        (section, key, changes.get(number, value))
        for number, (section, key, value) in enumerate(LINES)
    ]
    kept = [(section, key, value) for section, key, value in lines if value is not None]
    check(task_file, written([*kept, *insertions]))


@settings(max_examples=400, deadline=None, database=None)
@given(number=st.sampled_from(range(len(LINES))), literal=odd_literals)
def test_one_value_of_an_odd_type(task_file: Path, number: int, literal: str) -> None:
    section, key, _ = LINES[number]
    lines = [*LINES[:number], (section, key, literal), *LINES[number + 1 :]]
    check(task_file, written(lines))


@settings(max_examples=400, deadline=None, database=None)
@given(flips=flips, end=st.integers(min_value=0))
def test_flipped_and_lost_bytes(task_file: Path, flips: list[tuple[int, int]], end: int) -> None:
    content = flipped(written(LINES), flips)
    check(task_file, content[: end % (2 * len(content))])
