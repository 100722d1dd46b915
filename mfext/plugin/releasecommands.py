"""The commands on releases: ``plugins.release``, ``plugins.install`` and what belongs to them, thin over the files beside it."""

from __future__ import annotations

from pathlib import Path

import click

from mfext.plugin.current import here


@click.command("release")
@click.option("--to", "target", type=click.Path(path_type=Path), help="The folder for the archive; FOLDER by default.")
@click.argument("folder", default=".", type=click.Path(path_type=Path))
def release_command(target: Path | None, folder: Path) -> None:
    """Build the archive of the plugin in FOLDER: NAME-VERSION-RELEASE.metwork.MODULE.plugin."""
    from mfext.plugin.release import release

    module, home = here()
    archive = release(folder, module, home, target or folder)
    click.echo(f"INFO : The archive {archive.name} is made")
