"""The multiplexed stream, however it is cut, and the bound on what is kept."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.engines.docker.streams import BoundedOutput, Demultiplexer

FRAMES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=20)


def _framed(frames: list[tuple[int, bytes]]) -> bytes:
    return b"".join(struct.pack(">BxxxL", stream, len(data)) + data for stream, data in frames)


@given(frames=FRAMES, cut=st.integers(min_value=1, max_value=17))
def test_streams_come_apart_wherever_the_connection_is_cut(
    frames: list[tuple[int, bytes]], cut: int
) -> None:
    wire = _framed(frames)
    demultiplexer = Demultiplexer()
    for start in range(0, len(wire), cut):
        demultiplexer.feed(wire[start : start + cut])
    expected = {
        number: b"".join(data for stream, data in frames if stream == number) for number in (1, 2)
    }
    assert demultiplexer.stdout.content() == expected[1]
    assert demultiplexer.stderr.content() == expected[2]


def test_the_engines_own_error_is_not_taken_for_output() -> None:
    demultiplexer = Demultiplexer()
    demultiplexer.feed(_framed([(3, b"failed")]))
    assert demultiplexer.stdout.content() == b""
    assert demultiplexer.stderr.content() == b"failed"


@given(pieces=st.lists(st.binary(max_size=50), max_size=30), limit=st.integers(2, 60))
def test_the_first_and_last_half_are_kept_and_the_rest_is_counted(
    pieces: list[bytes], limit: int
) -> None:
    output = BoundedOutput(limit)
    for piece in pieces:
        output.add(piece)
    whole = b"".join(pieces)
    head = limit // 2
    if len(whole) <= limit:
        assert output.content() == whole
    else:
        assert output.content() == whole[:head] + whole[-(limit - head) :]
    assert output.dropped == len(whole) - len(output.content())
