"""The section ``[metrics]`` of every module's ``config.ini``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mfext.option import option
from mfext.section import Section
from mfext.supervision.process import Process

if TYPE_CHECKING:
    from mfext.environment import Home
    from mfext.section import Config


@dataclass(frozen=True)
class Metrics(Section):
    """Where metrics are shown besides the socket ``var/run/metrics.sock`` of the home."""

    host: str = option("127.0.0.1", help="Address on which the port listens; `0.0.0.0` = all of this machine.")
    port: int = option(
        0,
        minimum=0,
        maximum=65535,
        help="Port on which Prometheus may ask for `/metrics`, without a password; 0 = none.",
    )


def metrics_processes(home: Home, config: Config) -> Sequence[Process]:
    """The process that shows metrics on a port, when one is configured (pure)."""
    settings = config.section("metrics", Metrics)
    if not settings.port:
        return ()
    # Another address is another process: it is started again when the configuration changes.
    fingerprint = f"{settings.host}:{settings.port}"
    command = (sys.executable, "-m", "mfext.metrics.server")
    return (Process(name="metrics", command=command, folder=home.path, fingerprint=fingerprint),)
