"""The environments that plugins run with while they are developed: where they lie, and which is in use."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.environment import Home

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin


#: What a plugin says it needs; and what that came to mean, with all that it needs in turn: made by us, for its author.
REQUIREMENTS, LOCK = "requirements.txt", "requirements.lock"


#: Where they lie in a released plugin.
VENDORED = ".requirements"


def environments_folder(home: Home, name: str) -> Path:
    """Where the environments of the plugin *name* are made."""
    return home.var / "environments" / name


def is_needed(plugin: Plugin) -> bool:
    """Whether *plugin* gets its packages from an environment: it has requirements and does not bring them."""
    if plugin.environments is None or (plugin.folder / VENDORED).is_dir():
        return False
    try:
        lines = (plugin.folder / REQUIREMENTS).read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)


def environment(plugin: Plugin) -> Path | None:
    """The environment that *plugin* runs with: that of its requirements, else the one that was made last, if any."""
    if not is_needed(plugin):
        return None
    wanted = wanted_environment(plugin)
    return wanted if wanted.is_dir() else max(other_environments(wanted), key=_time, default=None)


def wanted_environment(plugin: Plugin) -> Path:
    """The environment for the requirements as they are now, and for the versions that they came to mean."""
    import hashlib

    digest = hashlib.sha256()
    for name in (REQUIREMENTS, LOCK):
        with suppress(OSError):
            digest.update(f"{name}\n".encode() + (plugin.folder / name).read_bytes())
    return (plugin.environments or Path()) / f"{python_tag()}-{digest.hexdigest()[:16]}"


def other_environments(wanted: Path, *, any_python: bool = False) -> list[Path]:
    """The environments beside *wanted*, for the same Python; what is being made has a name with a dot."""
    tag = r"[\w-]+" if any_python else re.escape(wanted.name.rpartition("-")[0])
    found = wanted.parent.iterdir() if wanted.parent.is_dir() else ()
    return [path for path in found if path != wanted and re.fullmatch(rf"{tag}-[0-9a-f]{{16}}", path.name)]


def _time(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def python_tag() -> str:
    """The Python that compiled packages are for, such as ``cpython-311``."""
    return sys.implementation.cache_tag or "python"
