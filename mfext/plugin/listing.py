"""What is told of installed plugins: the list, and all of one (pure but for the listing of files)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mfext.plugin.installed import Installed
from mfext.plugin.manifest import Plugin
from mfext.plugin.marker import Marker, read_marker
from mfext.plugin.package.archive import Archive
from mfext.plugin.package.rpm_header import LICENSE, PACKAGER, SUMMARY, URL, VENDOR
from mfext.section import shown
from mfext.table import WIDE_SHOWS_ALL, Column, is_whole, listing, table

#: What a dev-link has in place of a version and a release.
DEV_LINK = "dev_link"

_PLAIN = ("KEY", Column("VALUE", least=20))
_CONFIG = ("SECTION", "KEY", Column("VALUE", least=12), Column("ORIGIN", least=16, keeps_end=True))


def entry(one: Installed, states: Mapping[str, str]) -> dict[str, Any]:
    """One plugin of the list as JSON values; *states* has the state of its processes by name of the plugin."""
    plugin = one.plugin
    marker = read_marker(one.place) if not one.dev_link else None
    return {
        "name": one.name,
        "version": DEV_LINK if one.dev_link else plugin.version if plugin else None,
        "release": DEV_LINK if one.dev_link else plugin.release if plugin else None,
        "home": str(plugin.folder if plugin else one.place.resolve()),
        "dev_link": one.dev_link,
        "builtin": one.builtin,
        "signature": marker.signature if marker else None,
        "state": "broken" if one.error else states.get(one.name, "stopped"),
        "error": one.error.message if one.error else None,
    }


def list_text(entries: Sequence[Mapping[str, Any]], width: int | None = None) -> str:
    """The list for a person: a grid of *width* characters, and below it what is wrong with those that are broken."""
    rows = [(one["name"], one["version"] or "error", one["release"] or "error") for one in entries]
    columns = (Column("NAME", least=16), Column("VERSION", least=12), Column("RELEASE", least=8))
    text = listing("Installed plugins", columns, rows, "plugin", width)
    broken = [f"{one['name']} is broken: {one['error']}" for one in entries if one["error"]]
    return "\n\n".join([text, *broken])


def info(plugin: Plugin, state: str | None) -> dict[str, Any]:
    """All of *plugin* as JSON values; *state* is None for one that is not installed."""
    return {
        **shown(plugin.general),
        "name": plugin.name,
        "module": plugin.module,
        "version": plugin.version,
        "release": plugin.release,
        "home": str(plugin.folder),
        "dev_link": plugin.dev_link,
        "builtin": plugin.builtin,
        "installed": state is not None,
        "state": state,
        **_released(None if plugin.dev_link else read_marker(plugin.folder)),
        "config": _config(plugin),
        "files": [str(file) for file in files(plugin.folder)],
    }


def _released(marker: Marker | None) -> dict[str, Any]:
    """What is told of the release that is installed; nothing of another plugin."""
    if marker is None:
        return {}
    return {
        "archive": marker.archive,
        "digest": marker.digest,
        "signature": marker.signature,
        "installed_at": datetime.fromtimestamp(marker.installed, UTC).isoformat(timespec="seconds"),
        "needs": list(marker.requires),
        "previous": marker.previous,
    }


def archive_info(archive: Archive, signature: str) -> dict[str, Any]:
    """All of an *archive* as JSON values."""
    header = archive.header
    return {
        "name": archive.name,
        "version": archive.version,
        "release": archive.release,
        "module": archive.module,
        "summary": header.text(SUMMARY),
        "license": header.text(LICENSE),
        "url": header.text(URL),
        "maintainer": header.text(PACKAGER),
        "vendor": header.text(VENDOR),
        "digest": header.digest,
        "signature": signature,
        "size": archive.size,
        "needs": [str(one) for one in archive.requires],
        "files": sorted(str(file.path) for file in archive.files.values() if not file.is_folder),
    }


def info_text(facts: Mapping[str, Any], width: int | None = None) -> str:
    """The same for a person; *width* = characters that a line of a table may have, None = any number."""
    plain = [(key, _plain(value)) for key, value in facts.items() if key not in ("config", "files")]
    files = "Files:\n\n" + "\n".join(f"- {file}" for file in facts["files"])
    if "config" not in facts:
        return _with_hint([(_PLAIN, plain)], [table(_PLAIN, plain, width), files], width)
    config = [
        (section, key, one["value"], one["origin"])
        for section, keys in facts["config"].items()
        for key, one in keys.items()
        if one["origin"] != "default"
    ]
    parts = [
        table(_PLAIN, plain, width),
        "Configuration besides the defaults:\n\n" + table(_CONFIG, config, width),
        files,
    ]
    return _with_hint([(_PLAIN, plain), (_CONFIG, config)], parts, width)


def _with_hint(
    tables: Sequence[tuple[Sequence[str | Column], Sequence[Sequence[str]]]], parts: Sequence[str], width: int | None
) -> str:
    """*parts* as one text, with the option that shows all below them where one of *tables* is not whole."""
    whole = all(is_whole(columns, rows, width) for columns, rows in tables)
    return "\n\n".join([*parts, *([] if whole else [WIDE_SHOWS_ALL])])


def files(folder: Path) -> Iterable[Path]:
    """The files of the plugin in *folder*, relative to it, without what git and Python keep beside them."""
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in path.parts[:-1])
        if file.is_file() and not hidden:
            yield path


def _config(plugin: Plugin) -> dict[str, dict[str, dict[str, str]]]:
    config: dict[str, dict[str, dict[str, str]]] = {}
    for section, key, value, origin in plugin.config.rows():
        config.setdefault(section, {})[key] = {"value": value, "origin": origin}
    return config


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
