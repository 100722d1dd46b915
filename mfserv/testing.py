"""What tests of services need: an app that answers, in three lines."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfext.environment import Home, child_variables
from mfext.net.final_answer import FinalAnswer
from mfext.net.unix import connect_to, listen_at
from mfext.testing import temporary_home, wait_until
from mfserv.worker_spec import Spec

__all__ = ["Answer", "Service", "serving"]


@dataclass(frozen=True)
class Answer:
    """What a service answered."""

    #: The status of HTTP: 200, 404.
    status: int
    #: Values by name in lower case.
    headers: Mapping[str, str]
    #: The whole body.
    body: bytes

    def json(self) -> Any:
        """The value that the body holds as JSON.

        Raises:
            ValueError: it is none.
        """
        return json.loads(self.body)


class Service:
    """Something that answers HTTP at a unix socket or a port.

    Args:
        place: path of the socket, or host and number of the port.
    """

    def __init__(self, place: Path | tuple[str, int]) -> None:
        self.place = place

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to GET *path*.

        Args:
            path: path and query below the route: ``/?name=you``.
            headers: values by name.
        """
        return self.ask("GET", path, headers)

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to POST *path* with *body*.

        Args:
            path: path and query below the route.
            body: the bytes that are sent.
            headers: values by name.
        """
        return self.ask("POST", path, headers, body)

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """The answer to a request, whatever its status; it is waited for at most 60 s.

        Args:
            method: of HTTP: ``PUT``.
            path: path and query below the route.
            headers: values by name.
            body: the bytes that are sent; None = no body.

        Raises:
            OSError: nobody answers.
        """
        connection = _Connection(self.place)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()


class _Connection(http.client.HTTPConnection):
    """HTTP to a port or a unix socket."""

    response_class = FinalAnswer

    def __init__(self, place: Path | tuple[str, int]) -> None:
        host, port = ("localhost", 80) if isinstance(place, Path) else place
        super().__init__(host, port, timeout=60)
        self.place = place

    def connect(self) -> None:
        """Connect to where the service is."""
        if not isinstance(self.place, Path):
            super().connect()
            return
        self.sock = connect_to(self.place, timeout=60)


@contextmanager
def serving(
    target: str,
    kind: str = "auto",
    folder: Path | None = None,
    prefix: str = "/plugin",
    *,
    output: Path | None = None,
) -> Iterator[Service]:
    """A worker that serves *target* (``module:object``, a command, a folder of files), as in a plugin, without router.

    Args:
        target: what ``app``, ``cmd`` or ``static`` says in ``config.ini``.
        kind: asgi, wsgi, tornado, command, static; auto looks at the object.
        folder: of the plugin; by default the present one.
        prefix: the route, as the app is told of it; '' = it is not.
        output: file for what the worker writes to standard output and error; by default it is in the error alone.

    Yields:
        The service, ready; its worker ends with the block.

    Raises:
        RuntimeError: the worker ended before it was ready; the message has what it wrote.
    """
    with tempfile.TemporaryDirectory(prefix="mfserv") as place:
        home = temporary_home(Path(place), "mfserv")
        output = output or home.log / "app.out"
        process = _start(home, target, kind, folder or Path.cwd(), output)
        try:
            ready = home.run / "ready" / "app"
            wait_until(lambda: process.poll() is not None or any(ready.glob("[0-9]*")), what="the worker is ready")
            if process.poll() is not None:
                raise RuntimeError("the worker has ended:\n" + output.read_text("utf-8", "replace"))
            yield Service(home.run / "app.sock") if not prefix else _Prefixed(home.run / "app.sock", prefix)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class _Prefixed(Service):
    """A service that is told its route, as the router does it."""

    def __init__(self, place: Path, prefix: str) -> None:
        super().__init__(place)
        self.prefix = prefix

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        return super().ask(method, path, {"X-Forwarded-Prefix": self.prefix, **(headers or {})}, body)


def _start(home: Home, target: str, kind: str, folder: Path, written: Path) -> subprocess.Popen[bytes]:
    """A worker whose socket is inherited rather than held."""
    listening = listen_at(home.run / "app.sock")
    spec = Spec(
        app="test",
        slot=0,
        kind=kind,
        target=target,
        socket="app.sock",
        concurrency=4,
        max_body=10_000_000,
        health="",
        graceful_timeout=10,
        max_age=0,
        debug=True,
    )
    environment = {**child_variables(home), "METWORK_PROCESS": "app"}
    with written.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mfserv.workers.worker", spec.as_text(), str(listening.fileno())],
            cwd=folder,
            env=environment,
            pass_fds=(listening.fileno(),),
            stdout=output,
            stderr=output,
        )
    listening.close()
    return process
