from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from mfserv.jobs.execution.attempt import Call
from mfserv.jobs.execution.retry_policy import Answered, BrokenOff, Outcome
from mfserv.jobs.job import Job
from mfserv.jobs.spool import Spool


def called(folder: Path, said: bytes, body: bytes = b"") -> Outcome:
    """What comes of an attempt at a service that says this before it has read anything, and hangs up."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / "router"))
    listening.listen()

    def serve() -> None:
        peer = listening.accept()[0]
        with peer:
            peer.sendall(said)

    threading.Thread(target=serve, daemon=True).start()
    done = threading.Event()
    job = Job(
        id="j", client="", process="p", method="POST", uri="/", headers=(), created=0.0, body_size=len(body), token="t"
    )
    call = Call(job, body, folder / "router", Spool(folder / "spool"), 1_000_000, lambda _call: done.set())
    call.start()
    assert done.wait(60)
    listening.close()
    return call.outcome


def test_a_refusal_that_comes_before_the_body_was_read_is_the_answer(tmp_path: Path) -> None:
    outcome = called(tmp_path, b"HTTP/1.1 422 No\r\nContent-Length: 2\r\n\r\nno", bytes(60_000))
    assert isinstance(outcome, Answered)
    assert (outcome.result.http_status, outcome.content) == (422, b"no")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 101 Switching\r\n\r\n"])
def test_no_final_answer_is_no_answer(tmp_path: Path, said: bytes) -> None:
    assert isinstance(called(tmp_path, said), BrokenOff)
