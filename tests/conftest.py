"""Servers that many tests share, since they take seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import RabbitMQ, Redis, rabbitmq_server, redis_server


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    with rabbitmq_server() as server:
        yield server
