"""A new guarantee in the text of a task file."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_reseval.resources import GIB, MIB
from pytest_reseval.study.specs import CannotEdit, unified_diff, with_guarantee

CASES = {
    "in MiB": ("[environment]\nmemory_mb = 64  # low\ncpus = 1\n", "memory_mb = 1536  # low"),
    "as text": ('[environment]\nmemory = "2G"\n', 'memory = "1536M"'),
    "both": ('[environment]\nmemory="1G"\nmemory_mb=1024', 'memory="1536M"\nmemory_mb=1536'),
    "inline": ("environment = { memory_mb = 64, cpus = 1 }\n", "{ memory_mb = 1536, cpus = 1 }"),
    "dotted": ('environment.memory = "64M" # x\n', 'environment.memory = "1536M" # x'),
    "other line ends": ('[environment]\r\nmemory = "2G" # x\r\n', 'memory = "1536M" # x\r\n'),
    "none stated": (
        "[environment]\ncpus = 1\n\n# of the agent\n[agent]\n",
        "[environment]\nmemory_mb = 1536\ncpus = 1\n\n# of the agent\n[agent]\n",
    ),
    "header in a string": (
        '[metadata]\na = """\n[environment]\n"""\n[environment]\ncpus = 1\n',
        '"""\n[environment]\n"""\n[environment]\nmemory_mb = 1536\ncpus = 1\n',
    ),
    "header at the end": ("[agent]\n[environment]", "[agent]\n[environment]\nmemory_mb = 1536\n"),
    "subtables alone": ('[environment.env]\nA = "b"\n', "memory_mb = 1536"),
    "unended": ('version = "1"', 'version = "1"\n\n[environment]\nmemory_mb = 1536\n'),
    "no table": ('version = "1"\n', 'version = "1"\n\n[environment]\nmemory_mb = 1536\n'),
    "empty": ("", "[environment]\nmemory_mb = 1536\n"),
}


@pytest.mark.parametrize(("before", "part"), CASES.values(), ids=CASES)
def test_the_amount_changes_and_nothing_else(before: str, part: str) -> None:
    after = with_guarantee(before, 1536 * MIB)
    assert part in after
    was, now = tomllib.loads(before), tomllib.loads(after)
    for key in ("memory", "memory_mb"):
        was.get("environment", {}).pop(key, None)
        now["environment"].pop(key, None)
    assert now == {"environment": {}} | was


def test_whole_gib_are_written_so() -> None:
    assert 'memory = "3G"' in with_guarantee('[environment]\nmemory = "512M"\n', 3 * GIB)


def test_an_amount_from_a_variable_is_left_alone() -> None:
    with pytest.raises(CannotEdit, match="variable"):
        with_guarantee('[environment]\nmemory = "${MEMORY:-2G}"\n', GIB)


def test_what_cannot_be_read_back_as_meant_is_left_alone() -> None:
    with pytest.raises(CannotEdit, match="by hand"):
        with_guarantee("[environment]\nmemory_mb = 64\n[metadata]\nx = nan\n", GIB)


PIECES = [
    "[environment]\n",
    "[environment.env]\n",
    "\t[ environment ] # c\r\n",
    '["environment"]\n',
    "environment = {}\n",
    "environment = {memory_mb = 3}\n",
    "environment.cpus = 1\n",
    '"environment".memory = "5M"\n',
    "memory_mb = 64 # c\n",
    'memory = "1G"\n',
    "cpus = 1",
    "\n",
    "# c\n",
    "[agent]\n",
    "[[steps]]\n",
    'x = """\n[environment]\n"""\n',
    "z = [1,\n 2, # c\n]\n",
    "d = 1979-05-27T07:32:00Z\n",
]


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_whatever_the_layout_no_other_line_goes(before: str) -> None:
    try:
        was = tomllib.loads(before)
    except tomllib.TOMLDecodeError:
        assume(False)
    assume(isinstance(was.get("environment", {}), dict))
    try:
        after = with_guarantee(before, 192 * MIB)
    except CannotEdit:
        return
    assert (
        tomllib.loads(after)["environment"].items()
        >= {
            key: value
            for key, value in (("memory", "192M"), ("memory_mb", 192))
            if key in was.get("environment", {})
        }.items()
    )
    changes = unified_diff("task.toml", before, after).splitlines()[2:]
    removed = [line.removeprefix("-") for line in changes if line.startswith("-")]
    added = [line.removeprefix("+") for line in changes if line.startswith("+")]
    for line in removed:
        assert "memory" in line or "environment" in line or line in added


TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\0", exclude_categories=["Cs"]), max_size=40
)


@given(st.lists(TEXTS, max_size=6), st.lists(TEXTS, max_size=6), st.booleans())
def test_a_patch_holds_every_line_of_both(before: list[str], after: list[str], ended: bool) -> None:
    first, second = ("\n".join(lines) + "\n" * ended for lines in (before, after))
    patch = unified_diff("task.toml", first, second)
    assert bool(patch) == (first != second)
    assert patch.count("\n") == len(patch.split("\n")) - 1
    assert not patch or patch.endswith("\n")


@pytest.mark.parametrize("before", [before for before, _ in CASES.values()], ids=CASES)
@pytest.mark.parametrize("name", ["tasks/a/task.toml", "my tasks/é/task.toml"])
@pytest.mark.parametrize("program", [["git", "apply"], ["patch", "-p1", "--binary", "-s"]])
def test_programs_apply_it(program: list[str], name: str, before: str, tmp_path: Path) -> None:
    after = with_guarantee(before, 1536 * MIB)
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    file.write_bytes(before.encode())
    try:
        subprocess.run(
            program, cwd=tmp_path, input=unified_diff(name, before, after).encode(), check=True
        )
    except FileNotFoundError:
        pytest.skip(f"{program[0]} is not installed")
    assert file.read_bytes() == after.encode()


@pytest.mark.parametrize("name", ["a\nb/task.toml", 'a"b/task.toml', "a\\b/task.toml"])
def test_a_name_that_no_patch_can_hold_is_told(name: str) -> None:
    with pytest.raises(CannotEdit, match="--write"):
        unified_diff(name, "a\n", "b\n")
