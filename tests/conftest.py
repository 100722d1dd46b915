"""What all tests have: folders of their own, an order that keeps all cores busy, servers that take seconds to start."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import RabbitMQ, Redis, rabbitmq_server, redis_server

# How long an example takes says how much else the machine has to do.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

#: Folders of tests, those whose files take longest first: what is quick fills the cores in the end.
_LONGEST_FIRST = ("system", "integration", "contracts")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Where several processes share the tests, the folder of each has a short name: paths of sockets must be short."""
    if hasattr(config, "workerinput"):
        config.option.basetemp = Path(config.option.basetemp).with_name(config.workerinput["workerid"])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the tests, long files come first."""
    if hasattr(config, "workerinput"):
        ranks = {folder: rank for rank, folder in enumerate(_LONGEST_FIRST)}
        items.sort(key=lambda item: ranks.get(item.nodeid.split("/")[1], len(ranks)))


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees the homes of whoever runs it, or what the tests of another process leave for temporary files."""
    # The paths of sockets below it are short.
    folder = tmp_path_factory.mktemp("t", numbered=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", str(folder))
        patch.setenv("METWORK_HOME", str(folder / "homes"))
        patch.setenv("METWORK_CONFIG_D", str(folder / "etc"))
        # Where it is given, what is written to no terminal has lines of that length, too.
        patch.delenv("COLUMNS", raising=False)
        yield


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    with rabbitmq_server() as server:
        yield server
