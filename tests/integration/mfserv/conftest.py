from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.mfserv.serv import Serv


@pytest.fixture(scope="module")
def new_serv(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Serv]]:
    """Makes modules with some configuration, and starts them; they are stopped in the end."""
    made: list[Serv] = []

    def make(config: str = "") -> Serv:
        made.append(Serv(Path(tmp_path_factory.mktemp("serv"))))
        made[-1].configure(config)
        made[-1].run("mfserv.start")
        return made[-1]

    yield make
    for serv in made:
        serv.try_to("mfserv.stop", "--timeout", "5")


@pytest.fixture(scope="module")
def serv(new_serv: Callable[[str], Serv]) -> Serv:
    """A started module."""
    return new_serv("")
