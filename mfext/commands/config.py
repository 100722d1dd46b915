"""``metwork config``: what is configured, where each value comes from, whether it is right."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import click

from mfext.commands.offers import offer_modules
from mfext.commands.output import JSON, Form, Group, print_json, report, shown_path, shows_form
from mfext.configuration.module_config import module_config
from mfext.environment import Home, current_module, home_of
from mfext.errors import ConfigError, MetworkError, nearest, singly
from mfext.log import printable
from mfext.module import Module, load_module
from mfext.plugin.installed import survey
from mfext.plugin.manifest import Plugin, override_files
from mfext.section import DEFAULT, Config, Row
from mfext.table import cut, table

MODULE = click.argument("module", default="", shell_complete=offer_modules)


_COLUMNS = ("PLUGIN", "SECTION", "KEY", "VALUE", "ORIGIN")
#: Columns at which origins begin, where a line has no other reason.
_ORIGINS_AT = 40


@dataclass(frozen=True)
class Source:
    """The configuration of the module, or of one of its plugins."""

    #: Name of the plugin; '' for the module.
    plugin: str
    rows: tuple[Row, ...]


@click.group(cls=Group)
def config() -> None:
    """Configuration: what is in force, and whether it is right."""


@config.command()
@shows_form
@click.option("--changed", is_flag=True, help="Leave out what has its default.")
@MODULE
def show(module: str, form: Form, changed: bool) -> int:
    """Show every value in force, and where each comes from.

    The values are those of MODULE and its plugins.

    The code of the plugins is imported for the defaults of [custom], but with --changed.
    """
    chosen, home = _chosen(module)
    sources, faults = _sources(chosen, home, with_defaults=not changed)
    kept = [(one.plugin, row) for one in sources for row in one.rows if not changed or row.origin != DEFAULT]
    if form.is_json:
        print_json([{"plugin": plugin, **row._asdict()} for plugin, row in kept])
    elif form.is_wide:
        rows = [(plugin or "-", *row[:-1], shown_path(row.origin)) for plugin, row in kept]
        click.echo(table(_COLUMNS, rows))
    else:
        shown = [(plugin, row._replace(origin=shown_path(row.origin))) for plugin, row in kept]
        click.echo("\n".join(ini_lines(chosen.name, shown, form.width)))
    return report(faults)


@config.command()
@JSON
@MODULE
def check(module: str, as_json: bool) -> int:
    """Check the configuration of MODULE and its plugins.

    Alone and together; all that is wrong is said at once.
    """
    from mfext.lifecycle import lifecycle

    chosen, home = _chosen(module)
    try:
        plan = lifecycle.wanted(chosen, home)
        faults = list(_single([*plan.accepted.refused.values()]))
        names = {*(plugin.name for plugin in plan.accepted.plugins), *plan.accepted.refused}
        unused = [one for plugin in plan.accepted.plugins for one in plugin.unused]
        told = chosen.warnings(home, plan.config, plan.accepted.plugins)
        for one in (*unused, *told, *_of_no_plugin(chosen, home, names)):
            click.echo(f"WARNING : {one.message}", err=True)
    except MetworkError as error:
        faults = list(_single([error]))
    if as_json:
        print_json([_fault(one) for one in faults])
        return faults[0].exit_code if faults else 0
    if not faults:
        click.echo(f"the configuration of {chosen.name} is right, with {len(plan.accepted.plugins)} plugin(s)")
    return report(faults)


@config.command()
@JSON
@click.argument("folder", default=".", type=click.Path(path_type=Path))
def template(folder: Path, *, as_json: bool) -> None:
    """Bring new keys of a plugin's class into its config.ini.

    They come into [custom] of the plugin in FOLDER, below their help.

    What is there stays as it is; keys that have a default are commented.
    """
    from mfext.commands.current import current_home
    from mfext.plugin.author.new_keys import bring_new_keys
    from mfext.plugin.manifest import load_plugin

    module, home = current_home()
    plugin = load_plugin(folder, module, home, overridden=False)
    added = bring_new_keys(plugin, home, module, module_config(module, home))
    file = plugin.folder / "config.ini"
    if as_json:
        print_json({"file": str(file), "added": list(added)})
    elif added:
        click.echo(f"INFO : {len(added)} new key(s) in {file}: {', '.join(added)}")
    else:
        click.echo(f"INFO : {file} has all keys")


def _of_no_plugin(module: Module, home: Home, names: Collection[str]) -> Iterator[MetworkError]:
    """Overrides of plugins that are not there, which may well be written before they come, or be misspelt."""
    for folder in dict.fromkeys(file.parent for file in override_files("", module.name, home)):
        for file in sorted(folder.glob("*.ini")):
            if file.stem not in names:
                mend = nearest(file.stem, sorted(names))
                yield ConfigError(f'no plugin "{file.stem}" is installed', where=str(file), mend=mend)


def _chosen(name: str) -> tuple[Module, Home]:
    module = load_module(name or current_module())
    return module, home_of(module.name)


def ini_lines(module: str, rows: Sequence[tuple[str, Row]], width: int | None) -> Iterator[str]:
    """*rows*, each with the name of its plugin or '', as lines of config.ini with the origin behind each (pure).

    Keys and values are whole: what has no room in a line of *width* characters goes on in the next one.
    """
    place = None
    for plugin, row in rows:
        if place is None or place[0] != plugin:
            yield from ([""] if place else [])
            yield f"# plugin {plugin}" if plugin else f"# {module}"
        if place != (plugin, row.section):
            yield from ("", f"[{row.section}]")
        place = (plugin, row.section)
        yield from _row_lines(row, width)


def _row_lines(row: Row, width: int | None) -> list[str]:
    first, *more = [printable(part) for part in f"{row.key} = {row.value}".split("\n")]
    lines = [first.rstrip(), *(f"    {part}" for part in more)]
    if width is not None:
        lines = [part for line in lines for part in _wrapped(line, width)]
    origin = printable(row.origin)
    if width is None or max(len(lines[-1]), _ORIGINS_AT) + len("  # ") + len(origin) <= width:
        return [*lines[:-1], f"{lines[-1]:{_ORIGINS_AT}}  # {origin}"]
    if len(lines[-1]) + len("  # ") + len(origin) <= width:
        return [*lines[:-1], f"{lines[-1]}{'# '.rjust(width - len(lines[-1]) - len(origin))}{origin}"]
    return [*lines, f"{'':4}# {cut(origin, width - 6, keeps_end=True)}"]


def _wrapped(line: str, width: int) -> list[str]:
    return wrap(line, width, subsequent_indent="    ", drop_whitespace=False) if len(line) > width else [line]


def _sources(module: Module, home: Home, *, with_defaults: bool) -> tuple[list[Source], list[MetworkError]]:
    """Every configuration that can be read, and what is wrong with the others."""
    found = module_config(module, home)
    places = survey(home, module, found)
    read = [one.plugin for one in places if one.plugin]
    defaults = _defaults(read, home, module, found) if with_defaults else {}
    plugins = [Source(one.name, _by_section([*one.config.rows(), *defaults.get(one.name, ())])) for one in read]
    faults = list(dict.fromkeys(one.error for one in places if one.error))
    return [Source("", tuple(found.rows())), *plugins], faults


def _by_section(rows: Sequence[Row]) -> tuple[Row, ...]:
    """*rows* with those of a section together, sections in the order in which they come."""
    sections = list(dict.fromkeys(row.section for row in rows))
    return tuple(sorted(rows, key=lambda row: sections.index(row.section)))


def _defaults(plugins: Sequence[Plugin], home: Home, module: Module, config: Config) -> Mapping[str, Sequence[Row]]:
    """What each of *plugins*, by its name, has of [custom] that no file sets; of code that fails there is a warning."""
    from concurrent.futures import ThreadPoolExecutor

    from mfext.owner import check_owner
    from mfext.plugin.author.new_keys import default_rows

    def rows(plugin: Plugin) -> Sequence[Row]:
        try:
            return default_rows(plugin, home, module, config)
        except MetworkError as error:
            text = f"the defaults of [custom] of {plugin.name} are not known: {error.message}"
            click.echo(f"WARNING : {text}", err=True)
            return ()

    try:
        # Code of another user's plugins is not run.
        check_owner(home)
    except MetworkError as error:
        click.echo(f"WARNING : the defaults of [custom] are left out: {error.message}", err=True)
        return {}
    # Each waits for a Python that starts.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip([one.name for one in plugins], pool.map(rows, plugins), strict=True))


def _single(errors: list[MetworkError]) -> Iterator[MetworkError]:
    """Each error alone and once: two plugins with one name have the same one."""
    for error in dict.fromkeys(errors):
        yield from singly(error)


def _fault(error: MetworkError) -> dict[str, str]:
    return {
        "where": error.where,
        "found": error.found,
        "expected": error.expected,
        "mend": error.mend,
        "message": error.message,
    }
