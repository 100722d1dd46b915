"""The note in the folder of an installed release: what it is and which archive it came from.

It is written before the folder gets its place, so that folder and note appear in one step: the note is the truth, and
rpm's database is brought to say the same.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mfext.environment import Home

FILE = ".installed"


@dataclass(frozen=True)
class Marker:
    """What the folder of an installed release says of itself."""

    name: str
    version: str
    release: str
    #: File name of its archive in ``var/releases``.
    archive: str
    #: What tells this build from others: the digest of its header.
    digest: str
    #: What tells this installation from others.
    stamp: str
    #: The key that signed the archive; '' = none.
    signature: str = ""
    #: Seconds since 1970.
    installed: float = 0.0
    #: What it requires, as texts.
    requires: tuple[str, ...] = ()
    #: File name of the archive that was installed before; '' = none.
    previous: str = ""

    @property
    def full_version(self) -> str:
        """``VERSION-RELEASE``."""
        return f"{self.version}-{self.release}"


def read_marker(folder: Path) -> Marker | None:
    """The note in *folder*; None when it holds none, as a developer's folder does not."""
    try:
        fields = json.loads((folder / FILE).read_bytes())
        return Marker(**{**fields, "requires": tuple(fields["requires"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_marker(folder: Path, marker: Marker) -> None:
    """Put *marker* into *folder*."""
    (folder / FILE).write_text(json.dumps(asdict(marker), indent=1), "utf-8")


def markers(home: Home) -> dict[str, Marker]:
    """The notes of all releases installed in *home*, by the name of their folder."""
    if not home.plugins.is_dir():
        return {}
    places = [entry for entry in home.plugins.iterdir() if not entry.name.startswith(".") and not entry.is_symlink()]
    found = {place.name: read_marker(place) for place in places}
    return {name: marker for name, marker in sorted(found.items()) if marker}
