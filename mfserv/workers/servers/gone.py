"""ClientGone: what an app hears that goes on for a client who has left; one that only sends lets others live."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: Statuses of answers that never have a body.
_WITHOUT_BODY = (204, 304)
#: Seconds for which one exchange may keep the loop to itself.
_SLICE = 0.005


class ClientGone(ConnectionResetError):
    """The client has left: nobody wants the rest (an OSError, as ASGI 2.4 says)."""


class Exchange:
    """A request and its answer, between the server and the app.

    The server of uvicorn throws away without a word what is sent to a client that has left, and its ``send`` comes back
    without a turn of the loop: an app that sends for ever would neither hear of it nor let anybody else live.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        # What uvicorn knows of the connection; its servers have this name for it in common.
        self._cycle = getattr(send, "__self__", None)
        self._slice_ends = time.monotonic() + _SLICE

    @property
    def has_left(self) -> bool:
        """Whether the client has left before the answer was complete."""
        return bool(getattr(self._cycle, "disconnected", False))

    async def receive(self) -> Message:
        """What ASGI promises."""
        await self._breathe()
        return await self._receive()

    async def send(self, message: Message) -> None:
        """What ASGI promises.

        Raises:
            ClientGone: nobody reads it.
        """
        await self._breathe()
        if message["type"] == "http.response.start" and message["status"] in _WITHOUT_BODY:
            # Of 304 the length is that of another answer: uvicorn would wait for a body.
            headers = [pair for pair in message.get("headers", ()) if bytes(pair[0]).lower() != b"content-length"]
            message = {**message, "headers": headers}
        if not self.has_left:
            await self._send(message)
        if self.has_left:
            raise ClientGone("the client has left")

    async def _breathe(self) -> None:
        """Let the loop turn, once in a while: an await that need not wait does not."""
        if time.monotonic() >= self._slice_ends:
            await asyncio.sleep(0)
            self._slice_ends = time.monotonic() + _SLICE


def has_left(send: Callable[..., Any]) -> bool:
    """Whether the client whose exchange *send* is of has left; no thread has to wait for the answer."""
    exchange = getattr(send, "__self__", None)
    return isinstance(exchange, Exchange) and exchange.has_left


def comes_of_leaving(error: BaseException | None) -> bool:
    """Whether *error* is what an app made of a ``ClientGone`` (pure)."""
    while error is not None:
        if isinstance(error, BaseExceptionGroup):
            return all(comes_of_leaving(one) for one in error.exceptions)
        if isinstance(error, ClientGone):
            return True
        error = error.__cause__ or error.__context__
    return False
