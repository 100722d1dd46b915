"""Secret: what nobody may see in listings, logs and errors (pure)."""

from __future__ import annotations

import re

#: What is shown instead.
MASK = "********"

_NAME = re.compile(r"pass(wd|word|phrase)?$|secret|token|credential|(api|access|private)_?key")
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}")
_PASSWORD_IN_URL = re.compile(r"(://[^/\s:@]*:)[^/\s]+@")


def masked(text: str, secret: bool) -> str:
    """*text* without what nobody may see: all of a secret, otherwise the password in a URL."""
    if secret:
        return MASK if text else ""
    return _PASSWORD_IN_URL.sub(rf"\1{MASK}@", text)


def is_given_away(text: str, secret: bool) -> bool:
    """Whether *text*, as it stands in a file, tells a secret; what ``{{NAME}}`` stands for is not in the file."""
    own = _PLACEHOLDER.sub("", text)
    return masked(own, False) != own or (secret and own == text != "")


def is_secret(key: str) -> bool:
    """Whether a key that nobody declared is called like a secret."""
    return _NAME.search(key.lower()) is not None
