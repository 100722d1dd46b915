"""Upgrades and rollbacks of a service while wrk asks it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from mfext.testing import wait_until
from tests.integration.mfserv.serv import Serv
from tests.underload.kinds import Elsewhere, made, released
from tests.underload.wrk import Figures, wrk


@dataclass(frozen=True)
class Swaps:
    """What came of it."""

    template: str
    swaps: int
    figures: Figures

    def __str__(self) -> str:
        return f"{self.template:8s}  {self.figures}  swaps {self.swaps}"


def swap(serv: Serv, template: str, others: Elsewhere, seconds: float) -> Swaps:
    """Make a plugin of *template*, install it, and change its version for *seconds*, twice at the least."""
    folder = made(serv, template, others)
    first = released(serv, template, folder, 1, others)
    second = released(serv, template, folder, 2, others)
    name = folder.name
    serv.run("plugins.uninstall", name)  # the dev-link
    serv.run("plugins.install", first)
    answers(serv, name, 1)
    number = 0
    with wrk(f"http://127.0.0.1:{serv.port}/{name}/") as load:
        end = time.monotonic() + seconds
        while number < 2 or time.monotonic() < end:
            serv.run("plugins.install", "--upgrade", second)
            answers(serv, name, 2)
            serv.run("plugins.rollback", name)
            answers(serv, name, 1)
            number += 2
    serv.run("plugins.uninstall", name)
    assert serv.service.get(f"/{name}/").status == 404
    return Swaps(template, number, load.figures)


def answers(serv: Serv, name: str, version: int) -> None:
    """Wait until this version, and it alone, answers."""
    said = f"version {version}".encode()
    wait_until(
        lambda: all(said in serv.service.get(f"/{name}/").body for _ in range(6)), 30, f"{name} is of version {version}"
    )
