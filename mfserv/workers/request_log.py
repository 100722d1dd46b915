"""What an app says through the standard ``logging``, with the id of the request in hand."""

from __future__ import annotations

import logging

from mfext import log
from mfserv.workers.request_id import request_id


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
