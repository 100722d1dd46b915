"""The sections of every module's ``config.ini``: ``[log]``, ``[metrics]`` and ``[supervisor]``."""

from __future__ import annotations

from dataclasses import dataclass

from mfext.log import DEFAULT_KEEP, DEFAULT_LEVEL, DEFAULT_MAX_SIZE, LEVELS
from mfext.metrics.config import Metrics
from mfext.option import option
from mfext.section import Section


@dataclass(frozen=True)
class Log(Section):
    """What the module's processes write into the log folder."""

    level: str = option(DEFAULT_LEVEL, choices=LEVELS, help="Lines below this level are not written.")
    max_size: int = option(
        DEFAULT_MAX_SIZE,
        unit="bytes",
        minimum=10_000,
        help="Size at which a log file is rotated, and to which the raw output of a process is cut.",
    )
    keep: int = option(DEFAULT_KEEP, minimum=1, maximum=1000, help="Rotated files that each log keeps.")


@dataclass(frozen=True)
class Supervision(Section):
    """How the module's processes are kept running."""

    start_timeout: float = option(
        30.0,
        unit="s",
        minimum=1,
        help="Time that a start waits for the processes to be ready before it names those that are not.",
    )
    max_backoff: float = option(
        60.0,
        unit="s",
        minimum=0,
        maximum=3600,
        help="Longest time between two starts of a process that ends at once again and again.",
    )
    stalled_after: float = option(
        120.0,
        unit="s",
        minimum=0,
        help="Time for which the loop of a process of the module itself may stand still, although it has something to "
        "do, before it is killed and started again; 0 = for ever.",
    )
    watch_dev_links: bool = option(
        True, help="Restart the processes of a dev-linked plugin when one of its .py or .ini files changes."
    )


#: To be put among the sections of a module's schema.
SECTIONS: dict[str, type[Section]] = {"log": Log, "metrics": Metrics, "supervisor": Supervision}
