"""Layer: Python packages that are installed beside MetWork and that a plugin gets when it asks for them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mfext.environment import layers_folder
from mfext.errors import ConfigError, nearest

#: What the folder of a layer is called before its name; the RPM that brings it is called the same.
PREFIX = "metwork-mfext-layer-"


@dataclass(frozen=True)
class Layer:
    """One layer on this machine."""

    name: str
    folder: Path

    @property
    def site(self) -> Path:
        """Where its packages are for the Python that this is."""
        return self.folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


def layers() -> list[Layer]:
    """The layers on this machine, sorted by name."""
    found = layers_folder().glob(f"{PREFIX}*")
    return [Layer(folder.name.removeprefix(PREFIX), folder) for folder in sorted(found) if folder.is_dir()]


def layer(name: str, where: str = "") -> Layer:
    """The layer *name*, which *where* asks for.

    Raises:
        ConfigError: it is not here, or not for this Python.
    """
    known = [one.name for one in layers()]
    if name not in known:
        raise ConfigError(f'there is no layer "{name}" on this machine', where=where, mend=_mend(name, known))
    found = Layer(name, layers_folder() / f"{PREFIX}{name}")
    if not found.site.is_dir():
        raise ConfigError(
            f'the layer "{name}" is for another Python', where=where, expected=f"packages in {found.site}"
        )
    return found


def _mend(name: str, known: Sequence[str]) -> str:
    """What to do about a layer that is not there: it is mistyped, or to be installed."""
    guess = nearest(name, known)
    if guess.startswith("Did you mean") or not re.fullmatch(r"[a-z0-9_-]+", name):
        return guess
    return f"Install the package {PREFIX}{name}."


def sites(names: Iterable[str], where: str = "") -> list[Path]:
    """Where the packages of the layers *names* are, in that order: what comes first is found first."""
    return [layer(name, where).site for name in names]
