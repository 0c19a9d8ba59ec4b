from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.engines.local.output import Capture, collect


@given(st.lists(st.binary(max_size=50)), st.integers(1, 40))
def test_the_first_and_the_last_half_are_kept(pieces: list[bytes], limit: int) -> None:
    capture, whole = Capture(limit), b"".join(pieces)
    for piece in pieces:
        capture.feed(piece)
    if len(whole) <= limit:
        assert capture.content == whole
    else:
        assert capture.content == whole[: limit // 2] + whole[-(limit - limit // 2) :]
    assert len(capture.content) + capture.dropped == len(whole)


@pytest.fixture
def ended() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def never() -> None:
    pytest.fail("killed without a timeout")


def test_everything_written_before_the_end_is_there(
    ended: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ended
    reading, writing = os.pipe()
    os.write(writing, b"all of it")
    theirs.send(b"!")
    capture = Capture(100)
    assert collect({reading: capture}, ours, timeout=None, kill=never, patience=1.0) is False
    assert capture.content == b"all of it"
    os.close(writing)


def test_a_pipe_that_is_still_held_can_be_written_to(
    ended: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ended
    reading, writing = os.pipe()
    theirs.send(b"!")
    collect({reading: Capture(100)}, ours, timeout=None, kill=never, patience=1.0)
    written = threading.Thread(target=os.write, args=(writing, bytes(1 << 20)), daemon=True)
    written.start()
    written.join(30)
    assert not written.is_alive()
    os.close(writing)


def test_at_the_timeout_it_is_killed_once(ended: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ended
    kills = []

    def kill() -> None:
        kills.append(1)
        theirs.send(b"!")

    assert collect({}, ours, timeout=0.01, kill=kill, patience=30.0) is True
    assert kills == [1]


def test_what_cannot_be_killed_is_told(ended: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = ended
    assert collect({}, ours, timeout=0.0, kill=lambda: None, patience=0.01) is None
