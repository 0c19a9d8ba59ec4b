"""The services of ``key-value-service.py``: ``key-value-server.py threads|processes [ARENA]``."""

import socketserver
import sys

MIB = 1024 * 1024
BUFFER = 24 * MIB

kind = sys.argv[1]
arena = bytearray(b"\xff") * (int(sys.argv[2]) * MIB) if len(sys.argv) > 2 else None
places, end = {}, 0
stored = {}


def put(key, value):
    """Keep a value: in the arena if there is one."""
    global end
    if arena is None:
        stored[key] = value
        return
    data = value.encode()
    arena[end : end + len(data)] = data
    places[key] = (end, end + len(data))
    end += len(data)


def get(key):
    """The value, or NONE."""
    if arena is None:
        return stored.get(key, "NONE")
    if key not in places:
        return "NONE"
    first, last = places[key]
    return arena[first:last].decode()


def answer(line):
    """The reply to one line."""
    verb, _, rest = line.partition(" ")
    key, _, value = rest.partition(" ")
    if verb == "SET" and key and value:
        put(key, value)
        return "OK"
    if verb == "GET" and key and not value:
        return get(key)
    return "ERROR"


class Client(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self):
        """Answer lines until the client leaves."""
        buffer = None
        for line in self.rfile:
            if arena:
                buffer = buffer or bytearray(b"\xff") * BUFFER
                buffer[: len(line)] = line
                line = bytes(buffer[: len(line)])
            self.wfile.write(answer(line.decode().rstrip("\n")).encode() + b"\n")


class Threads(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Clients share what is stored."""

    daemon_threads = True


class Processes(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """Each client has a copy of its own."""


servers = {"threads": Threads, "processes": Processes}
servers[kind]("/app/kv.sock", Client).serve_forever()
