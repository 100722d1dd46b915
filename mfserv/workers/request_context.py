"""The request in hand: its id, as the router made it and wrote it into its access log, also in what an app logs."""

from __future__ import annotations

import logging
from contextvars import ContextVar

from mfext import log

_current: ContextVar[str] = ContextVar("request_id", default="")


def request_id() -> str:
    """The id of the request in hand, as text: that of ``X-Request-Id`` and of the access log; '' outside of one."""
    return _current.get()


def enter_request(value: str) -> None:
    """From here on, in this task or thread, the request with the id *value* is in hand."""
    _current.set(value)


def adopt_standard_logging(level: str) -> None:
    """Let it come out in the worker's log."""
    log.adopt_standard_logging(level)
    root = logging.getLogger()
    root.handlers[:] = [_Handler()]


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        fields = {"request_id": request_id()} if request_id() else {}
        if record.exc_info:
            fields["traceback"] = logging.Formatter().formatException(record.exc_info)
        logger = log.get_logger(record.name)
        level = record.levelno
        tell = logger.error if level >= logging.ERROR else logger.warning if level >= logging.WARNING else logger.info
        (tell if level >= logging.INFO else logger.debug)(record.getMessage(), **fields)
