from __future__ import annotations

import os
import socket
import threading

import pytest

from pytest_reseval.engines.local.keeper import wire


@pytest.fixture
def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def test_requests_and_replies_carry_descriptors(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    reading, writing = os.pipe()
    request = {"do": "something", "large": "x" * (1 << 20)}
    served = []

    def serve() -> None:
        accepted = wire.accept_conversation(theirs)
        assert accepted is not None
        conversation, received, [descriptor] = accepted
        served.append(received)
        assert not os.get_inheritable(descriptor)
        os.write(descriptor, b"through")
        os.close(descriptor)
        with conversation:
            wire.reply(conversation, {"part": 1})
            wire.reply(conversation, {"part": 2}, [reading])

    server = threading.Thread(target=serve)
    with ours, theirs:
        server.start()
        with wire.open_conversation(ours, request, [writing]) as conversation:
            assert wire.read_reply(conversation) == ({"part": 1}, [])
            answer, [returned] = wire.read_reply(conversation)
            with pytest.raises(EOFError):
                wire.read_reply(conversation)
        server.join()
    assert served == [request]
    assert answer == {"part": 2}
    assert os.read(returned, 100) == b"through"
    for descriptor in (reading, writing, returned):
        os.close(descriptor)


def test_the_end_of_the_owner_is_seen(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    ours.close()
    with theirs:
        assert wire.accept_conversation(theirs) is None
