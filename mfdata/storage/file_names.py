"""Names of files that fit, and that differ from one that is taken (pure)."""

from __future__ import annotations

import hashlib
import os

#: Bytes that the name of a file may have on every file system of Linux.
LONGEST = 255


def fitted(name: str, longest: int = LONGEST) -> str:
    """*name*, cut before its suffix when it has more than *longest* bytes, and then marked so that it stays unique."""
    raw = os.fsencode(name)
    if len(raw) <= longest:
        return name
    mark = b"~" + hashlib.blake2s(raw, digest_size=4).hexdigest().encode()
    suffix = os.path.splitext(raw)[1]
    if len(suffix) > longest // 4:
        suffix = b""
    end = longest - len(mark) - len(suffix)
    # not in the middle of a character, which has four bytes at most
    start = next((cut for cut in range(end, end - 4, -1) if raw[cut] & 0xC0 != 0x80), end)
    return os.fsdecode(raw[:start] + mark + suffix)


def marked(name: str, identity: str, longest: int = LONGEST) -> str:
    """*name* with eight digits of *identity* before its suffix: for a name that is taken."""
    mark = f"~{hashlib.blake2s(identity.encode('utf-8', 'surrogateescape'), digest_size=4).hexdigest()}"
    stem, suffix = os.path.splitext(name)
    return fitted(f"{stem}{mark}{suffix}", longest)
