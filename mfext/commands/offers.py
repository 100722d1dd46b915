"""Values that a shell offers for an argument: modules, installed plugins, templates."""

from __future__ import annotations

import click

from mfext.environment import current_module, home_of
from mfext.errors import MetworkError


def offer_modules(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Names of modules that begin with *begun*."""
    from mfext.module import module_names

    return [name for name in module_names() if name.startswith(begun)]


def offer_plugins(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Names of installed plugins that begin with *begun*; none where it is not known of which module."""
    try:
        # Reading each of them would take longer than a person waits for a tabulator.
        names = [entry.name for entry in home_of(current_module()).plugins.iterdir()]
    except (MetworkError, OSError):
        return []
    return sorted(name for name in names if name.startswith(begun) and not name.startswith("."))


def offer_templates(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Names of the templates of the module that begin with *begun*."""
    from mfext.plugin.author.template import templates

    try:
        return [one.name for one in templates(current_module()) if one.name.startswith(begun)]
    except MetworkError:
        return []
