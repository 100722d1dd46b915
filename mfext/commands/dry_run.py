"""The option ``--dry-run`` of commands that change a module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mfext.commands.output import print_json, report

if TYPE_CHECKING:
    from mfext.lifecycle.preview import Preview

DRY_RUN = click.option(
    "--dry-run", "is_dry", is_flag=True, help="Say what would change, which processes and what waits; change nothing."
)


def show_preview(preview: Preview, module: str, *, as_json: bool) -> int:
    """Print what a command would change of *module*; the exit status that it would have."""
    from mfext.lifecycle.preview import lines

    if as_json:
        print_json({"module": module, **_facts(preview)})
        return report(preview.problems)
    for line in lines(preview, module):
        click.echo(line)
    return report(preview.problems)


def _facts(preview: Preview) -> dict[str, Any]:
    """JSON values of *preview*; of processes their names alone, since their environment is for nobody."""
    changes = preview.processes
    return {
        "is_running": preview.is_running,
        "processes": {
            "stopped": list(changes.removed),
            "started": [one.name for one in changes.added],
            "restarted": [one.name for one in changes.replaced],
            "adjusted": [one.name for one in changes.adjusted],
        },
        "plugins": list(preview.plugins),
        "waiting": list(preview.waiting),
        "problems": [one.message for one in preview.problems],
    }
