"""Broker: the queue in RabbitMQ. A message in it is a permit to claim one job; which one, the records say.

A permit is only that: the records know which jobs wait, so that one too many does no harm, and those that the broker
lost are put back by whoever compares. So the broker needs no order and no copies of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pika
import pika.exceptions

from mfext.errors import ServiceUnavailable

_TIMEOUT_S = 5.0


class Permit:
    """A message, with what the broker must be told to forget it."""

    def __init__(self, channel: Any, tag: int) -> None:
        self.channel = channel
        self.tag = tag


class Broker:
    """A connection that was lost is made anew once: nothing of what is done twice does harm."""

    def __init__(self, url: str, queue: str) -> None:
        # It tells every failure many times over, besides raising it.
        logging.getLogger("pika").setLevel(logging.CRITICAL)
        self._url = url
        self._queue = queue
        self._connection: Any = None
        self._channel: Any = None

    def permit(self, count: int) -> None:
        """Put *count* permits into the queue.

        The broker has them when this returns: it answers on a channel in order, so that one question after all of them
        does for what would otherwise be an answer, and a wait for its disk, for each.
        """

        def publish(channel: Any) -> None:
            for _ in range(count):
                properties = pika.BasicProperties(delivery_mode=2)
                channel.basic_publish("", self._queue, b"", properties=properties, mandatory=True)
            channel.queue_declare(self._queue, passive=True)

        if count:
            self._try(publish)

    def take(self) -> Permit | None:
        """A permit; None when there is none. None waits in a buffer of ours, where it would be of use to nobody."""
        method, _, _ = self._try(lambda channel: channel.basic_get(self._queue))
        return Permit(self._channel, method.delivery_tag) if method else None

    def used(self, permit: Permit) -> None:
        """It is dealt with. If this does not get through it comes again, as one too many."""
        with suppress(pika.exceptions.AMQPError):
            permit.channel.basic_ack(permit.tag)

    def depth(self) -> int:
        """Permits in the queue."""
        declared = self._try(lambda channel: channel.queue_declare(self._queue, passive=True))
        return int(declared.method.message_count)

    def close(self) -> None:
        """Let go of the connection; permits that were not used go back."""
        if self._connection:
            with suppress(pika.exceptions.AMQPError):
                self._connection.close()
        self._connection = self._channel = None

    def _try(self, act: Callable[[Any], Any]) -> Any:
        is_old = self._channel is not None
        try:
            return act(self._open())
        except (pika.exceptions.AMQPError, OSError) as error:
            self.close()
            if is_old:
                return self._try(act)
            raise ServiceUnavailable(f"RabbitMQ cannot be reached: {_words(error)}", where=shown(self._url)) from None

    def _open(self) -> Any:
        if self._channel is None:
            parameters = pika.URLParameters(self._url)
            parameters.socket_timeout = parameters.blocked_connection_timeout = _TIMEOUT_S
            parameters.stack_timeout = parameters.socket_timeout
            self._connection = pika.BlockingConnection(parameters)
            channel = self._connection.channel()
            channel.queue_declare(self._queue, durable=True)
            self._channel = channel
        return self._channel


def shown(url: str) -> str:
    """*url* without its secret."""
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://{after}" if at else url


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
