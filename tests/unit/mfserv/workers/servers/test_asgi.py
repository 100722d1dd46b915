from __future__ import annotations

import pytest

from mfserv.workers.servers.asgi import asked_server


@pytest.mark.parametrize(
    ("host", "scheme", "server"),
    [
        ("example.org", "http", ("example.org", 80)),
        ("example.org", "https", ("example.org", 443)),
        ("example.org", "wss", ("example.org", 443)),
        ("example.org:8080", "https", ("example.org", 8080)),
        ("example.org:", "http", ("example.org", 80)),
        ("example.org.", "http", ("example.org.", 80)),
        ("192.0.2.7:81", "http", ("192.0.2.7", 81)),
        ("[2001:db8::1]:8080", "http", ("2001:db8::1", 8080)),
        ("[::1]", "https", ("::1", 443)),
        ("::1", "http", ("localhost", 80)),
        ("", "http", ("localhost", 80)),
        ("a b", "http", ("localhost", 80)),
        ("a/b", "http", ("localhost", 80)),
        ("a:99999", "http", ("localhost", 80)),
    ],
)
def test_the_server_is_the_one_that_the_client_asks_for(host: str, scheme: str, server: tuple[str, int]) -> None:
    assert asked_server(host, scheme) == server
