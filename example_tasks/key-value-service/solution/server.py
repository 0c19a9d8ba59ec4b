import socketserver

stored = {}


def answer(line):
    verb, _, rest = line.partition(" ")
    key, _, value = rest.partition(" ")
    if verb == "SET" and key and value:
        stored[key] = value
        return "OK"
    if verb == "GET" and key and not value:
        return stored.get(key, "NONE")
    return "ERROR"


class Client(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(answer(line.decode().rstrip("\n")).encode() + b"\n")


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


if __name__ == "__main__":
    Server("/app/kv.sock", Client).serve_forever()
