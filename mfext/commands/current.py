"""The module that a bare command acts on, and its home."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfext.environment import Home, current_module, home_of

if TYPE_CHECKING:
    from mfext.module import Module


def current_home() -> tuple[Module, Home]:
    """Module and home, as ``MFMODULE`` says."""
    from mfext.module import load_module

    module = load_module(current_module())
    return module, home_of(module.name)
