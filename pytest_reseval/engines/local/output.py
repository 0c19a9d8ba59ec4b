"""Collecting what a command writes, in bounded memory, until its first process ends."""

from __future__ import annotations

import array
import fcntl
import os
import selectors
import socket
import termios
import threading
import time
from collections.abc import Callable

_CHUNK = 1 << 16


class Capture:
    """The first and the last half of ``limit`` bytes of a stream; what lies between is dropped."""

    def __init__(self, limit: int) -> None:
        self._head_room = limit // 2
        self._tail_room = limit - self._head_room
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._total += len(data)
        room = self._head_room - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * self._tail_room:
            del self._tail[: -self._tail_room]

    @property
    def content(self) -> bytes:
        """What was kept, at most ``limit`` bytes."""
        return bytes(self._head + self._tail[-self._tail_room :])

    @property
    def dropped(self) -> int:
        """How many bytes were seen and not kept."""
        return self._total - len(self.content)


def collect(
    streams: dict[int, Capture],
    ended: socket.socket,
    *,
    timeout: float | None,
    kill: Callable[[], None],
    patience: float,
) -> bool | None:
    """Feed the captures from their pipes until ``ended`` has something to read.

    At ``timeout`` seconds ``kill`` is called once; the end must then follow within ``patience``.
    Answers whether it was called, or None when the end did not follow. Every pipe is closed in
    time: one that a process left behind still holds open is read to its end in the background, so
    that this process can go on writing.
    """
    killed = False
    deadline = None if timeout is None else time.monotonic() + timeout
    open_streams = dict(streams)
    with selectors.DefaultSelector() as selector:
        selector.register(ended, selectors.EVENT_READ)
        for stream in open_streams:
            selector.register(stream, selectors.EVENT_READ)
        try:
            while True:
                wait = None if deadline is None else max(0.0, deadline - time.monotonic())
                ready = {key.fd for key, _ in selector.select(wait)}
                for stream in ready & open_streams.keys():
                    if not _feed(stream, open_streams[stream], _CHUNK):
                        selector.unregister(stream)
                        os.close(stream)
                        del open_streams[stream]
                if ended.fileno() in ready:
                    _take_rest(open_streams)
                    return killed
                if deadline is not None and time.monotonic() >= deadline:
                    if killed:
                        return None
                    kill()
                    killed = True
                    deadline = time.monotonic() + patience
        finally:
            for stream in open_streams:
                threading.Thread(target=_discard, args=(stream,), daemon=True).start()


def _feed(stream: int, capture: Capture, size: int) -> bool:
    data = os.read(stream, size)
    capture.feed(data)
    return bool(data)


def _take_rest(streams: dict[int, Capture]) -> None:
    """Read what lies in the pipes now, and no more, as others may go on writing for ever."""
    for stream, capture in streams.items():
        waiting = array.array("i", [0])
        fcntl.ioctl(stream, termios.FIONREAD, waiting)
        if waiting[0]:
            _feed(stream, capture, waiting[0])


def _discard(stream: int) -> None:
    try:
        while os.read(stream, _CHUNK):
            pass
    finally:
        os.close(stream)
