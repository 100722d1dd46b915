"""What archives offer, and what an installation finds: plugins, the module, Python, layers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from mfext.plugin.package.rpm_version import Capability


@dataclass(frozen=True)
class Standing:
    """A plugin that is installed."""

    name: str
    #: ``VERSION-RELEASE``.
    version: str
    #: Of the header of the archive that it came from; '' when it came from none.
    digest: str = ""
    requires: tuple[str, ...] = ()
    #: The developer's folder that it is linked to.
    dev_link: Path | None = None
    builtin: bool = False


@dataclass(frozen=True)
class Offer:
    """A plugin that an archive brings."""

    name: str
    version: str
    digest: str
    path: Path
    requires: tuple[Capability, ...] = ()


@dataclass(frozen=True)
class Ground:
    """What an installation stands on."""

    module: str
    #: Version of the module.
    version: str
    #: Tag of the Python that runs plugins.
    python: str
    installed: Mapping[str, Standing]
    #: Names of the layers that are on this machine, for that Python.
    layers: Collection[str] = ()
