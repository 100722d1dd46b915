"""The service: a program that knows nothing of MetWork but that its socket is file 3."""

import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hello(BaseHTTPRequestHandler):
    """Greets whoever asks."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        body = b'{"hello": "world"}\n'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        # One request a connection: so none is under way when the program ends.
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Say nothing: the router writes the access log."""


class Server(ThreadingHTTPServer):
    """A server on a socket that is there already."""

    daemon_threads = False  # it ends once all requests are answered

    def __init__(self, listening: socket.socket) -> None:
        super().__init__(("", 0), Hello, bind_and_activate=False)
        self.socket.close()
        self.socket = listening

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection; a unix socket has no address."""
        return self.socket.accept()[0], ("router", 0)


def main() -> None:
    """Serve until told to stop."""
    server = Server(socket.socket(fileno=3))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.05)
    server.server_close()


if __name__ == "__main__":
    main()
