"""The HTTP receiver as a process: what was acknowledged is there, whole; what was not never appears."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import select
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from mfdata.receivers.upload import PREFIX
from mfext.net.users import hashed, hashed_token
from mfext.testing import wait_until
from tests.integration.mfdata.ftp_server import certificate
from tests.integration.mfdata.receivers.receiver_process import PASSWORD, USER, ReceiverProcess


def basic(user: str = USER, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class Receiver(ReceiverProcess):
    kind = "http"

    def send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **more: Any
    ) -> tuple[int, dict[str, Any], http.client.HTTPMessage]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, body, {**basic(), **(headers or {})}, **more)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}"), answer.headers

    def status_of(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> int:
        return self.send(method, path, body, headers)[0]

    def begun(self, head: str, body: bytes = b"half of it") -> socket.socket:
        """A connection on which a request has begun and does not end."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        authorization = basic()["Authorization"]
        connection.sendall(f"{head}\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n".encode() + body)
        return connection


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver.running(tmp_path_factory.mktemp("shared"), names="*[!x]", max_size=50_000_000) as receiver:
        yield receiver


@pytest.fixture
def receiver(shared: Receiver) -> Receiver:
    shared.put_away()
    return shared


def form(*files: tuple[str, bytes]) -> tuple[bytes, dict[str, str]]:
    parts = [b'--limit\r\nContent-Disposition: form-data; name="comment"\r\n\r\nnot a file\r\n']
    for name, content in files:
        head = f'--limit\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        parts += [head.encode(), content, b"\r\n"]
    return b"".join([*parts, b"--limit--\r\n"]), {"Content-Type": "multipart/form-data; boundary=limit"}


def structured(kind: str, content: bytes) -> str:
    return f"{kind}=:{base64.b64encode(hashlib.new(kind.replace('-', ''), content).digest()).decode()}:"


def test_what_is_acknowledged_is_there_whole(receiver: Receiver) -> None:
    contents = {b"empty": b"", b"bytes": b"\r\n\xff\0", b"large": os.urandom(20_000_000)}
    for name, content in contents.items():
        status, told, _ = receiver.send("PUT", f"/{name.decode()}", content)
        assert (status, told) == (201, {"files": [{"name": name.decode(), "size": len(content)}]})
        assert (receiver.incoming / os.fsdecode(name)).read_bytes() == content
    assert receiver.files() == contents


def test_a_body_may_come_in_chunks_of_unknown_number(receiver: Receiver) -> None:
    assert receiver.send("PUT", "/chunked", iter([b"a" * 70_000, b"b"]), encode_chunked=True)[0] == 201
    assert receiver.files() == {b"chunked": b"a" * 70_000 + b"b"}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/with%20spaces", b"with spaces"),
        ("/-l", b"-l"),
        ("/%E6%B0%94%20%C3%BC", "气 ü".encode()),
        ("/invalid%E9%FF", b"invalid \xe9\xff".replace(b" ", b"")),
        ("/two%0Alines", b"two\nlines"),
        ("/a+b&c;d=e?query=1", b"a+b&c;d=e"),
        ("/" + "n" * 255, b"n" * 255),
    ],
)
def test_names_are_bytes(receiver: Receiver, path: str, name: bytes) -> None:
    assert receiver.status_of("PUT", path, b"content") == 201
    assert list(receiver.files()) == [name]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 400),
        ("/a/b", 400),
        ("/..", 400),
        ("/%2e%2e%2fabove", 400),
        ("/nul%00l", 400),
        ("/" + "n" * 256, 400),
        ("/.hidden", 400),
        (f"/{PREFIX}1", 400),
        ("/unfinished.tmp", 400),
        ("/not allowed.x".replace(" ", "%20"), 403),
    ],
)
def test_what_is_no_name_is_refused(receiver: Receiver, path: str, status: int) -> None:
    assert receiver.status_of("PUT", path, b"content") == status
    assert receiver.files() == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Filename": "a%20name"},
        {"Content-Disposition": 'attachment; filename="a name"'},
    ],
)
def test_a_file_that_is_posted_has_its_name_in_the_head(receiver: Receiver, headers: dict[str, str]) -> None:
    assert receiver.status_of("POST", "/", b"content", headers) == 201
    assert receiver.files() == {b"a name": b"content"}


def test_a_form_brings_several_files(receiver: Receiver) -> None:
    body, headers = form(("one", b"1" * 1_000_000), ("two", b"\r\n--limi\r\n"))
    status, told, _ = receiver.send("POST", "/", body, headers)
    assert (status, [one["name"] for one in told["files"]]) == (201, ["one", "two"])
    assert receiver.files() == {b"one": b"1" * 1_000_000, b"two": b"\r\n--limi\r\n"}


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.removesuffix(b"--limit--\r\n"),
        lambda body: body.replace(b'filename="../two"', b"x=y"),
        lambda body: body.replace(b"--limit\r\n", b"--other\r\n"),
        lambda body: body.replace(b"../", b"").replace(b'filename="two"', b"").replace(b'filename="one"', b""),
    ],
    ids=["cut", "unnamed first", "other boundary", "no file"],
)
def test_a_form_with_a_fault_leaves_nothing(receiver: Receiver, change: Any) -> None:
    body, headers = form(("one", b"1"), ("../two", b"2"))
    changed = change(body)
    expected = 201 if b"x=y" in changed else 400
    assert receiver.status_of("POST", "/", changed, headers) == expected
    assert list(receiver.files()) == ([b"one"] if expected == 201 else [])


def test_a_client_that_waits_is_asked_for_its_body_or_refused_before(receiver: Receiver) -> None:
    def answer_to(path: str, length: int, sent: bytes) -> bytes:
        with receiver.begun(f"PUT {path} HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: {length}", b"") as stream:
            first = stream.recv(1000)
            if not first.startswith(b"HTTP/1.1 100"):
                return first
            assert receiver.files().keys() <= {path[1:].encode()} | set(hidden(receiver))
            stream.sendall(sent)
            return stream.recv(1000)

    assert answer_to("/asked", 4, b"four").startswith(b"HTTP/1.1 201")
    assert answer_to("/large", 50_000_001, b"").startswith(b"HTTP/1.1 413")
    assert answer_to("/a/b", 4, b"").startswith(b"HTTP/1.1 400")
    assert receiver.files() == {b"asked": b"four"}


def hidden(receiver: Receiver) -> list[bytes]:
    return [name for name in receiver.files() if name.startswith(PREFIX.encode())]


def test_a_file_that_turns_out_too_large_leaves_nothing(receiver: Receiver) -> None:
    chunks = iter([b"x" * 1_000_000] * 60)
    status, told, _ = receiver.send("PUT", "/large", chunks, encode_chunked=True)
    assert (status, told["title"]) == (413, "the file is larger than 50000000 bytes")
    assert receiver.status_of("PUT", "/large", b"x" * 50_000_001) == 413
    assert receiver.files() == {}


def test_an_upload_appears_at_its_end_only(receiver: Receiver) -> None:
    with receiver.begun("PUT /slow HTTP/1.1\r\nContent-Length: 12") as stream:
        wait_until(lambda: b"half of it" in receiver.files().values(), what="the first bytes")
        assert hidden(receiver) == list(receiver.files())
        stream.sendall(b"..")
        assert stream.recv(100).startswith(b"HTTP/1.1 201")
        assert receiver.files() == {b"slow": b"half of it.."}


@pytest.mark.parametrize("head", ["Content-Length: 12", "Transfer-Encoding: chunked"])
def test_half_an_upload_never_appears(receiver: Receiver, head: str) -> None:
    body = b"half of it" if "Length" in head else b"a\r\nhalf of it\r\n"
    with receiver.begun(f"PUT /half HTTP/1.1\r\n{head}", body):
        wait_until(lambda: b"half of it" in receiver.files().values(), what="the first bytes")
    wait_until(lambda: not receiver.files(), what="the end of the upload")


@pytest.mark.parametrize("head", ["Content-Length: 12", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("is_reset", [True, False])
def test_half_an_upload_over_tls_never_appears(tmp_path: Path, head: str, is_reset: bool) -> None:
    pem, key = certificate(tmp_path)
    body = b"half of it" if "Length" in head else b"a\r\nhalf of it\r\n"
    with Receiver.running(tmp_path, certificate=pem, key=key) as receiver:
        context = ssl.create_default_context(cafile=str(pem))
        plain = socket.create_connection(("127.0.0.1", receiver.port), timeout=60)
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as stream:
            if is_reset:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            authorization = basic()["Authorization"]
            stream.sendall(
                f"PUT /half HTTP/1.1\r\n{head}\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n".encode() + body
            )
            wait_until(lambda: b"half of it" in receiver.files().values(), what="the first bytes")
        wait_until(lambda: not receiver.files(), what="the end of the upload")


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Content-Length: -1",
        "Content-Length: +3",
        "Content-Length: 1_0",
        "Transfer-Encoding: gzip",
    ],
)
def test_a_length_that_can_be_understood_in_two_ways_is_refused(receiver: Receiver, head: str) -> None:
    with receiver.begun(f"PUT /twofold HTTP/1.1\r\n{head}", b"3\r\nabc\r\n0\r\n\r\n") as stream:
        assert b" 201 " not in stream.recv(1000).splitlines()[0]
    wait_until(lambda: not receiver.files(), what="the end of the upload")


def test_a_length_must_be_said(receiver: Receiver) -> None:
    with receiver.begun("PUT /endless HTTP/1.1", b"") as stream:
        assert stream.recv(1000).startswith(b"HTTP/1.1 411")
    assert receiver.files() == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-MD5": base64.b64encode(hashlib.md5(b"content").digest()).decode()},
        {"Content-Digest": structured("sha-256", b"content")},
        {"Repr-Digest": f"{structured('sha-512', b'content')}, unknown=:YQ==:"},
        {"Digest": f"SHA-256={base64.b64encode(hashlib.sha256(b'content').digest()).decode()}"},
    ],
)
def test_a_checksum_is_looked_at(receiver: Receiver, headers: dict[str, str]) -> None:
    assert receiver.status_of("PUT", "/good", b"content", headers) == 201
    status, told, _ = receiver.send("PUT", "/bad", b"other", headers)
    assert status == 400
    assert "does not match" in told["title"]
    assert receiver.status_of("PUT", "/odd", b"content", dict.fromkeys(headers, "sha-256=odd")) == 400
    assert list(receiver.files()) == [b"good"]


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("PUT", {"Content-Range": "bytes 3-6/7"}, 400),
        ("PUT", {"Content-Encoding": "gzip"}, 415),
        ("GET", {}, 405),
        ("DELETE", {}, 405),
        ("PUT", {"Authorization": ""}, 401),
    ],
)
def test_what_is_not_offered_is_refused(receiver: Receiver, method: str, headers: dict[str, str], status: int) -> None:
    assert receiver.status_of(method, "/name", b"content", headers) == status
    assert receiver.files() == {}


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PATCH", "LOCK", "TRACE"])
def test_what_is_allowed_instead_is_said(receiver: Receiver, method: str) -> None:
    status, _, headers = receiver.send(method, "/name")
    assert status == 405
    assert {"PUT", "POST", "OPTIONS"} <= set(headers["Allow"].split(", "))


def test_a_browser_gets_a_page_with_a_form(receiver: Receiver) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=60)) as connection:
        connection.request("GET", "/", headers=basic())
        answer = connection.getresponse()
        page = answer.read().decode()
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert 'enctype="multipart/form-data"' in page
        connection.request("HEAD", "/", headers=basic())
        answer = connection.getresponse()
        assert (answer.status, answer.read(), answer.headers["Content-Length"]) == (200, b"", str(len(page)))
        connection.request("GET", "/")
        assert connection.getresponse().status == 401
    body, headers = form(("one", b"1"))
    assert receiver.status_of("POST", "/", body, {**headers, "Sec-Fetch-Site": "cross-site"}) == 403
    assert receiver.status_of("POST", "/", body, {**headers, "Sec-Fetch-Site": "same-origin"}) == 201


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (b'3;name=value\r\nabc\r\n2 ; q="a;b" ;x\r\nde\r\n0;last\r\n\r\n', b"abcde"),
        (b"3\r\nabc\r\n0\r\nX-Checksum: 1\r\nContent-Length: 7\r\n\r\n", b"abc"),
        (b"0;" + b"x" * 4000 + b"\r\nA: b\r\n\r\n", b""),
        (b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n", b"x" * 5000),
    ],
)
def test_chunks_may_have_extensions_and_trailers(receiver: Receiver, body: bytes, content: bytes) -> None:
    with receiver.begun("PUT /chunks HTTP/1.1\r\nTransfer-Encoding: chunked", body) as stream:
        assert stream.recv(1000).startswith(b"HTTP/1.1 201")
        assert receiver.files() == {b"chunks": content}
        # Nothing of it is left over for the next request.
        stream.sendall(f"PUT /next HTTP/1.1\r\nHost: x\r\nAuthorization: {basic()['Authorization']}\r\n".encode())
        stream.sendall(b"Content-Length: 1\r\n\r\n1")
        assert stream.recv(1000).startswith(b"HTTP/1.1 201")
    assert receiver.files()[b"next"] == b"1"


@pytest.mark.parametrize(
    "body",
    [
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b";x\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
    ],
)
def test_chunks_that_are_none_are_refused(receiver: Receiver, body: bytes) -> None:
    with receiver.begun("PUT /chunks HTTP/1.1\r\nTransfer-Encoding: chunked", body) as stream:
        assert stream.recv(1000).startswith(b"HTTP/1.1 400 ")
    wait_until(lambda: receiver.files() == {}, what="the end of the upload")


@pytest.mark.parametrize("before", ["\r\n", "\r\n\r\n"])
def test_empty_lines_before_a_request_are_passed_over(receiver: Receiver, before: str) -> None:
    with receiver.begun(f"{before}PUT /name HTTP/1.1\r\nContent-Length: 7", b"content") as stream:
        assert stream.recv(1000).startswith(b"HTTP/1.1 201")


@pytest.mark.parametrize("url", ["http://other.example/name", "HTTP://127.0.0.1:80/name?query=1"])
def test_a_request_line_may_have_a_whole_url(receiver: Receiver, url: str) -> None:
    with receiver.begun(f"PUT {url} HTTP/1.1\r\nContent-Length: 7", b"content") as stream:
        assert stream.recv(1000).startswith(b"HTTP/1.1 201")
    assert receiver.files() == {b"name": b"content"}


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"PUT /{'n' * 9000} HTTP/1.1", 414),
        (f"PUT /{'n' * 70_000} HTTP/1.1", 414),
        (f"PUT /{'n' * 900_000} HTTP/1.1", 414),
        (f"PUT /n HTTP/1.1\r\nX: {'y' * 70_000}", 431),
        (f"PUT /n HTTP/1.1\r\nX: {'y' * 900_000}", 431),
        ("PUT /n HTTP/1.1\r\n" + "\r\n".join(f"X{n}: {n}" for n in range(20_000)), 431),
        ("PUT /n", 400),
        ("PUT /n n HTTP/1.1", 400),
        ("PUT /n HTTP/1.1\r\nno field", 400),
    ],
)
def test_a_head_that_cannot_be_taken_is_answered(receiver: Receiver, head: str, status: int) -> None:
    with receiver.begun(head, b"") as stream:
        answer = stream.recv(10_000)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == status


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("attachment; filename*=UTF-8''na%C3%AFve%20file.txt", "naïve file.txt"),
        ("attachment; filename=\"plain.txt\"; filename*=utf-8'en'%e2%82%ac.png", "€.png"),
        ("attachment; filename*=ISO-8859-1''na%EFve.txt", "naïve.txt"),
        ("attachment; filename*=x-unknown''y; filename=plain.txt", "plain.txt"),
        ("attachment; filename=\"a; filename*=UTF-8''b\"", "a; filename*=UTF-8''b"),
    ],
)
def test_a_name_may_say_its_character_set(receiver: Receiver, disposition: str, name: str) -> None:
    assert receiver.status_of("POST", "/", b"content", {"Content-Disposition": disposition}) == 201
    body, headers = form(("one", b"1"))
    in_form = disposition.replace("attachment;", 'form-data; name="file";').encode()
    body = body.replace(b'form-data; name="file"; filename="one"', in_form)
    assert receiver.status_of("POST", "/", body, headers) == 201
    assert sorted(receiver.files().values()) == [b"1", b"content"]
    assert receiver.files()[name.encode()] == b"content"


def test_what_webdav_clients_ask_is_answered(receiver: Receiver) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=60)) as connection:

        def ask(method: str, path: str, body: bytes = b"") -> tuple[int, str]:
            connection.request(method, path, body, {**basic(), "Depth": "0"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

        assert ask("PROPFIND", "/", b"<propfind/>")[0] == 207
        assert ask("PROPFIND", "/a%20file")[0] == 404
        assert (ask("MKCOL", "/")[0], ask("MKCOL", "/folder/")[0]) == (405, 403)
        assert ask("PUT", "/a%20file", b"content")[0] == 201
        (receiver.incoming / "a file").unlink()
        status, properties = ask("PROPFIND", "/a%20file")
        assert status == 207
        assert "<D:href>/a%20file</D:href>" in properties
        assert "<D:getcontentlength>7</D:getcontentlength>" in properties
        connection.request("OPTIONS", "*")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["DAV"], answer.read()) == (204, "1", b"")

    def is_forgotten() -> bool:
        with closing(http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=60)) as other:
            other.request("PROPFIND", "/a%20file", headers=basic())
            return other.getresponse().status == 404

    wait_until(is_forgotten, what="the end of the client")


def test_who_does_not_say_who_it_is_makes_room_for_others(tmp_path: Path) -> None:
    with Receiver.running(tmp_path, max_connections=5, max_connections_per_address=5) as receiver:
        silent = [socket.create_connection(("127.0.0.1", receiver.port), timeout=60) for _ in range(12)]
        for one in silent[::2]:
            one.sendall(b"PUT /half HTTP/1.1\r\n")
        for count in range(8):
            assert receiver.status_of("PUT", f"/{count}", b"content") == 201
        for one in silent:
            one.close()


def test_connections_from_one_address_are_limited(tmp_path: Path) -> None:
    with (
        Receiver.running(tmp_path, max_connections_per_address=1) as receiver,
        receiver.begun("PUT /slow HTTP/1.1\r\nContent-Length: 12") as stream,
    ):
        wait_until(lambda: b"half of it" in receiver.files().values(), what="the first bytes")
        assert receiver.status_of("PUT", "/other", b"") == 503
        stream.sendall(b"..")
        assert stream.recv(100).startswith(b"HTTP/1.1 201")


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver.running(tmp_path_factory.mktemp("hurried"), login_timeout=1) as receiver:
        yield receiver


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"PUT /half HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
        b"PUT /half HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
        b"PUT /half HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
    ],
)
def test_who_does_not_say_in_time_who_it_is_is_left(hurried: Receiver, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", hurried.port), timeout=60) as silent:
        silent.sendall(said)
        while silent.recv(1000):
            pass


def test_who_never_agrees_upon_tls_is_left(tmp_path: Path) -> None:
    pem, key = certificate(tmp_path)
    with (
        Receiver.running(tmp_path, login_timeout=1, certificate=pem, key=key) as receiver,
        socket.create_connection(("127.0.0.1", receiver.port), timeout=60) as silent,
    ):
        assert silent.recv(1000) == b""


def test_a_client_that_sends_too_little_is_left(tmp_path: Path) -> None:
    with Receiver.running(tmp_path, timeout=3, min_rate=1000) as receiver:
        with receiver.begun("PUT /slow HTTP/1.1\r\nContent-Length: 100000") as stream:
            while not select.select([stream], [], [], 0.1)[0]:
                stream.sendall(b"little")
            answer = stream.recv(1000)
            assert answer.startswith(b"HTTP/1.1 408")
            assert b"less than 1000 bytes came in a second" in answer
        wait_until(lambda: receiver.files() == {}, what="the end of the upload")


def test_who_proves_nothing_is_refused_after_a_second(receiver: Receiver) -> None:
    claims = [{"Authorization": "Basic !"}, {"Authorization": "Bearer no"}, basic(password="wrong"), basic("nobody")]
    with ThreadPoolExecutor() as clients:
        answers = list(clients.map(lambda claim: receiver.send("PUT", "/name", b"content", claim), claims))
    assert [status for status, _, _ in answers] == [401] * 4
    assert all("Basic" in headers["WWW-Authenticate"] for _, _, headers in answers)
    assert receiver.files() == {}


def test_a_refused_client_that_goes_on_sending_reads_the_answer(receiver: Receiver) -> None:
    with receiver.begun("PUT /a/b HTTP/1.1\r\nContent-Length: 30000000", b"") as stream:
        stream.sendall(b"x" * 30_000_000)
        assert stream.recv(1000).startswith(b"HTTP/1.1 400")


def test_a_connection_serves_many_files(receiver: Receiver) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=60)) as connection:
        for number in range(5):
            connection.request("PUT", f"/number{number}", b"content", basic())
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (201, True)
    assert len(receiver.files()) == 5


def test_two_uploads_of_one_name_at_once_both_survive(receiver: Receiver) -> None:
    head = "PUT /same.grib HTTP/1.1\r\nContent-Length: 6"
    with receiver.begun(head, b"first") as one, receiver.begun(head, b"other") as other:
        wait_until(lambda: len(receiver.files()) == 2, what="both")
        answers = []
        for stream in (one, other):
            stream.sendall(b"!")
            answers.append(stream.recv(1000))
    assert all(answer.startswith(b"HTTP/1.1 201") for answer in answers)
    assert receiver.files()[b"same.grib"] == b"first!"
    assert sorted(receiver.files().values()) == [b"first!", b"other!"]
    assert b"same~" in answers[1]


def test_one_file_more_is_no_file_in_place_of_another(receiver: Receiver) -> None:
    assert [receiver.status_of("PUT", "/again", content) for content in (b"1", b"2")] == [201, 201]
    assert sorted(receiver.files().values()) == [b"1", b"2"]


def test_memory_does_not_grow_with_files(receiver: Receiver) -> None:
    def peak() -> int:
        lines = Path(f"/proc/{receiver.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

    receiver.status_of("PUT", "/first", b"x" * 1_000_000)
    before = peak()
    threads = [
        threading.Thread(target=receiver.status_of, args=("PUT", f"/large{number}", b"x" * 40_000_000))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.files()) == 5
    assert peak() - before < 30_000


def test_killed_in_the_middle_it_leaves_nothing_that_counts(tmp_path: Path) -> None:
    first = Receiver(tmp_path)
    try:
        assert first.status_of("PUT", "/done", b"content") == 201
        stream = first.begun("PUT /half HTTP/1.1\r\nContent-Length: 12")
        wait_until(lambda: len(first.files()) == 2, what="the first bytes")
    finally:
        first.process.kill()
        first.process.wait()
    stream.close()
    assert len(first.files()) == 2
    with Receiver.running(tmp_path) as second:
        assert second.files() == {b"done": b"content"}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGUSR1])
def test_a_file_that_is_coming_in_is_waited_for_at_the_end(tmp_path: Path, how: signal.Signals) -> None:
    receiver = Receiver(tmp_path)
    try:
        with receiver.begun("PUT /last HTTP/1.1\r\nContent-Length: 12") as stream:
            wait_until(lambda: len(receiver.files()) == 1, what="the first bytes")
            receiver.process.send_signal(how)
            wait_until(lambda: _refuses_connections(receiver), what="no more clients")
            stream.sendall(b"..")
            assert stream.recv(1000).startswith(b"HTTP/1.1 201")
        if how == signal.SIGUSR1:
            wait_until(lambda: receiver.facts.get("drained"), what="drained")
            receiver.process.terminate()
        assert receiver.process.wait(60) == 0
        assert receiver.files() == {b"last": b"half of it.."}
    finally:
        receiver.process.kill()
        receiver.process.wait()


def _refuses_connections(receiver: Receiver) -> bool:
    # A reset is that of a connection which was waiting to be taken.
    with suppress(ConnectionRefusedError, ConnectionResetError), socket.create_connection(("127.0.0.1", receiver.port)):
        return False
    return True


def test_while_intake_pauses_clients_are_told_when_to_come_again(tmp_path: Path) -> None:
    with Receiver.running(tmp_path, module=f"[pressure]\nmin_free = {1 << 60}\nmin_free_percent = 100\n") as receiver:
        status, told, headers = receiver.send("PUT", "/name", b"content")
        assert (status, headers["Retry-After"]) == (503, "30")
        assert "bytes are free on the disk" in told["title"]
        assert receiver.files() == {}


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    # A limit of the size of files fails in the middle as a full disk does; its signal is ignored by Python.
    with Receiver.running(tmp_path, before=("prlimit", "--fsize=1000000")) as receiver:
        assert receiver.status_of("PUT", "/large", b"x" * 5_000_000) == 500
        assert receiver.files() == {}
        assert receiver.status_of("PUT", "/small", b"content") == 201


def test_users_have_tokens_and_directories_and_limits_of_their_own(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(f"one:{hashed('of one')}:one\nother:{hashed_token('a token')}:other\n", "utf-8")
    users.chmod(0o600)
    with Receiver.running(tmp_path, user="", password="", users_file=users, max_per_minute=2) as receiver:
        token = {"Authorization": "Bearer a token"}
        assert receiver.status_of("PUT", "/by_token", b"", token) == 201
        assert receiver.status_of("PUT", "/by_password", b"", basic("one", "of one")) == 201
        assert receiver.status_of("PUT", "/by_token_as_password", b"", basic("other", "a token")) == 201
        status, _, headers = receiver.send("PUT", "/third", b"", token)
        assert (status, headers["Retry-After"]) == (429, "30")
        assert sorted(path.name for path in receiver.incoming.parent.glob("o*/*")) == [
            "by_password",
            "by_token",
            "by_token_as_password",
        ]


def test_over_tls_with_a_certificate(tmp_path: Path) -> None:
    pem, key = certificate(tmp_path)
    with Receiver.running(tmp_path, certificate=pem, key=key, max_connections=1) as receiver:
        context = ssl.create_default_context(cafile=str(pem))
        context.check_hostname = False
        with closing(
            http.client.HTTPSConnection("127.0.0.1", receiver.port, timeout=60, context=context)
        ) as connection:
            connection.request("PUT", "/name", b"content", basic())
            assert connection.getresponse().status == 201
            with closing(http.client.HTTPSConnection("127.0.0.1", receiver.port, timeout=60, context=context)) as more:
                more.request("PUT", "/name", b"", basic())
                assert more.getresponse().status == 503
        assert receiver.files() == {b"name": b"content"}


def test_a_client_that_falls_silent_is_left_and_one_may_be_slowed_down(tmp_path: Path) -> None:
    with Receiver.running(tmp_path, timeout=1, max_rate=1_000_000) as receiver:
        with receiver.begun("PUT /silent HTTP/1.1\r\nContent-Length: 12") as stream:
            assert stream.recv(1000).startswith(b"HTTP/1.1 408")
        begin = time.monotonic()
        assert receiver.status_of("PUT", "/slow", b"x" * 2_000_000) == 201
        assert time.monotonic() - begin > 1
        assert list(receiver.files()) == [b"slow"]


def test_the_log_names_who_was_refused_and_no_password(receiver: Receiver) -> None:
    receiver.status_of("PUT", "/a/b", b"content")
    last = json.loads(receiver.log.splitlines()[-1])
    assert last["user"] == USER
    assert "no name for a file" in last["reason"]
    assert PASSWORD not in receiver.log


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"password": ""}, "user and password go together"),
        ({"user": "", "password": ""}, "nobody may log in"),
        ({"certificate": "nowhere.pem"}, "the certificate cannot be used"),
    ],
)
def test_what_must_be_mended_is_said_at_the_start(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    receiver = Receiver(tmp_path, **keys)
    assert receiver.process.wait(60) != 0
    assert said in receiver.errors.read_text()
