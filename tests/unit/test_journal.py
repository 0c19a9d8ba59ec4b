from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_reseval.journal import Journal, replace

LINES = [b'{"trial":"one"}', b'{"trial":"two"}', b'{"trial":"three"}']


class Killed(BaseException):
    """What a kill is to a test in one process: nothing after it is run."""


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "deep" / "run" / "lines")


@pytest.mark.parametrize("length", range(sum(len(line) + 1 for line in LINES) + 1))
def test_a_file_cut_at_any_byte_keeps_its_whole_lines_and_takes_more(
    journal: Journal, length: int
) -> None:
    journal.append(*LINES)
    os.truncate(journal.path, length)
    content = journal.path.read_bytes()
    whole = content.split(b"\n")[:-1]
    assert whole == LINES[: len(whole)]
    assert journal.lines() == whole
    journal.append(b"next")
    assert journal.lines() == [*whole, b"next"]


whole_lines = st.lists(
    st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"\r")), max_size=3
)
events = st.lists(
    st.one_of(
        whole_lines,
        st.integers(0, 40),
        st.binary(max_size=12),
        st.sampled_from(["move", "move a few", "look again"]),
    ),
    max_size=12,
)


@settings(max_examples=50)
@given(events)
def test_whatever_is_appended_cut_off_torn_and_moved_the_whole_lines_are_there(
    tmp_path_factory: pytest.TempPathFactory, events: list[list[bytes] | int | bytes | str]
) -> None:
    """Against a model: the bytes on file are the model's, and its whole lines are what is read."""
    folder = tmp_path_factory.mktemp("journal")
    journal, other = Journal(folder / "lines"), Journal(folder / "other")
    content, moved = b"", set[bytes]()
    for event in events:
        match event:
            case list():
                journal.append(*event)
                whole = content[: content.rfind(b"\n") + 1]
                content = whole + b"".join(line + b"\n" for line in event)
            case int() if journal.path.exists():
                content = content[: max(0, len(content) - event)]
                os.truncate(journal.path, len(content))
            case bytes() if journal.path.exists():
                content += event
                with journal.path.open("ab") as torn:
                    torn.write(event)
            case "move" | "move a few":
                chosen = {line for line in journal.lines() if event == "move" or len(line) % 2}
                journal.move(chosen.__contains__, other)
                lines = content.split(b"\n")[:-1]
                moved |= chosen
                if chosen:
                    content = b"".join(line + b"\n" for line in lines if line not in chosen)
            case _:
                journal = Journal(journal.path)
        assert journal.lines() == content.split(b"\n")[:-1]
    assert set(other.lines()) == moved


def test_a_write_that_fails_is_taken_back(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append(LINES[0])
    with monkeypatch.context() as broken:

        def refuse(descriptor: int) -> None:
            raise OSError(5, "Input/output error")

        broken.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="Input/output"):
            journal.append(LINES[1])
    assert journal.lines() == LINES[:1]


def test_short_writes_are_gone_on_with(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    journal.append(*LINES)
    assert journal.lines() == LINES


def test_lines_are_moved(journal: Journal, tmp_path: Path) -> None:
    other = Journal(tmp_path / "other")
    journal.append(*LINES)
    journal.move(lambda line: b"two" in line, other)
    assert (journal.lines(), other.lines()) == ([LINES[0], LINES[2]], [LINES[1]])


def test_nothing_is_moved_from_a_file_that_is_not_there(journal: Journal, tmp_path: Path) -> None:
    journal.move(lambda line: True, Journal(tmp_path / "other"))
    assert list(tmp_path.iterdir()) == []


def _dying(real: Callable[..., object], after: int) -> Callable[..., object]:
    calls = 0

    def call(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls > after:
            raise Killed
        return real(*arguments, **named)

    return call


@pytest.mark.parametrize("after", range(6))
@pytest.mark.parametrize("step", ["write", "fsync", "ftruncate", "replace"])
def test_a_kill_while_lines_are_moved_neither_loses_nor_doubles_any(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, after: int
) -> None:
    other = Journal(tmp_path / "other")
    other.append(b"before")
    with other.path.open("ab") as torn:
        torn.write(b"torn")
    journal.append(*LINES)

    def move() -> None:
        journal.move(lambda line: b"two" not in line, other)

    owner: object = Path if step == "replace" else os
    with monkeypatch.context() as fatal:
        fatal.setattr(owner, step, _dying(getattr(owner, step), after))
        try:
            move()
        except Killed:
            assert set(LINES) <= {*journal.lines(), *other.lines()}
    move()
    assert journal.lines() == [LINES[1]]
    assert other.lines() == [b"before", LINES[0], LINES[2]]


def test_a_writer_that_waited_writes_into_the_file_that_took_the_old_ones_place(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    journal.append(LINES[0])
    real = fcntl.flock

    def replaced_meanwhile(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", real)
        replace(journal.path, b"new\n")
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", replaced_meanwhile)
    journal.append(LINES[1])
    assert journal.lines() == [b"new", LINES[1]]
