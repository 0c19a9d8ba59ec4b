"""What first processes say of themselves."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from pytest_reseval.engines.docker import idle
from pytest_reseval.engines.docker.forgotten import Mark, marked
from pytest_reseval.engines.docker.orphans import Place, mark_of, owner_labels

MARK = Mark("pid:[4026531836]", 4607, 815, "0badc0ff")


def test_a_mark_is_read_as_it_was_written() -> None:
    assert Mark.parse(str(MARK)) == MARK


@pytest.mark.parametrize("text", ["", "reseval", "reseval:1:2:3", f"{MARK} ", f"x{MARK}"])
def test_anything_else_is_none(text: str) -> None:
    assert Mark.parse(text) is None


def test_it_names_owner_and_container() -> None:
    owner = owner_labels(Place.here())
    first, second = (mark_of(owner, f"reseval-a-task-{token}") for token in ("11aa", "22bb"))
    assert first != second
    assert Mark.parse(str(first)) == first
    assert first.pid_namespace == Place.here().pid_namespace


@pytest.fixture
def idling() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([*idle.COMMAND, str(MARK)], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_it_is_found_on_the_process_and_on_no_other(idling: subprocess.Popen[bytes]) -> None:
    with subprocess.Popen(["sleep", "1000", str(MARK)]) as other:
        try:
            assert [process.pid for process, mark in marked() if mark == MARK] == [idling.pid]
        finally:
            other.kill()
