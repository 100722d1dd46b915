"""The commands on releases: ``plugins.release``, ``plugins.install`` and their kin, thin over the files beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mfext.commands.current import current_home
from mfext.commands.dry_run import DRY_RUN, show_preview
from mfext.commands.offers import offer_plugins
from mfext.commands.output import JSON, print_json, progress

if TYPE_CHECKING:
    from mfext.errors import MetworkError
    from mfext.plugin.install.install import Installation

#: Width of names and of bars, as rpm has them.
_NAME, _BAR = 38, 33


@click.command("release")
@JSON
@click.option("--to", "target", type=click.Path(path_type=Path), help="The folder for the archive; FOLDER by default.")
@click.argument("folder", default=".", type=click.Path(path_type=Path))
def release_command(target: Path | None, folder: Path, *, as_json: bool) -> None:
    """Build the archive of the plugin in FOLDER.

    It is NAME-VERSION-RELEASE.metwork.MODULE.plugin.
    """
    from mfext.plugin.release.release import release

    module, home = current_home()
    archive = release(folder, module, home, target or folder, say=progress)
    if as_json:
        print_json({"archive": str(archive)})
    else:
        click.echo(f"INFO : The archive {archive} is made")


@click.command("sign")
@click.option("--key", required=True, help="The gpg key to sign with: its number, or a part of its user's name.")
@click.argument("archives", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
def sign_command(key: str, archives: Sequence[Path]) -> None:
    """Sign archives with a gpg key of yours."""
    from mfext.plugin.package.signature import sign

    for archive in archives:
        sign(archive, key)
        click.echo(f"INFO : The archive {archive} is signed")


@click.command("install")
@click.option("--upgrade", is_flag=True, help="Put them in the place of older versions.")
@click.option("--downgrade", is_flag=True, help="Put them in the place of newer versions.")
@click.option("--new-name", default="", metavar="NAME", help="Install the one archive as a plugin of this name.")
@click.option("--require-signature", is_flag=True, help="Refuse what is not signed with a trusted key.")
@DRY_RUN
@JSON
@click.argument("archives", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
def install_command(
    upgrade: bool,
    downgrade: bool,
    new_name: str,
    require_signature: bool,
    archives: Sequence[Path],
    *,
    is_dry: bool,
    as_json: bool,
) -> int:
    """Install plugins from archives, all of them or none.

    The order of the files does not matter.

    If a new version does not run, the old one goes on.
    """
    from mfext.plugin.install.install import Wish, install, preview
    from mfext.plugin.install.plan import Permission

    module, home = current_home()
    wish = Wish(archives, Permission(upgrade, downgrade), new_name, require_signature)
    if is_dry:
        found = preview(wish, module, home)
        warn(found.problems)
        return show_preview(replace(found, problems=()), module.name, as_json=as_json)
    with _Bars(as_json) as bars:
        result = install(wish, module, home, bars.show)
    _report(result, module.name, as_json)
    return 0


@click.command("rollback")
@JSON
@click.argument("name", shell_complete=offer_plugins)
def rollback_command(name: str, *, as_json: bool) -> None:
    """Bring back the version of the plugin NAME before this one."""
    from mfext.plugin.install.rollback import rollback

    module, home = current_home()
    with _Bars(as_json) as bars:
        result = rollback(name, module, home, bars.show)
    _report(result, module.name, as_json)


@click.command("repair")
@JSON
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=offer_plugins)
def repair_command(names: Sequence[str], *, as_json: bool) -> None:
    """End what a killed command left, and bring back files.

    These are files of releases that were changed.
    """
    from mfext.plugin.install.repair import repair

    module, home = current_home()
    with _Bars(as_json) as bars:
        result = repair(names, module, home, bars.show)
    _report(result, module.name, as_json)


class _Bars:
    """Progress as rpm shows it: a line for the preparation, then one for each plugin; nothing beside JSON."""

    def __init__(self, is_silent: bool) -> None:
        self.is_silent = is_silent
        self.is_open = False

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_open:
            click.echo()

    def show(self, name: str, done: int, total: int) -> None:
        """*done* of *total* are done, the last one is *name*."""
        if self.is_silent:
            return
        if not done:
            click.echo(f"{name:<{_NAME}}", nl=False)
        else:
            start = "" if self.is_open else f"{done:4}:{name:<{_NAME - 5}}"
            click.echo(f"{start}{'#' * _BAR} [{100 * done // total:3}%]")
        self.is_open = not done


def _report(result: Installation, module: str, as_json: bool) -> None:
    if as_json:
        plugins = [{"name": one.name, "version": one.version, "release": one.release} for one in result.installed]
        told = [problem.message for problem in result.problems]
        print_json({"module": module, "installed": plugins, "runs": result.runs, "problems": told})
        return
    for marker in result.installed:
        runs = "runs" if result.runs else f'will run after "{module}.start"'
        click.echo(f"INFO : The plugin {marker.name} {marker.full_version} is installed and {runs}")
    if not result.installed:
        click.echo("INFO : All is as it should be already")
    warn(result.problems)


def warn(problems: Sequence[MetworkError]) -> None:
    """Tell what is worth a warning."""
    for problem in problems:
        click.echo(f"WARNING : {problem.message}", err=True)


COMMANDS = (release_command, sign_command, install_command, rollback_command, repair_command)
