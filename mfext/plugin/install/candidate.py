"""An archive that is let into a home: copied there, found to be in order, and signed where that is required."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.environment import Home
from mfext.errors import MetworkError, PluginError, raise_all, retold
from mfext.plugin.install.offers import Offer
from mfext.plugin.package.archive import Archive, check_payload, fits, read_archive
from mfext.plugin.package.signature import Signature, check_signature

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Taken:
    """An archive that was copied into the home and found to be in order."""

    archive: Archive
    signature: Signature
    #: The path that was given.
    given: Path


def take(path: Path, place: Path, home: Home, required: str) -> Taken:
    """Copy the archive *path* to *place* and check the copy, so that nobody changes what was checked.

    Args:
        path: of the archive.
        place: of the copy.
        home: where it shall be installed.
        required: who says that it must be signed; '' = nobody.

    Raises:
        PluginError: it is not in order.
    """
    try:
        shutil.copyfile(path, place)
    except FileNotFoundError:
        raise PluginError("there is no such file", where=str(path)) from None
    except IsADirectoryError:
        raise PluginError(
            "this is a folder", where=str(path), expected="an archive", mend="Make one of it: plugins.release"
        ) from None
    except PermissionError as error:
        raise PluginError(f"cannot be read: {error.strerror}", where=str(path)) from None
    try:
        archive = read_archive(place)
        raise_all([fault] if (fault := fits(archive, home.module)) else [])
        check_payload(archive)
        signature = check_signature(archive, home, required=required)
    except MetworkError as error:
        raise retold(error, place, path) from None
    return Taken(archive, signature, path)


def offer_of(archive: Archive, path: Path) -> Offer:
    """What *archive*, which a person knows as *path*, offers."""
    return Offer(archive.name, archive.full_version, archive.header.digest, path, archive.requires)
