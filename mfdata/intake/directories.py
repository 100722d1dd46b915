"""External directories: where producers write, and which step gets what comes there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mfdata.config import Incoming, StepConfig
from mfdata.storage.places import Places, Target
from mfext.errors import ConfigError, MetworkError, raise_all

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin
    from mfext.section import Config

#: Stands for the queue of the step itself, which gets files from other steps and is not external.
AUTO = "{{AUTO}}"
#: File systems on which other hosts may write, of which a lease tells nothing.
_SHARED = ("nfs", "cifs", "smb", "9p", "fuse", "ceph", "gluster", "lustre", "gpfs", "afs", "ocfs2", "gfs2", "beegfs")


@dataclass(frozen=True)
class ExternalDirectory:
    """A directory that belongs to producers."""

    path: Path
    #: The step that gets every file that comes there.
    target: Target
    #: That its files get in the step's queue; None = as [incoming] says.
    priority: int | None = None


@dataclass(frozen=True)
class _Wish:
    name: str
    target: Target
    #: Where it is written, for messages.
    where: str
    #: Written by the administrator of the module, who may name any directory.
    anywhere: bool


def external_directories(
    places: Places,
    incoming: Incoming,
    listened: Mapping[Target, str] | None = None,
    priorities: Mapping[Target, int] | None = None,
) -> list[ExternalDirectory]:
    """Every external directory (pure).

    Args:
        places: of the home.
        incoming: the module's section.
        listened: ``listened_directories`` of each step, as written.
        priorities: of the steps that declare one.

    Raises:
        ConfigError: a name cannot be one, or two steps want the same directory; or ``Several``.
    """
    errors: list[MetworkError] = []
    found: dict[Path, _Wish] = {}
    for wish in _wishes(incoming, listened or {}):
        path = places.incoming / wish.name
        fault = _fault(wish, path, places) or _conflict(wish, found.get(path))
        if fault:
            errors.append(ConfigError(f'"{wish.name}" {fault}', where=wish.where))
        else:
            found[path] = wish
    raise_all(errors)
    ranks = priorities or {}
    return [ExternalDirectory(path, wish.target, ranks.get(wish.target)) for path, wish in found.items()]


def directories_of(places: Places, config: Config, plugins: Iterable[Plugin]) -> list[ExternalDirectory]:
    """Every external directory that the module's *config* and *plugins* name.

    Raises:
        ConfigError: as :func:`external_directories`.
    """
    listened = {
        Target(plugin.name, section.removeprefix("step_")): plugin.config.section(section, StepConfig)
        for plugin in plugins
        for section in plugin.config.names("step_*")
    }
    names = {target: step.listened_directories for target, step in listened.items()}
    return external_directories(places, config.section("incoming", Incoming), names)


def is_shared(device: int) -> bool:
    """Whether other hosts may write on the file system *device* (``st_dev``), by what the kernel says it is."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        place, _, source = line.partition(" - ")
        if place.split()[2] == wanted:
            return source.startswith(_SHARED)
    return False


def _wishes(incoming: Incoming, listened: Mapping[Target, str]) -> Iterator[_Wish]:
    for name in incoming.directories:
        yield _Wish(name, Target.of(incoming.destination), "[incoming] directories", anywhere=True)
    for target, text in listened.items():
        where = f"plugin {target.plugin} [step_{target.step}] listened_directories"
        for name in text.split(":"):
            if name.strip() not in ("", AUTO, f"step.{target.folder}"):
                yield _Wish(name.strip(), target, where, anywhere=False)


def _fault(wish: _Wish, path: Path, places: Places) -> str:
    if ".." in Path(wish.name).parts or path == places.incoming:
        return "is no name of a directory below var/in"
    if not wish.anywhere and "/" in wish.name:
        return "holds a /; expected the name of a directory below var/in"
    if path.is_relative_to(places.incoming) and path.relative_to(places.incoming).parts[0].startswith("step."):
        return "names a queue, which belongs to its step"
    return ""


def _conflict(wish: _Wish, other: _Wish | None) -> str:
    if other is None or other.target == wish.target:
        return ""
    return f"is listened to by {other.target} already ({other.where})"
