"""The engine that the configuration asks for."""

from __future__ import annotations

from mfext.environment import Home
from mfserv.jobs.config import JobsConfig
from mfserv.jobs.stores.store import JobStore


def open_store(home: Home, settings: JobsConfig) -> JobStore:
    """The store that the configuration asks for."""
    if settings.engine == "rabbitmq":
        from mfserv.jobs.stores.rabbit_store import RabbitStore

        return RabbitStore(settings.rabbitmq_url, settings.redis_url, settings.queue)
    from mfserv.jobs.stores.sqlite_store import SqliteStore

    return SqliteStore(home.var / "jobs" / "jobs.sqlite", home.run / "jobs")
