"""The section ``[general]`` of every plugin, whatever its module, and the rule for names (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mfext.option import option
from mfext.section import Section

#: Names that would be taken for something else than a plugin.
RESERVED = ("base", "config")
RESERVED_STARTS = ("plugin_", "__")


@dataclass(frozen=True)
class General(Section):
    """What the plugin is."""

    name: str = option(
        help="Name of the plugin, unique in its module. The folder may be called otherwise.",
        pattern=r"[A-Za-z0-9_-]+",
        form="letters, digits, _ and -",
        private=True,
        example="archive_image",
    )
    version: str = option(
        "",
        help="Version of the plugin. A plugin without its own version has the version of its module.",
        pattern=r"[A-Za-z0-9._+~]*",
        form="letters, digits and ._+~",
        example="1.0.0",
    )
    release: str = option(
        "1",
        help="Release of this version: raise it when the plugin is packaged again without a change of version.",
        pattern=r"[A-Za-z0-9._+~]+",
        form="letters, digits and ._+~",
    )
    summary: str = option("", help="What the plugin does, in one line.")
    license: str = option(
        "LicenseRef-Proprietary", help="Licence of the plugin, best as an SPDX expression such as BSD-3-Clause."
    )
    url: str = option("", help="Where to read more about the plugin.")
    maintainer: str = option("", help="Whom to ask about the plugin: a name and a mail address.")
    vendor: str = option("", help="Who publishes the plugin.")
    layers: tuple[str, ...] = option(
        (),
        help="Layers whose Python packages the plugin gets, for itself alone; the first one is looked at first.",
        example="scientific",
        advanced=True,
    )
    requires: tuple[str, ...] = option(
        (),
        help="What must be installed for a release of the plugin to be: other plugins and versions of the module.",
        separator=",",
        example="ftpsend_to_mybox >= 1.2, metwork-mfdata >= 1.0",
        advanced=True,
    )


#: Letters of the name of a plugin, and of what runs of it: files and processes are named by both together.
LONGEST_NAME = 100


def name_fault(name: str) -> str:
    """What is wrong with *name* as the name of a plugin; '' when nothing is."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return "only letters, digits, _ and - are allowed"
    if name.startswith("-"):
        return "a name may not start with -, as options do"
    if len(name) > LONGEST_NAME:
        return f"it has {len(name)} letters, more than {LONGEST_NAME}"
    if name in RESERVED:
        return "this name is reserved"
    for start in RESERVED_STARTS:
        if name.startswith(start):
            return f'a name may not start with "{start}"'
    return ""
