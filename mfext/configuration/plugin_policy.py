"""The section ``[plugins]`` of every module's ``config.ini``: what an administrator lets in: signed or not."""

from __future__ import annotations

from dataclasses import dataclass

from mfext.option import option
from mfext.section import Config, Section


@dataclass(frozen=True)
class Policy(Section):
    """Which archives may be installed."""

    require_signature: bool = option(
        False,
        help="Install, go back to, repair and provide only plugins that are signed with a trusted key.",
    )


def signature_rule(config: Config) -> str:
    """Where the administrator says that plugins must be signed; '' when nobody does (pure)."""
    origin = config.origin("plugins", "require_signature")
    return f"{origin} [plugins] require_signature" if config.section("plugins", Policy).require_signature else ""
