"""Taking the multiplexed output of an exec apart, and keeping a bounded part of it.

The format is described with the attach endpoint of Docker's Engine API: a header of 8 bytes (stream
number, three zeros, big-endian length) before every piece.
"""

from __future__ import annotations

import struct

from pytest_reseval.engines.base import OUTPUT_LIMIT

_HEADER = struct.Struct(">BxxxL")
_STDERR = 2
_ENGINE_ERROR = 3


class BoundedOutput:
    """Keeps the first and the last half of ``limit`` bytes, and counts what it drops between."""

    def __init__(self, limit: int = OUTPUT_LIMIT) -> None:
        self._head_room = limit // 2
        self._tail_room = limit - self._head_room
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0

    def add(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the stream."""
        self._total += len(data)
        room = self._head_room - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * self._tail_room:
            del self._tail[: -self._tail_room]

    def content(self) -> bytes:
        """What was kept, at most ``limit`` bytes."""
        return bytes(self._head + self._tail[-self._tail_room :])

    @property
    def dropped(self) -> int:
        """Bytes that were seen and not kept."""
        return self._total - len(self._head) - min(len(self._tail), self._tail_room)


class Demultiplexer:
    """Splits the stream of an exec without a terminal into stdout and stderr."""

    def __init__(self) -> None:
        self.stdout = BoundedOutput()
        self.stderr = BoundedOutput()
        self._header = b""
        self._current = self.stdout
        self._missing = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the connection, however they were cut."""
        rest = memoryview(data)
        while len(rest):
            if self._missing:
                piece = rest[: self._missing]
                self._current.add(piece)
                self._missing -= len(piece)
                rest = rest[len(piece) :]
                continue
            wanted = _HEADER.size - len(self._header)
            self._header += bytes(rest[:wanted])
            rest = rest[wanted:]
            if len(self._header) == _HEADER.size:
                stream, self._missing = _HEADER.unpack(self._header)
                self._current = self.stderr if stream in (_STDERR, _ENGINE_ERROR) else self.stdout
                self._header = b""
