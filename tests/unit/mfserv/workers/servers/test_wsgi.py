from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from mfserv.workers.servers.wsgi import WsgiApp

Steps = list[bool]


def steps_of(app: Callable[..., Iterable[bytes]], threads: int) -> Steps:
    """What is said of the threads while *app* answers one request, one False each time the client is waited for."""
    steps: Steps = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(_message: Any) -> None:
        assert threads > 1 or not steps[-1]

    scope = {"method": "GET", "raw_path": b"/", "query_string": b"", "server": ("a", 80), "http_version": "1.1"}
    bridge = WsgiApp(app, threads, steps.append)
    asyncio.run(bridge({**scope, "scheme": "http", "headers": []}, receive, send))
    return steps


def short(_facts: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"short"]


def pieces(_facts: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b""
    yield b"piece"


def fails(_facts: Any, _start_response: Any) -> list[bytes]:
    raise ValueError


def test_a_thread_is_held_by_the_app_but_not_while_it_waits_for_the_client() -> None:
    assert steps_of(short, 1) == [True, False, True, False]


def test_a_piece_without_a_byte_is_a_step() -> None:
    assert steps_of(pieces, 1) == [True, True, False, True, False, True, False]


def test_while_a_thread_is_free_nothing_is_said() -> None:
    assert steps_of(pieces, 2) == []


def test_an_app_that_fails_lets_go_of_its_thread() -> None:
    steps: Steps = []
    with pytest.raises(ValueError):
        steps.extend(steps_of(fails, 1))
