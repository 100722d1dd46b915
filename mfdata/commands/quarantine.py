"""The commands on files in quarantine: ``mfdata.quarantine list|show|retry|drop``."""

from __future__ import annotations

import heapq
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from mfdata.commands.context import Site
from mfdata.config import Safety
from mfdata.operations.history import short
from mfdata.quarantine.quarantine import Kept, Selection, find_kept, with_reason
from mfdata.storage.places import Places
from mfext.commands.busy import Busy
from mfext.commands.output import JSON, Form, Group, paint_states, print_json, progress, shows_form
from mfext.commands.times import seconds_of
from mfext.environment import Home
from mfext.errors import MetworkError, UsageError, nearest
from mfext.log import printable, utc

if TYPE_CHECKING:
    from mfext.commands.module import Target as Here

#: What a file may be in quarantine for; a step may have words of its own.
KINDS = (
    *("failed", "no_match", "rule_error", "poison", "timeout", "loop", "expired"),
    *("uninstalled", "stranger", "unknown"),
)


@click.group(cls=Group)
def quarantine() -> None:
    """Files kept because they failed: list, show, retry, drop."""


def _selecting(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which files in quarantine are meant."""
    for option in (
        click.option(
            "--older-than", default="", metavar="TIME", help="Only files there for so long: 90s, 10m, 2h, 3d."
        ),
        click.option(
            "--kind", default="", help=f"Only files there for this: {', '.join(KINDS)}, or a step's own word."
        ),
        click.option("--plugin", default="", help="Only files of this plugin."),
    ):
        command = option(command)
    return command


_WHICH = click.argument("names", nargs=-1, metavar="[UID|NAME]...")
_ALL = click.option("--all", "every", is_flag=True, help="All files that the other options name.")


@quarantine.command("list")
@shows_form
@_selecting
@click.option("--limit", default=1000, show_default=True, help="The newest so many; 0 = all.")
@click.pass_obj
def list_command(here: Here, plugin: str, kind: str, older_than: str, limit: int, form: Form) -> None:
    """List the files in quarantine, newest first."""
    from mfext.table import Column, listing

    _check_known(here.home, plugin, kind)
    found = _newest(_kept(here.home, _selection((), plugin, kind, older_than)), limit)
    if form.is_json:
        print_json([one.facts for kept in found if (one := with_reason(kept))])
        return
    rows = [
        (
            f"{utc(one.time)[:19]}Z",
            str(one.target),
            one.kind,
            short(printable(one.name), 1000 if form.is_wide else 60),
            one.uid,
            short(str(one.reason.get("reason", "")), 1000 if form.is_wide else 100),
        )
        for one in found
    ]
    columns = (
        # The uid stays, since every other command asks for it.
        *(Column("SINCE", leaves=2), Column("STEP", leaves=1), "KIND", Column("NAME", least=20)),
        *("UID", Column("REASON", least=12)),
    )
    click.echo(listing("Quarantine", columns, rows, "file", form.width, paint_states))


@quarantine.command("show")
@JSON
@click.argument("name", metavar="UID|NAME")
@click.pass_obj
def show_command(here: Here, name: str, as_json: bool) -> None:
    """Tell all that is known of one file in quarantine."""
    from mfdata.operations.backlog import stored_tags

    named = list(_sure([name], _kept(here.home, _selection((name,), "", "", ""))))
    found = _newest(named, 1)[0]
    one = with_reason(found) or found
    tags = {tag: os.fsdecode(value) for tag, value in stored_tags(Places(here.home), one.path).items()}
    if as_json:
        print_json({**one.facts, "tags": tags})
        return
    if len(named) > 1:
        click.echo(f'newest of {len(named)} files of the name {printable(found.name)}; "list" has the uids', err=True)
    for key, value in {**one.facts, "time": utc(one.time)}.items():
        lines = value if isinstance(value, list) else str(value).splitlines()
        click.echo(f"{key}: {printable(lines[0])}" if len(lines) == 1 else f"{key}:")
        for line in lines if len(lines) > 1 else ():
            click.echo(f"    {printable(str(line))}")
    click.echo("tags:")
    for tag, text in sorted(tags.items()):
        click.echo(f"    {tag} = {printable(text)}")


@quarantine.command("retry")
@JSON
@_selecting
@_ALL
@click.option("--to", "step", default="", metavar="PLUGIN/STEP", help="Give them to this step instead of their own.")
@_WHICH
@click.pass_obj
def retry_command(here: Here, /, names: Sequence[str], every: bool, step: str, as_json: bool, **which: str) -> None:
    """Put files back into the queue of their step.

    Their counts of tries and crashes begin at 0.
    """
    from mfdata.quarantine.quarantine import put_back

    site, places = Site(here.home), Places(here.home)
    to = site.step(step) if step else None
    durable = site.config.section("safety", Safety).durability == "power"
    with Busy("the quarantine is looked through"):
        meant = list(_meant(here.home, names, every, which))
    for one in meant:
        if not to and one.target not in site.steps:
            raise UsageError(
                f'the step {one.target} that had "{one.name}" is not there',
                mend="Install its plugin, or say with --to PLUGIN/STEP where to put the file.",
            )
    _say_several(names, meant)
    done, faults = _done(
        "files are put back", meant, lambda one: put_back(places, one, site.trace, to, durable=durable)
    )
    rows = [{"uid": one.uid, "name": one.name, "to": str(to or one.target)} for one in done]
    _print_done(rows, "put back", as_json)
    _raise_first(faults)


@quarantine.command("drop")
@JSON
@_selecting
@_ALL
@click.option("--yes", is_flag=True, help="Do not ask.")
@_WHICH
@click.pass_obj
def drop_command(here: Here, /, names: Sequence[str], every: bool, yes: bool, as_json: bool, **which: str) -> int:
    """Delete files in quarantine for ever.

    The trace tells that it was you.
    """
    from mfdata.quarantine.quarantine import drop
    from mfext.owner import user_name

    with Busy("the quarantine is looked through"):
        meant = list(_meant(here.home, names, every, which))
    _say_several(names, meant)
    if meant and not yes:
        question = f"Delete {len(meant)} file(s) in quarantine for ever, the first being {_first(meant)}?"
        if not sys.stdin.isatty():
            raise UsageError("this deletes files for ever", expected="--yes", mend=question)
        if not click.confirm(question, err=True):
            click.echo("nothing is deleted", err=True)
            return 1
    places, trace = Places(here.home), Site(here.home).trace
    by = f"mfdata.quarantine drop by {user_name(os.getuid())}"
    done, faults = _done("files are dropped", meant, lambda one: drop(places, one, trace, by))
    _print_done([{"uid": one.uid, "name": one.name, "step": str(one.target)} for one in done], "dropped", as_json)
    _raise_first(faults)
    return 0


def _say_several(names: Sequence[str], meant: Sequence[Kept]) -> None:
    """Say how many files a name stands for, where it is several, before anything is done with them."""
    counts = Counter(name for one in meant for name in {one.uid, one.name, one.path.name} if name in names)
    for name, count in counts.items():
        if count > 1:
            progress(f"{count} files have the name {printable(name)}: all of them are meant")


def _done(
    text: str, meant: Collection[Kept], act: Callable[[Kept], object]
) -> tuple[list[Kept], list[tuple[Kept, OSError]]]:
    """With which of *meant* it was done, those that are gone left out; and with which it could not be, and why.

    *text* says what is done, if that takes long.
    """
    done, faults = [], []
    with Busy(text) as busy:
        for one in busy.each(meant):
            try:
                if act(one):
                    done.append(one)
            except OSError as error:  # the others are no worse for it
                faults.append((one, error))
    return done, faults


def _raise_first(faults: Sequence[tuple[Kept, OSError]]) -> None:
    for one, error in faults:
        why = error.strerror or str(error)
        raise MetworkError(
            f"{len(faults)} file(s) stay in quarantine, the first being {printable(one.name)}: {why}",
            where=str(one.path),
            mend="Mend that, and try again.",
        )


def _meant(home: Home, names: Sequence[str], every: bool, which: dict[str, str]) -> Iterator[Kept]:
    """The files in quarantine that the user named, or all that the options hold for."""
    if bool(names) == every:
        raise UsageError(
            "which files are meant is not said", expected="uids or names, or --all with or without options"
        )
    _check_known(home, which["plugin"], which["kind"])
    kept = _kept(home, _selection(tuple(names), **which))
    return _sure(names, kept) if names else kept


def _check_known(home: Home, plugin: str, kind: str) -> None:
    """Refuse a word that means nothing here: a file that it should have named would be passed over in silence."""
    if not plugin and kind in ("", *KINDS):
        return
    kept = list(_kept(home, Selection()))
    known = {
        "plugin": (plugin, {*(step.plugin for step in Site(home).steps), *(one.target.plugin for one in kept)}),
        "kind": (kind, {*KINDS, *(one.kind for one in kept)}),
    }
    for what, (word, words) in known.items():
        if word and word not in words:
            raise UsageError(f'there is no {what} "{word}"', where=f"--{what}", mend=nearest(word, sorted(words)))


def _sure(names: Sequence[str], found: Iterable[Kept]) -> Iterator[Kept]:
    """*found*, when it holds something for each of *names*."""
    kept = list(found)
    known = {word for one in kept for word in (one.uid, one.name, one.path.name)}
    missing = [name for name in names if name not in known]
    if missing:
        raise MetworkError(f'no file "{missing[0]}" is in quarantine', mend='See "mfdata.quarantine list".')
    return iter(kept)


def _kept(home: Home, selection: Selection) -> Iterator[Kept]:
    return find_kept(Places(home), selection, time.time())


def _selection(names: tuple[str, ...], plugin: str, kind: str, older_than: str) -> Selection:
    return Selection(names, plugin, kind, seconds_of(older_than))


def _newest(kept: Iterable[Kept], limit: int) -> list[Kept]:
    if limit:
        return heapq.nlargest(limit, kept, key=lambda one: one.time)
    return sorted(kept, key=lambda one: one.time, reverse=True)


def _first(meant: Sequence[Kept]) -> str:
    return printable(meant[0].name) if meant else "none"


def _print_done(done: Sequence[dict[str, str]], verb: str, as_json: bool) -> None:
    print_json(done) if as_json else click.echo(f"{len(done)} file(s) {verb}")
