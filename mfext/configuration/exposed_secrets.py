"""Exposed: secrets in configuration files that other users of the machine may read."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.configuration.inifile import read
from mfext.configuration.secret import MASK, is_given_away
from mfext.errors import ConfigError, MetworkError

if TYPE_CHECKING:
    from mfext.section import Config


def exposed_secrets(configs: Iterable[Config]) -> list[MetworkError]:
    """One warning for each secret in the files of *configs* that everybody on this machine may read."""
    return [fault for config in configs for fault in _exposed(config)]


def _exposed(config: Config) -> Iterator[ConfigError]:
    may_read: dict[Path, bool] = {}
    for row in config.rows():
        file = Path(row.origin.rpartition(":")[0])
        if MASK not in row.value or not file.is_absolute():
            continue
        if file not in may_read:
            may_read[file] = may_be_read_by_others(file)
        if may_read[file] and _is_written_there(file, row.section, row.key):
            yield ConfigError(
                "a secret that every user of this machine may read",
                where=f"{row.origin} [{row.section}] {row.key}",
                mend=f"chmod o-rwx {file}",
            )


def may_be_read_by_others(path: Path) -> bool:
    """Whether users who are neither its owner nor of its group may read the file *path*."""
    try:
        if not path.stat().st_mode & stat.S_IROTH:
            return False
        return all(map(_may_be_entered, path.resolve().parents))
    except OSError:
        return False


def _may_be_entered(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IXOTH)


def _is_written_there(file: Path, section: str, key: str) -> bool:
    """Whether *file* holds the secret itself, not only where it comes from."""
    with suppress(MetworkError, KeyError):
        return is_given_away(read(file)[section].values[key].text, True)
    return False
