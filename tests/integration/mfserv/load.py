"""Clients that ask without a pause, and count what goes wrong."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Load:
    """So many clients, each on a connection of its own, until stopped."""

    def __init__(self, port: int, path: str, clients: int, headers: Mapping[str, str], method: str, tls: bool) -> None:
        self.tls = tls
        self.port, self.path, self.headers, self.method = port, path, headers, method
        self.answers: Counter[object] = Counter()
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]

    @property
    def good(self) -> int:
        """Requests answered with 200."""
        return self.answers[200]

    @property
    def bad(self) -> dict[object, int]:
        """Everything else, with its number."""
        return {what: number for what, number in self.answers.items() if what != 200}

    def _connection(self) -> http.client.HTTPConnection:
        if not self.tls:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=anybody)

    def _ask(self) -> None:
        connection = self._connection()
        body = b"x" * 100 if self.method == "POST" else None
        while not self.stopped.is_set():
            try:
                connection.request(self.method, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                answer.read()
                self.answers[answer.status] += 1
            except (OSError, http.client.HTTPException) as error:
                self.answers[repr(error)] += 1
                connection.close()
                self.stopped.wait(0.05)
        connection.close()


@contextmanager
def load(
    port: int,
    path: str,
    clients: int = 6,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    tls: bool = False,
) -> Iterator[Load]:
    """Clients that ask while the block runs."""
    running = Load(port, path, clients, headers or {}, method, tls)
    for thread in running.threads:
        thread.start()
    try:
        yield running
    finally:
        running.stopped.set()
        for thread in running.threads:
            thread.join(90)
