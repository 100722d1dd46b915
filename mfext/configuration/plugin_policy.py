"""The section ``[plugins]`` of every module's ``config.ini``: what an administrator lets in."""

from __future__ import annotations

from dataclasses import dataclass

from mfext.option import option
from mfext.section import Section


@dataclass(frozen=True)
class Policy(Section):
    """Which archives may be installed."""

    require_signature: bool = option(
        False,
        help="Install, go back to, repair and provide only plugins that are signed with a trusted key.",
    )
