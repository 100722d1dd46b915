"""Upgrade services under load, kill their workers, break their neighbours: ``python -m tests.underload [PART...]``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from tests.integration.mfserv.serv import Serv
from tests.underload.kills import broken, kills
from tests.underload.kinds import SOURCES, Elsewhere, elsewhere
from tests.underload.swaps import swap
from tests.underload.wrk import Figures


@contextmanager
def _module() -> Iterator[Serv]:
    with tempfile.TemporaryDirectory(prefix="underload-") as place:
        serv = Serv(Path(place))
        serv.configure()
        serv.run("mfserv.start")
        try:
            yield serv
        finally:
            serv.try_to("mfserv.stop", "--timeout", "5")


def _lines(serv: Serv, part: str, others: Elsewhere, seconds: float) -> Iterator[tuple[str, Figures]]:
    """What to print, as it comes, and the figures in it."""
    if part in SOURCES:
        done = swap(serv, part, others, seconds)
        yield str(done), done.figures
        return
    found = broken(serv, seconds) if part == "broken" else chain(*(kills(serv, seconds, workers) for workers in (2, 1)))
    for what, figures in found:
        yield f"{what:50s}  {figures}", figures


def main() -> int:
    """Do what is named, by default all; 1 when a request failed that must not."""
    parts = [*SOURCES, "kills", "broken"]
    parser = argparse.ArgumentParser(prog="upgrade-under-load", description=(__doc__ or "").partition(":")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(parts)}; by default all")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each service is changed (default 10)")
    options = parser.parse_args()
    failed = 0
    with _module() as serv, elsewhere() as others:
        for part in options.parts or parts:
            for line, figures in _lines(serv, part, others, options.seconds):
                failed += figures.failed
                print(line, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
