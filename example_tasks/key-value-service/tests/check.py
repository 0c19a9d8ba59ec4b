import socket
import sys

DIALOGUE = [
    (0, "GET colour", "NONE"),
    (0, "SET colour dark blue", "OK"),
    (1, "GET colour", "dark blue"),
    (1, "SET colour grün", "OK"),
    (0, "GET colour", "grün"),
    (1, "DELETE colour", "ERROR"),
    (0, "GET shape", "NONE"),
]

clients = []
try:
    for _ in range(2):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect("/app/kv.sock")
        clients.append((client, client.makefile("rb")))
    for who, line, wanted in DIALOGUE:
        client, replies = clients[who]
        client.sendall(line.encode() + b"\n")
        found = replies.readline(1000).decode(errors="replace").rstrip("\n")
        if found != wanted:
            sys.exit(f"{line!r} was answered by {found!r}, not {wanted!r}")
except OSError as error:
    sys.exit(f"/app/kv.sock: {error}")
