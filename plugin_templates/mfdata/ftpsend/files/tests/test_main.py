"""The step on one file, to a server on this machine; run by ``make test``."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from main import FtpSend
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

from mfdata import Retry
from mfdata.testing import run_step


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a server where the user ``me`` may write into the folder ``there``."""
    (tmp_path / "there").mkdir()
    authorizer = DummyAuthorizer()
    authorizer.add_user("me", "secret", str(tmp_path / "there"), perm="elradfmw")
    handler = type("Handler", (FTPHandler,), {"authorizer": authorizer})
    server = FTPServer(("127.0.0.1", 0), handler)
    ending = threading.Event()

    def serve() -> None:
        while not ending.is_set():
            server.serve_forever(timeout=0.02, blocking=False)
        server.close_all()

    thread = threading.Thread(target=serve)
    thread.start()
    yield server.address[1]
    ending.set()
    thread.join()


def test_a_file_is_sent(tmp_path: Path, port: int) -> None:
    file = tmp_path / "some.txt"
    file.write_text("some text\n")
    custom = {"machine": "127.0.0.1", "port": str(port), "user": "me", "passwd": "secret"}
    result = run_step(FtpSend, file, custom=custom, folder=tmp_path / "work")
    assert result.done, result.text()
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["some.txt"]
    assert (tmp_path / "there/some.txt").read_text() == "some text\n"


def test_a_machine_that_does_not_answer_is_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("some text\n")
    custom = {"machine": "127.0.0.1", "port": "1", "user": "me"}
    assert isinstance(run_step(FtpSend, file, custom=custom, folder=tmp_path / "work").outcome, Retry)
