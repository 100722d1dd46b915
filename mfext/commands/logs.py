"""The command ``MODULE.logs``."""

from __future__ import annotations

import json
import select
import sys
import time
from typing import TYPE_CHECKING

import click

from mfext.commands.output import JSON, colour
from mfext.commands.times import moment_of
from mfext.log import LEVELS, utc

if TYPE_CHECKING:
    from mfext.commands.module import Target
    from mfext.lifecycle.logs import Entry, Logs

#: Lines that are shown when nobody says how many.
_LINES = 100
#: Exit status of a command that was interrupted, as shells give it.
_INTERRUPTED = 130


@click.command()
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on with each line that comes, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(min=0), metavar="N", help="The last N; 100, or with --since all.")
@click.option("--level", type=click.Choice(LEVELS), default="debug", help="Only lines of this level or a higher one.")
@click.option("--since", default="", metavar="TIME", help="Of the last 90s, 10m, 2h, 3d; or since 2026-11-30T10:00.")
@JSON
@click.argument("name", default="", metavar="[PROCESS|PLUGIN|PLUGIN/STEP]")
@click.pass_obj
def logs(
    target: Target, name: str, since: str, level: str, lines: int | None, *, follows: bool, as_json: bool
) -> int | None:
    """Show what the processes logged and printed, by time.

    What a process prints has no level, and is always shown; its time is at most what is said. With --json each line is
    an object.
    """
    from mfext.lifecycle.logs import Logs, Selection

    begin = utc(moment_of(since, time.time())) if since else ""
    count = lines if lines is not None else None if since else _LINES
    with Logs(target.home, Selection(name, level, begin), follows=follows) as found:
        try:
            for entry in found.before(count):
                _show(entry, as_json=as_json)
            if follows:
                _follow(found, as_json=as_json)
        except KeyboardInterrupt:
            return _INTERRUPTED
    return None


def _follow(found: Logs, *, as_json: bool) -> None:
    """Show what comes, until nobody reads it any more."""
    sys.stdout.flush()
    waits = select.poll()
    waits.register(found, select.POLLIN)
    # Says by itself when the reader of a pipe has gone, which a write would find with the next line only.
    waits.register(sys.stdout, 0)
    while all(fd == found.fileno() for fd, _ in waits.poll()):
        for entry in found.new():
            _show(entry, as_json=as_json)
        sys.stdout.flush()


def _show(entry: Entry, *, as_json: bool) -> None:
    from mfext.lifecycle.logs import as_text

    if as_json:
        sys.stdout.write(f"{json.dumps(entry.as_json())}\n")
        return
    has_colour = colour() is not False and sys.stdout.isatty()
    sys.stdout.write(as_text(entry, today=time.strftime("%Y-%m-%d"), colour=has_colour))
