"""httpsend against real servers: what they get, what their answers mean, and what a broken connection does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mfdata import Done, Failed, File, Retry
from mfdata.config import StepConfig
from mfdata.outcome import Hold, Outcome
from mfdata.steps.http_session import Answer
from mfdata.steps.httpsend import HttpSend, HttpSendKeys, answer_outcome
from mfdata.storage.tags import first_tags, new_uid
from mfext.environment import Home
from mfext.errors import ConfigError
from tests.integration.mfdata.ftp_server import certificate, context_of
from tests.servers import free_ports


class Server(ThreadingHTTPServer):
    """Answers as it is told, and remembers what came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.came: list[tuple[str, str, dict[str, str], bytes]] = []
        self.connections = 0
        self.status, self.headers, self.text = 201, {"X-Any": "1"}, "made"
        self.close_each = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.came.append((self.command, self.path, dict(self.headers), content))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.text)))
        self.end_headers()
        self.wfile.write(self.server.text.encode())
        # As a server does that ends idle connections without a word.
        self.close_connection = self.server.close_each

    def do_POST(self) -> None:
        self.do_PUT()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.02,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


class Sender:
    """A step as a worker has it."""

    def __init__(self, folder: Path, url: str, **keys: Any) -> None:
        self.folder = folder
        given = HttpSendKeys(**{"url": url, "timeout": 60.0, **keys})
        self.step = HttpSend(Home("mfdata", folder / "home"), "p", "main", StepConfig(), given)
        self.step.open()

    def send(self, name: bytes = b"radar.png", content: bytes = b"content") -> Outcome:
        path = self.folder / "file"
        path.write_bytes(content)
        return self.step.process(File(path, first_tags(new_uid(), name, b"in")))


Make = Callable[..., Sender]


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[Make]:
    made: list[Sender] = []

    def make(url: str, **keys: Any) -> Sender:
        made.append(Sender(tmp_path, url, **keys))
        return made[-1]

    yield make
    for one in made:
        one.step.close()


def test_a_file_is_the_body_of_a_request(server: Server, sender: Make) -> None:
    content = bytes(range(256)) * 8192
    at = sender(f"{server.url}/in/{{ORIGINAL_BASENAME}}?d={{ORIGINAL_DIRNAME}}", content_type="image/png")
    assert at.send(b"a b/\xe9?#%.png", content) == Done()
    ((method, path, headers, came),) = server.came
    assert (method, path, came) == ("PUT", "/in/a%20b%2F%E9%3F%23%25.png?d=in", content)
    assert (headers["Content-Type"], headers["Content-Length"]) == ("image/png", str(len(content)))
    assert len(headers["Idempotency-Key"]) == 26
    assert "Authorization" not in headers


def test_the_trace_says_where_the_file_is_and_no_secret(server: Server, sender: Make) -> None:
    at = sender(f"{server.url}/in/{{ORIGINAL_BASENAME}}?key=s3cret")
    done = at.send(b"a b")
    assert isinstance(done, Done)
    assert done.note == f"sent to {server.url}: PUT /in/a%20b"
    server.status = 422
    failed = at.send(b"a b")
    assert isinstance(failed, Failed)
    assert failed.reason.startswith(f"{server.url}: PUT /in/a%20b: 422")


def test_an_empty_file_may_be_posted(server: Server, sender: Make) -> None:
    assert sender(server.url, method="POST").send(content=b"") == Done()
    method, path, headers, came = server.came[0]
    assert (method, path, came, headers["Content-Length"]) == ("POST", "/", b"", "0")


@pytest.mark.parametrize(
    ("keys", "said"),
    [({"user": "me", "passwd": "é"}, "Basic bWU6w6k="), ({"token": "abc"}, "Bearer abc")],
)
def test_it_says_who_it_is(keys: dict[str, str], said: str, server: Server, sender: Make) -> None:
    assert sender(server.url, **keys).send() == Done()
    assert server.came[0][2]["Authorization"] == said


def test_one_connection_serves_many_files(server: Server, sender: Make) -> None:
    at = sender(server.url)
    assert [at.send() for _ in range(3)] == [Done()] * 3
    assert server.connections == 1
    assert (at.step.idle() or 0) > 5


def test_a_connection_that_ended_while_it_was_idle_is_nobodys_fault(server: Server, sender: Make) -> None:
    server.close_each = True
    at = sender(server.url)
    assert [at.send() for _ in range(3)] == [Done()] * 3
    assert len(server.came) == server.connections == 3


def test_an_idle_connection_is_given_up(server: Server, sender: Make) -> None:
    at = sender(server.url, keep_alive=0.0)
    at.send()
    assert at.step.idle() is None
    assert not at.step.is_connected


@pytest.mark.parametrize(
    ("status", "kind", "permanent"),
    [
        (200, Done, None),
        (204, Done, None),
        (301, Failed, False),
        (400, Failed, True),
        (401, Failed, False),
        (403, Failed, False),
        (404, Failed, False),
        (408, Retry, None),
        (413, Failed, True),
        (415, Failed, True),
        (422, Failed, True),
        (423, Retry, None),
        (429, Retry, None),
        (500, Retry, None),
        (501, Failed, False),
        (503, Retry, None),
        (507, Retry, None),
    ],
)
def test_what_an_answer_means(status: int, kind: type, permanent: bool | None) -> None:
    outcome = answer_outcome(Answer(status, "Word", {}, "more"), "http://there")
    assert isinstance(outcome, kind)
    if isinstance(outcome, Failed):
        assert outcome.permanent is permanent
    if isinstance(outcome, (Failed, Retry)):
        assert outcome.reason.startswith(f"http://there: {status} Word")


@pytest.mark.parametrize(("said", "after"), [("7", 7.0), ("99999", 3600.0), ("Wed, 21 Oct 2015 07:28:00 GMT", None)])
def test_a_server_may_say_when_to_come_again(said: str, after: float | None, server: Server, sender: Make) -> None:
    server.status, server.headers = 503, {"Retry-After": said}
    outcome = sender(server.url).send()
    assert isinstance(outcome, Retry)
    assert outcome.after == after


def test_a_secret_that_the_server_repeats_is_not_told(server: Server, sender: Make) -> None:
    server.status, server.text = 403, "no \x1b[31m such\ntoken: s3cret"
    outcome = sender(server.url, token="s3cret").send()
    assert isinstance(outcome, Failed)
    assert outcome.reason.endswith("403 Forbidden: no ?[31m such token: ********")


def test_a_long_answer_costs_the_connection_and_no_more(server: Server, sender: Make) -> None:
    server.text = "x" * 200_000
    at = sender(server.url)
    assert [at.send(), at.send()] == [Done(), Done()]
    assert server.connections == 2


def test_a_server_that_does_not_answer_is_left_in_peace(sender: Make) -> None:
    at = sender(f"http://127.0.0.1:{free_ports(1)[0]}", breaker_failures=2)
    first, second, third = at.send(), at.send(), at.send()
    assert isinstance(first, Retry)
    assert first.counts
    assert isinstance(second, Retry)
    assert not second.counts
    assert isinstance(third, Hold)


def test_a_server_that_refuses_one_file_is_not_left_in_peace(server: Server, sender: Make) -> None:
    server.status = 400
    at = sender(server.url, breaker_failures=1)
    assert [type(at.send()) for _ in range(3)] == [Failed] * 3


def test_a_server_that_says_no_before_it_has_all_is_heard(sender: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def refuse() -> None:
            connection, _ = listening.accept()
            with connection, suppress(ConnectionError):  # who has read enough may reset it
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 16):
                    pass

        thread = threading.Thread(target=refuse)
        thread.start()
        outcome = sender(f"http://127.0.0.1:{listening.getsockname()[1]}").send(content=b"x" * 4_000_000)
        assert isinstance(outcome, Failed)
        assert outcome.permanent
    thread.join()


def test_a_server_that_says_yes_without_all_of_the_file_is_not_believed(sender: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(CREATED)

        thread = threading.Thread(target=accept)
        thread.start()
        outcome = sender(f"http://127.0.0.1:{listening.getsockname()[1]}").send(content=b"x" * 16_000_000)
        assert isinstance(outcome, Retry)
    thread.join()


class Script:
    """A server that gives the bytes of *answers*, one after the other, each to one request that it has read."""

    def __init__(self, *answers: bytes, before_body: bool = False) -> None:
        self._answers = iter(answers)
        self._before_body = before_body
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self.bodies: list[bytes] = []
        self._thread = threading.Thread(target=self._run)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Script:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                with connection, connection.makefile("rb") as said, suppress(ConnectionError):
                    while self._serve(connection, said):
                        pass

    def _serve(self, connection: socket.socket, said: Any) -> bool:
        length = -1
        while line := said.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name == b"Content-Length" else length
        if length < 0:
            return False
        answer = next(self._answers, b"")
        if self._before_body:
            connection.sendall(answer)
        self.bodies.append(said.read(length))
        if not self._before_body:
            connection.sendall(answer)
        return True


CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
REFUSED = b"HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("interim", [b"102 Processing", b"103 Early Hints\r\nLink: <a>"])
def test_an_interim_answer_is_nobodys_answer(interim: bytes, sender: Make) -> None:
    interim = b"HTTP/1.1 " + interim + b"\r\n\r\n"
    with Script(interim * 3 + CREATED, interim + REFUSED, interim + CREATED) as server:
        at = sender(server.url)
        assert at.send(content=b"1") == Done()
        outcome = at.send(content=b"2")
        assert isinstance(outcome, Failed)
        assert outcome.permanent
        assert at.send(content=b"3") == Done()
        at.step.close()
    assert server.bodies == [b"1", b"2", b"3"]


def test_a_change_of_the_protocol_is_another_try(sender: Make) -> None:
    with Script(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" + CREATED) as server:
        at = sender(server.url)
        outcome = at.send()
        assert isinstance(outcome, Retry)
        assert "101" in outcome.reason
        assert not at.step.is_connected


def test_an_answer_that_comes_too_late_is_not_taken_for_that_of_the_next_file(sender: Make) -> None:
    with Script(b"", REFUSED) as server:
        at = sender(server.url, timeout=0.2)
        assert isinstance(at.send(content=b"1"), Retry)
        assert isinstance(at.send(content=b"2"), Failed)
        at.step.close()
    assert (server.connections, server.bodies) == (2, [b"1", b"2"])


def test_a_server_that_is_silent_gets_the_file_once_a_try(sender: Make) -> None:
    with Script(CREATED, b"") as server:
        at = sender(server.url, timeout=0.2)
        assert at.send(content=b"1") == Done()
        assert isinstance(at.send(content=b"2"), Retry)
    assert server.bodies == [b"1", b"2"]


def test_after_an_answer_that_was_early_the_connection_is_not_used_again(sender: Make) -> None:
    with Script(CREATED, REFUSED, before_body=True) as server:
        at = sender(server.url)
        assert at.send(content=b"x" * 8_000_000) == Done()
        assert isinstance(at.send(content=b"2"), Failed)
        at.step.close()
    assert server.connections == 2


def test_after_a_refusal_the_connection_is_not_used_again(sender: Make) -> None:
    # Who refuses may not have read all of the file, and take the rest of it for another request.
    with Script(REFUSED, CREATED) as server:
        at = sender(server.url)
        assert isinstance(at.send(), Failed)
        assert at.send() == Done()
        at.step.close()
    assert server.connections == 2


@pytest.mark.parametrize(("words", "kind"), [(b"408 Request Timeout", Retry), (b"400 Bad Request", Failed)])
def test_what_is_said_of_the_idle_time_is_not_the_answer_to_a_file(words: bytes, kind: type, sender: Make) -> None:
    timeout = b"HTTP/1.1 " + words + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with Script(CREATED, timeout, CREATED, timeout) as server:
        at = sender(server.url)
        assert at.send(content=b"1") == Done()
        assert at.send(content=b"2") == Done()
        at.step.leave()
        assert isinstance(at.send(content=b"3"), kind)


def test_a_success_whose_words_break_off_is_a_success(sender: Make) -> None:
    with Script(b"HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\nmade", REFUSED) as server:
        at = sender(server.url, timeout=0.2)
        assert at.send() == Done()
        assert isinstance(at.send(), Failed)
        at.step.close()
    assert server.connections == 2


def test_https_speaks_only_to_who_can_prove_it(server: Server, sender: Make, tmp_path: Path) -> None:
    pair = certificate(tmp_path / "tls")
    server.socket = context_of(pair).wrap_socket(server.socket, server_side=True)
    url = server.url.replace("http:", "https:").replace("127.0.0.1", "localhost")
    refused = sender(url).send()
    assert isinstance(refused, Failed)
    assert "certificate is not accepted" in refused.reason
    assert sender(url, ca_file=str(pair[0])).send() == Done()
    assert sender(url, verify_certificate=False).send() == Done()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"url": "ftp://there/"}, "not the URL of a server"),
        ({"url": "http:///in"}, "not the URL of a server"),
        ({"url": "http://there:no/"}, "not the URL of a server"),
        ({"url": "http://me:secret@there/"}, "user or password"),
        ({"url": "http://there/#x"}, "#"),
        ({"url": "http://{ORIGINAL_BASENAME}/"}, "depend on the file"),
        ({"url": "http://there/", "token": "a", "user": "b"}, "both a token and a user"),
    ],
)
def test_keys_that_cannot_be_are_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        HttpSendKeys(**keys)


def test_certificates_that_are_not_there_are_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        Sender(tmp_path, "https://there/", ca_file=str(tmp_path / "none.pem"))
