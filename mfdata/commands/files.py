"""The commands of mfdata besides the life-cycle: thin over the files that know."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfdata.commands.context import Site
from mfdata.commands.quarantine import quarantine
from mfdata.commands.users import users
from mfdata.operations.tail import KINDS
from mfdata.storage.places import Places
from mfdata.storage.trace import encoded
from mfext.commands.busy import Busy
from mfext.commands.output import JSON, Form, print_json, shows_form
from mfext.commands.times import seconds_of
from mfext.environment import Home
from mfext.errors import MetworkError, UsageError, nearest
from mfext.log import printable, utc
from mfext.module import load_module

if TYPE_CHECKING:
    from mfext.commands.module import Target as Here


@click.command()
@JSON
@click.option("--all", "show_all", is_flag=True, help="Show every file of that name, not only the newest.")
@click.option(
    "-f", "--follow", "is_followed", is_flag=True, help="Of all files: go on with what happens, until Ctrl-C."
)
@click.option("--last", type=click.IntRange(0), help="Of all files: the last so many events; 0 = all. By default 20.")
@click.option("--since", default="", metavar="TIME", help="Of all files: what happened in the last 90s, 10m, 2h, 3d.")
@click.option("--step", default="", metavar="PLUGIN[/STEP]", help="Of all files: only what this step did.")
@click.option("--event", "kind", default="", help=f"Of all files: only this: {', '.join(KINDS)}.")
@click.argument("what", required=False, metavar="[UID|NAME|PATH]")
@click.pass_obj
def trace(here: Here, /, what: str | None, show_all: bool, as_json: bool, **flow: Any) -> None:
    """Tell the whole life of a file, and where it is now.

    What was made of it is told, too.

    The name is that with which it came in, or that of a file that a step made. Without a file: the last events of all.
    """
    from mfdata.operations.history import life_of, uids_of

    if what is None:
        if show_all:
            raise UsageError("--all is for a name", expected="UID|NAME|PATH")
        _trace_all(here.home, as_json, **flow)
        return
    if any(value not in ("", None, False) for value in flow.values()):
        raise UsageError("--follow, --last, --since, --step and --event are for events of all files")
    places = Places(here.home)
    uids = uids_of(here.home, places, what)
    if not uids:
        raise MetworkError(f'no file "{what}" is known', mend="Give the name with which it came in, or its uid.")
    lives = [life_of(places, uid) for uid in (uids if show_all else uids[:1])]
    if as_json:
        print_json([life.facts for life in lives] if show_all else lives[0].facts)
        return
    click.echo("\n\n".join(life.text for life in lives))
    if len(uids) > len(lives):
        click.echo(f"\n{len(uids)} files have this name, this is the newest; --all shows all", err=True)


def _trace_all(
    home: Home, as_json: bool, is_followed: bool, last: int | None, since: str, step: str, kind: str
) -> None:
    from mfdata.operations.history import event_text
    from mfdata.operations.tail import Wanted, follow
    from mfdata.operations.tail import last as last_events

    if kind and kind not in KINDS:
        raise UsageError(f'there is no event "{kind}"', where="--event", mend=nearest(kind, KINDS))
    wanted = Wanted(step, kind)
    begin = time.time() - seconds_of(since) if since else None
    count = last if last is not None else 0 if since else 20
    if is_followed:
        for event in follow(home, wanted, count, begin):
            click.echo(encoded(event) if as_json else printable(event_text(event)))
        return
    found = last_events(home, wanted, count, begin)
    if as_json:
        print_json(found)
        return
    click.echo("".join(f"{printable(event_text(event))}\n" for event in found), nl=False)
    if not found:
        click.echo("no such event", err=True)


@click.command()
@JSON
@click.option("--name", default="", help="The name with which the file comes in; by default its own.")
@click.option("--dirname", default="incoming", show_default=True, help="The incoming directory it comes in through.")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def explain(here: Here, file: Path, name: str, dirname: str, as_json: bool) -> None:
    """Tell what the switch would do with FILE, and why.

    Nothing is moved.

    The tags it would get, each rule of the installed plugins with the value that it saw, and the destinations.
    """
    from mfdata.operations.explanation import explain as explain_file
    from mfdata.switch.switch import published

    _check_is_file(file)
    site = Site(here.home)
    rules = published(site.config, site.plugins)
    found = explain_file(file, rules, Places(here.home), name=name, dirname=dirname)
    print_json(found.facts) if as_json else click.echo(found.text)


@click.command()
@JSON
@click.option("--move", is_flag=True, help="Remove the files from where they were.")
@click.option("--to", "step", default="", metavar="PLUGIN/STEP", help="Give them straight to this step.")
@click.option("--directory", default="", help="The incoming directory; by default the first one.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.pass_obj
def inject(here: Here, files: Sequence[Path], step: str, directory: str, move: bool, as_json: bool) -> None:
    """Give files to mfdata as a producer would, or to a step."""
    from mfdata.operations.injection import into_directory, into_queue
    from mfext.supervision.supervisor import Supervisor

    if step and directory:
        raise UsageError("files can go to one place only", expected="--to or --directory")
    site, places = Site(here.home), Places(here.home)
    done: list[dict[str, str]] = []
    for file in files:
        _check_is_file(file)
    if step:
        target, trace = site.step(step), site.trace
        for file in files:
            uid = into_queue(file, places, target, trace, keep=not move)
            done.append({"file": os.fspath(file), "to": str(target), "uid": uid})
    else:
        folder, is_running = site.incoming(directory), Supervisor(here.home).is_running()
        for file in files:
            to = into_directory(file, folder, keep=not move, is_running=is_running)
            done.append({"file": os.fspath(file), "to": os.fspath(to)})
    print_json(done) if as_json else click.echo("\n".join(f"{one['file']} -> {one['to']}" for one in done))


@click.command()
@JSON
@click.option(
    "--from", "folder", type=click.Path(path_type=Path), help="Look in this folder, an archive, and nowhere else."
)
@click.option("--to", "step", default="", metavar="PLUGIN/STEP", help="Give it to this step; by default as a new file.")
@click.argument("files", nargs=-1, required=True, metavar="UID|NAME...")
@click.pass_obj
def replay(here: Here, files: Sequence[str], folder: Path | None, step: str, as_json: bool) -> None:
    """Give mfdata a copy of files again.

    The copy is marked, and comes from quarantine or from where the trace says that the file was put.

    The copy has a new uid; the tag latest.core.replay_of tells the old one. What it is copied from stays as it is.
    """
    from mfdata.operations.replay import find
    from mfdata.operations.replay import replay as replay_source

    site, places = Site(here.home), Places(here.home)
    target = site.step(step or site.settings.destination)
    # All are found before one is given.
    with Busy("files are looked for") as busy:
        sources = [find(places, what, folder) for what in busy.each(files)]
    with Busy("files are given again") as busy:
        done = [
            {"uid": replay_source(one, places, target, site.trace), "replay_of": one.uid, "from": os.fspath(one.path)}
            for one in busy.each(sources)
        ]
    if as_json:
        print_json([{**one, "to": str(target)} for one in done])
        return
    click.echo("\n".join(f"{printable(one['from'])} -> {target} as {one['uid']}" for one in done))


@click.command("diff-rules")
@JSON
@click.option("--last", default=1000, show_default=True, type=click.IntRange(1), help="Look at the last so many files.")
@click.argument("folder", required=False, metavar="[PLUGIN_FOLDER]", type=click.Path(path_type=Path))
@click.pass_obj
def diff_rules(here: Here, last: int, folder: Path | None, as_json: bool) -> None:
    """Tell which files would go elsewhere by the rules on disk.

    It looks at the files that came in last, and at where the rules in force sent them.

    With PLUGIN_FOLDER, as if that plugin were installed, in place of the one of its name. Nothing is moved.
    """
    from mfdata.operations.rule_diff import changes, summary
    from mfdata.switch.switch import Published, published, rules_file
    from mfext.plugin.manifest import load_plugin

    site, places = Site(here.home), Places(here.home)
    if not rules_file(places).is_file():
        raise MetworkError("no rules are in force", mend='"mfdata.start" puts those of the plugins in force.')
    plugins = {plugin.name: plugin for plugin in site.plugins}
    if folder:
        added = load_plugin(folder, load_module("mfdata"), here.home)
        plugins[added.name] = added
    new = published(site.config, [*plugins.values()])
    found = summary(*changes(places, Published.read(places), new, last))
    print_json(found) if as_json else click.echo(_changes_text(found))


@click.command()
@shows_form
@click.pass_obj
def queues(here: Here, form: Form) -> None:
    """Show what waits for each step, since when, how fast it goes."""
    from mfdata.operations.backlog import backlogs
    from mfext.table import Column, duration, listing

    found = backlogs(Places(here.home), Site(here.home).steps)
    if form.is_json:
        print_json([one.facts for one in found])
        return
    columns = (
        *(Column("STEP", least=16), "WAITING", "OLDEST", Column("CLAIMED", leaves=1), "DELAYED", "QUARANTINED"),
        *(Column("DONE/MIN", leaves=2), Column("FAILED/MIN", leaves=3)),
    )
    rows = [
        (
            str(one.target),
            str(one.waiting),
            duration(one.oldest),
            *map(str, (one.claimed, one.delayed, one.quarantined, one.done, one.failed)),
        )
        for one in found
    ]
    click.echo(listing("Queues", columns, rows, "step", form.width))


@click.command()
@JSON
@click.pass_obj
def inventory(here: Here, as_json: bool) -> int:
    """Count every file in every state, check that none is missing.

    It is exact when nothing is in hand.
    """
    from mfdata.operations.inventory import STATES
    from mfdata.operations.inventory import inventory as count

    with Busy("every file is counted"):
        found = count(here.home, Site(here.home).settings)
    if as_json:
        print_json(found)
    else:
        states = {state: sum(found[state].values()) for state in STATES}
        click.echo(f"incoming, not yet accepted: {found['incoming'] + found['transfers']}")
        click.echo(_sum_text({name: found[name] for name in ("accepted", "injected", "added")}) + " =")
        click.echo(_sum_text({"ended": found["ended"], "dropped": found["dropped"], **states}))
        for name in ("missing", "surplus"):
            click.echo(f"{name}: {len(found[name])} {' '.join(found[name][:20])}".rstrip())
    return 0 if found["balanced"] else 1


COMMANDS = (trace, explain, inject, replay, diff_rules, queues, quarantine, inventory, users)


def _check_is_file(file: Path) -> None:
    if not file.is_file():
        found = "this is not a file" if file.exists() else "there is no such file"
        raise UsageError(found, where=str(file))


def _changes_text(found: dict[str, Any]) -> str:
    """For a person: one line a file, then how many there are of each."""
    rows = [*found["changed"], *found["unknown"]]
    lines = [f"{utc(row['time'])[:19]}Z {row['uid']} {printable(row['name'])}{_change_text(row)}" for row in rows]
    lines.append(
        f"of {found['files']} files {found['same']} would go where they go now, {len(found['changed'])} elsewhere; "
        f"of {len(found['unknown'])} it cannot be told"
    )
    if found["content_not_at_hand"]:
        lines.append(f"of {found['content_not_at_hand']} files the content is not at hand: what it is, is not known")
    return "\n".join(lines)


def _change_text(row: dict[str, Any]) -> str:
    signs = {"gains": "+", "loses": "-", "unknown": "?"}
    return "".join(f" {sign}{to}" for key, sign in signs.items() for to in row[key])


def _sum_text(counts: dict[str, int]) -> str:
    return " + ".join(f"{name} {count}" for name, count in counts.items())
