"""An archive that is let into a home: copied there, found to be in order, and signed where that is required."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.configuration.plugin_policy import Policy
from mfext.environment import Home
from mfext.errors import MetworkError, PluginError, raise_all, retold
from mfext.plugin.install.plan import Offer
from mfext.plugin.package.archive import Archive, check_payload, fits, read_archive
from mfext.plugin.package.signature import Signature, check_signature

if TYPE_CHECKING:
    from mfext.module import Module


@dataclass(frozen=True)
class Taken:
    """An archive that was copied into the home and found to be in order."""

    archive: Archive
    signature: Signature
    #: The path that was given.
    given: Path


def signature_rule(module: Module, home: Home) -> str:
    """Where the administrator says that plugins must be signed; '' when nobody does."""
    from mfext.configuration.module_config import module_config

    config = module_config(module, home)
    origin = config.origin("plugins", "require_signature")
    is_required = config.section("plugins", Policy).require_signature
    return f"{origin} [plugins] require_signature" if is_required else ""


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
