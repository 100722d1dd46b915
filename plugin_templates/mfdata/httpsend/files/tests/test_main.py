"""The step on one file, to a server on this machine; run by ``make test``."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from main import HttpSend

from mfdata import Retry
from mfdata.testing import run_step

RECEIVED: dict[str, bytes] = {}


class Handler(BaseHTTPRequestHandler):
    """Takes every file."""

    def do_PUT(self) -> None:
        """Keep what comes."""
        RECEIVED[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server that takes every file."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_sent(tmp_path: Path, port: int) -> None:
    file = tmp_path / "some file.txt"
    file.write_text("some text\n")
    custom = {"url": f"http://127.0.0.1:{port}/in/{{ORIGINAL_BASENAME}}"}
    result = run_step(HttpSend, file, custom=custom, folder=tmp_path / "work")
    assert result.done, result.text()
    assert RECEIVED["/in/some%20file.txt"] == b"some text\n"


def test_a_server_that_does_not_answer_is_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("some text\n")
    result = run_step(HttpSend, file, custom={"url": "http://127.0.0.1:1/"}, folder=tmp_path / "work")
    assert isinstance(result.outcome, Retry)
