"""The id of the request in hand, as the router gave it and wrote it into its access log."""

from __future__ import annotations

from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("request_id", default="")


def request_id() -> str:
    """The id of the request in hand, as text: that of ``X-Request-Id`` and of the access log; '' outside of one."""
    return _current.get()


def enter(value: str) -> None:
    """From here on, in this task or thread, the request *value* is in hand."""
    _current.set(value)
