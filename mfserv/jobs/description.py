"""Description: what a plugin says of the process that its app is in OGC API - Processes, in a JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mfext.errors import MetworkError, PluginError, nearest

if TYPE_CHECKING:
    from mfserv.app import App

#: What may be said, and of what kind it is.
_TEXTS = ("title", "description", "version", "media_type", "method", "path")
_KNOWN: Mapping[str, type[Any]] = {
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(("inputs", "output"), dict),
    "keywords": list,
}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_KINDS: Mapping[type[Any], str] = {str: "a text", list: "a list of texts", dict: "an object"}


def description(app: App) -> Mapping[str, Any]:
    """What is said of *app*; nothing when it has no such file.

    Raises:
        PluginError: the file is not right.
    """
    if not app.settings.process:
        return {}
    file = app.folder / app.settings.process
    try:
        if not file.resolve().is_relative_to(app.folder.resolve()):
            raise PluginError("it leads out of the plugin", where=str(file))
        said = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise PluginError(f"it cannot be read: {error.strerror}", where=str(file)) from None
    except ValueError as error:
        raise PluginError(f"it is not JSON: {error}", where=str(file)) from None
    for fault, mend in _faults(said):
        raise PluginError(fault, where=str(file), mend=mend)
    return dict(said)


def faults(app: App) -> Iterator[MetworkError]:
    """What is wrong with the file of *app*."""
    try:
        description(app)
    except PluginError as error:
        yield error


def _faults(said: Any) -> Iterator[tuple[str, str]]:
    """What is wrong with what is *said*, each with how to mend it."""
    if not isinstance(said, dict):
        yield "it is not a JSON object", ""
        return
    for name, value in said.items():
        kind = _KNOWN.get(name)
        if kind is None:
            yield f'unknown name "{name}"', nearest(name, [*_KNOWN])
        elif not isinstance(value, kind):
            yield f'"{name}" is not {_KINDS[kind]}', ""
    if said.get("method", "POST") not in _METHODS:
        yield f'"method" is not one of {", ".join(_METHODS)}', ""
    inputs = said.get("inputs", {})
    for name, one in inputs.items() if isinstance(inputs, dict) else ():
        if not isinstance(one, dict) or not isinstance(one.get("schema"), dict):
            yield f'the input "{name}" has no schema', 'Write {"schema": {"type": "string"}}, say.'
