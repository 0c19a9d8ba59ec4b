"""Whatever a task file holds: it is a task, or one TaskError that a person can use."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_reseval.printable import printable
from pytest_reseval.resources import SMALLEST_LIMIT
from pytest_reseval.tasks import load_task
from pytest_reseval.tasks.model import Environment, Task, TaskError
from tests.unit.tasks.specs import ROWS
from tests.unit.tasks.specs import task_file as spec

REAL_LOOKING: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (
    (
        "",
        (
            ("schema_version", '"1.4"'),
            ("artifacts", '["/app/out", { source = "/app/log" }]'),
            ("steps", "[]"),
        ),
    ),
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
            ("environment_mode", '"separate"'),
            ("collect", "[]"),
        ),
    ),
    (
        "verifier.environment",
        (
            ("docker_image", '"verifier:1"'),
            ("cpus", "0.5"),
            ("memory_mb", "512"),
            ("storage_mb", "1024"),
            ("env", '{ TOKEN = "${TOKEN}" }'),
            ("workdir", '"/tests"'),
            ("network_mode", '"public"'),
        ),
    ),
    ("verifier.environment.healthcheck", (("command", '"true"'), ("retries", "1"))),
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
            "9" * 5000,
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
            "{reseval = {host = true, more = 1}}",
            "{reseval = true}",
            '["/"]',
            '["//"]',
            '["/app/../etc"]',
            '["/app/./x/"]',
            '["/."]',
            '["relative", {source = "/x", exclude = ["y"]}]',
            "[{}]",
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


def quoted(text: str) -> str:
    """The text as a string of TOML."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


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
    assert str(error).startswith(printable(f"{file}: {error.key}", keep=""))
    assert str(error).endswith(printable(error.mend, keep=""))
    assert str(error).isprintable()
    assert len(str(error)) < 1000


def is_sane(task: Task) -> None:
    amounts_are_sane(task.memory_guarantee, task.cpu_guarantee, task.storage_limit)
    assert task.agent_timeout is None or 0 < task.agent_timeout <= WEEK
    assert 0 < task.verifier_timeout <= WEEK
    environment_is_sane(task.environment)
    for env in (task.verifier_env, task.solution_env):
        assert all(isinstance(text, str) for pair in env.items() for text in pair)
    assert all(key.isprintable() for key in task.ignored_keys)
    for path in task.artifacts:
        assert path.startswith("/")
        assert os.path.normpath(path) == path
        assert path.strip("/")
    own = task.verifier_environment
    if own is not None:
        amounts_are_sane(own.memory_guarantee, own.cpu_guarantee, own.storage_limit)
        environment_is_sane(own.environment)
    if task.unsupported is None:
        assert task.instruction.strip()
        assert task.environment.image or task.environment.dockerfile or task.host
        assert own or (task.tests / "test.sh").is_file()
    try:
        assert len(task.digest) == 64
    except TaskError as error:
        is_clear(error, error.file)


def amounts_are_sane(memory: int | None, cores: float | None, storage: int | None) -> None:
    assert memory is None or memory >= SMALLEST_LIMIT
    assert cores is None or 0.01 <= cores <= 4096
    assert storage is None or storage > 0


def environment_is_sane(environment: Environment) -> None:
    assert environment.image is None or environment.dockerfile is None
    assert (environment.dockerfile is None) == (environment.context is None)
    assert environment.dockerfile is None or environment.dockerfile.is_file()
    assert 0 < environment.build_timeout <= WEEK
    assert environment.workdir is None or environment.workdir.startswith("/")
    assert all(isinstance(text, str) for pair in environment.env.items() for text in pair)
    if environment.healthcheck:
        assert environment.healthcheck.retries >= 1


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


@settings(max_examples=200, deadline=None, database=None)
@given(
    row=st.sampled_from(ROWS),
    old=st.booleans(),
    line=st.integers(min_value=0),
    literal=st.one_of(st.none(), odd_literals),
    flips=flips,
)
def test_a_real_spec_with_one_odd_value_and_flipped_bytes(
    task_file: Path,
    row: dict[str, str],
    old: bool,
    line: int,
    literal: str | None,
    flips: list[tuple[int, int]],
) -> None:
    lines = spec(row, old=old).splitlines()
    settable = [number for number, text in enumerate(lines) if "=" in text]
    changed = settable[line % len(settable)]
    if literal is not None:
        lines[changed] = f"{lines[changed].partition('=')[0]}= {literal}"
    check(task_file, flipped("\n".join(lines).encode(), flips))


@settings(max_examples=200, deadline=None, database=None)
@given(
    paths=st.lists(
        st.one_of(
            st.text(st.sampled_from("/.a\0"), max_size=6).map("/{}".format),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
        ),
        max_size=2,
    ),
    tables=st.booleans(),
)
def test_artifacts_are_paths_below_the_root_in_their_shortest_form(
    task_file: Path, paths: list[str], tables: bool
) -> None:
    entries = [f"{{ source = {quoted(path)} }}" if tables else quoted(path) for path in paths]
    content = f"artifacts = [{', '.join(entries)}]\n".encode()
    check(task_file, content)
    found = loaded(task_file, content)
    meant = all(
        path.startswith("/")
        and ".." not in path.split("/")
        and "\0" not in path
        and os.path.normpath(path) not in ("/", "//")
        for path in paths
    )
    assert isinstance(found, Task) == meant
    if isinstance(found, TaskError):
        assert found.key == "artifacts"
    else:
        assert found.artifacts == tuple("/" + os.path.normpath(path).lstrip("/") for path in paths)


PLACES = (
    "task.toml",
    "instruction.md",
    "environment",
    "environment/Dockerfile",
    "environment/docker-compose.yaml",
    "environment/data",
    "tests",
    "tests/test.sh",
    "tests/Dockerfile",
    "tests/docker-compose.yaml",
    "solution",
    "solution/solve.sh",
    "steps",
    "trajectory.json",
    "\udcffred\x1b[31m\n",
)
TARGETS = (
    "task.toml",
    "instruction.md",
    "tests",
    "tests/test.sh",
    "../tests/test.sh",
    "../../outside",
    "..",
    ".",
    "nowhere",
    "Dockerfile",
    "/etc/passwd",
    "/",
    "a\nb",
)
TOMLS = (
    "",
    'artifacts = ["/app/answer"]\n[verifier]\nenvironment_mode = "separate"\n',
    "[verifier.environment]\nmemory_mb = 64\n",
    '[verifier.environment]\ndocker_image = "verifier:1"\n',
    "[metadata.reseval]\nhost = true\n",
    '[environment]\ndocker_image = "ubuntu:24.04"\n',
)


@dataclass(frozen=True)
class Change:
    """What stands at a place of the task's directory instead of what stood there."""

    place: str
    kind: str
    content: bytes = b""
    target: str = ""

    def make(self, directory: Path) -> None:
        path = directory / self.place
        inside = os.path.realpath(path.parent)  # Path.resolve raises for a loop before Python 3.13
        if not Path(inside).is_relative_to(directory.resolve()):
            return  # through a link that an earlier change made: never touch what lies there
        if path.is_symlink() or path.is_file() or path.is_fifo():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)
        if self.kind == "nothing" or not path.parent.is_dir():
            return
        match self.kind:
            case "file" | "locked":
                path.write_bytes(self.content)
                path.chmod(0 if self.kind == "locked" else 0o644)
            case "directory":
                path.mkdir()
            case "link":
                path.symlink_to(self.target)
            case "pipe":
                os.mkfifo(path)


changes_of_the_tree = st.lists(
    st.builds(
        Change,
        st.sampled_from(PLACES),
        st.sampled_from(["nothing", "file", "file", "locked", "directory", "link", "link", "pipe"]),
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from([b" \n", b"# canary\n", b"caf\xe9", b"x" * 2**21]),
        ),
        st.sampled_from(TARGETS),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300, deadline=None, database=None)
@example(
    toml=TOMLS[0],
    changes=[Change("tests", "link", target="tests"), Change("tests/test.sh", "nothing")],
)
@given(toml=st.sampled_from(TOMLS), changes=changes_of_the_tree)
def test_a_tree_with_anything_in_anything_s_place(
    tmp_path_factory: pytest.TempPathFactory,
    good_files: Mapping[str, str],
    toml: str,
    changes: list[Change],
) -> None:
    root = tmp_path_factory.getbasetemp() / "trees"
    shutil.rmtree(root, ignore_errors=True)
    directory = root / "some-task"
    for name, content in {**good_files, "task.toml": toml, "../outside": ""}.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content)
    for change in changes:
        change.make(directory)
    file = directory / "task.toml"
    try:
        task = load_task(file, {})
    except TaskError as error:
        is_clear(error, file)
    else:
        is_sane(task)
        links = [path for path in directory.rglob("*") if path.is_symlink()]
        assert all(link.resolve().is_relative_to(directory.resolve()) for link in links)
        assert task.report is None or task.report.startswith("/logs/verifier/")
