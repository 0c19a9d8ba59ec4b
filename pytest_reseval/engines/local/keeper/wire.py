"""How the owner of a sandbox and its keeper talk: one private stream socket for every request.

The owner sends one byte with descriptors over the control socket; the first descriptor is the
conversation, a stream that carries the request as JSON up to its end, and JSON lines back. Nothing
of the sandbox ever holds either socket.
"""

from __future__ import annotations

import array
import json
import socket
from collections.abc import Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_DESCRIPTORS = 8
_INT = array.array("i").itemsize


def send(connection: socket.socket, data: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send ``data``, which may not be empty, with descriptors attached to its first byte."""
    rights = array.array("i", descriptors)
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else []
    sent = connection.sendmsg([data], ancillary)
    if sent < len(data):
        connection.sendall(data[sent:])


def receive(connection: socket.socket, size: int) -> tuple[bytes, list[int]]:
    """At most ``size`` bytes and the descriptors that came with them; no bytes at the end."""
    data, ancillary, _, _ = connection.recvmsg(
        size, socket.CMSG_SPACE(_DESCRIPTORS * _INT), socket.MSG_CMSG_CLOEXEC
    )
    descriptors = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % _INT])
    return data, list(descriptors)


def open_conversation(
    control: socket.socket, request: object, descriptors: Sequence[int] = ()
) -> socket.socket:
    """Begin a request over ``control`` and answer the stream its replies come on."""
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            send(control, b"?", [theirs.fileno(), *descriptors])
        ours.sendall(json.dumps(request).encode())
        ours.shutdown(socket.SHUT_WR)
    except BaseException:
        ours.close()
        raise
    return ours


def accept_conversation(control: socket.socket) -> tuple[socket.socket, Any, list[int]] | None:
    """The next request with its descriptors, and the stream to answer on; None at the end."""
    data, descriptors = receive(control, 1)
    if not data:
        return None
    conversation = socket.socket(fileno=descriptors[0])
    text = bytearray()
    while chunk := conversation.recv(1 << 16):
        text += chunk
    return conversation, json.loads(text), descriptors[1:]


def reply(conversation: socket.socket, answer: object, descriptors: Sequence[int] = ()) -> None:
    """Send one JSON line back."""
    send(conversation, json.dumps(answer).encode() + b"\n", descriptors)


def read_reply(conversation: socket.socket) -> tuple[Any, list[int]]:
    """The next JSON line and the descriptors that came with it. Raises EOFError at the end."""
    text = bytearray()
    descriptors: list[int] = []
    while not text.endswith(b"\n"):
        data, received = receive(conversation, 1)
        descriptors += received
        if not data:
            raise EOFError("the keeper ended")
        text += data
    return json.loads(text), descriptors
