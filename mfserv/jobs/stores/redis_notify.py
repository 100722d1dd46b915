"""RedisBell: processes of several hosts tell each other through redis that something happened."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

import redis

from mfext.errors import ServiceUnavailable


class RedisBell:
    """Hears what is published, in a thread of its own, since only that has a file to poll."""

    def __init__(self, database: redis.Redis, channel: str, wanted: frozenset[str]) -> None:
        self._pubsub = database.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._pubsub.subscribe(channel)
        self._wanted = wanted
        self._kinds: set[str] = set()
        self._lock = threading.Lock()
        self._is_lost = self._is_closed = False
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._listen, name="job-bell", daemon=True)
        self._thread.start()

    @property
    def fd(self) -> int:
        """Becomes readable when it rings."""
        return self._read

    def heard(self) -> set[str]:
        """What rang since the last call.

        Raises:
            ServiceUnavailable: it will never ring again.
        """
        with suppress(BlockingIOError):
            os.read(self._read, 4096)
        with self._lock:
            kinds, self._kinds = self._kinds, set()
        if self._is_lost:
            raise ServiceUnavailable("redis cannot be reached")
        return kinds

    def close(self) -> None:
        """Hear no more."""
        self._is_closed = True
        self._thread.join()
        self._pubsub.close()
        os.close(self._read)
        os.close(self._write)

    def _listen(self) -> None:
        try:
            while not self._is_closed:
                message = self._pubsub.get_message(timeout=0.2)
                if message:
                    self._ring(message["data"].decode())
        except (redis.RedisError, OSError, ValueError):
            self._is_lost = True
            self._wake()

    def _ring(self, kind: str) -> None:
        if kind in self._wanted:
            with self._lock:
                self._kinds.add(kind)
            self._wake()

    def _wake(self) -> None:
        with suppress(BlockingIOError, OSError):
            os.write(self._write, b"x")
