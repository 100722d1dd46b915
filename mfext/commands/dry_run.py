"""The option ``--dry-run`` of commands that change a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mfext.commands.output import report

if TYPE_CHECKING:
    from mfext.lifecycle.preview import Preview

DRY_RUN = click.option(
    "--dry-run", "is_dry", is_flag=True, help="Say what would change, which processes and what waits; change nothing."
)


def show_preview(preview: Preview, module: str) -> int:
    """Print what a command would change of *module*; the exit status that it would have."""
    from mfext.lifecycle.preview import lines

    for line in lines(preview, module):
        click.echo(line)
    return report(preview.problems)
