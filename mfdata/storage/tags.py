"""Tags: what is known of a file, stored in its attribute or in a sidecar; and the end of a file with its tags."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mfext.fs.atomic import replace_file
from mfext.fs.copy import copy
from mfext.fs.sync import sync_file

#: The extended attribute that holds all tags (user namespace: xattr(7)).
ATTRIBUTE = "user.metwork"
#: The tag that tells of which file a file is a replay.
REPLAY_OF = "latest.core.replay_of"
#: How many workers died on the file at its present step, and the folder of the last of them.
CRASHES, DIED_IN = "latest.core.crashes", "latest.core.died_in"
#: When somebody let a step have the file again, in epoch seconds; whoever does so wants it in spite of its age.
PUT_BACK = "latest.core.put_back"
#: Suffix of the copy that is about to replace a shared file.
OWN_COPY = ".own"

_NO_ROOM_FOR_TAGS = {errno.ENOSPC, errno.E2BIG, errno.ERANGE, errno.ENOTSUP, errno.EOPNOTSUPP}

Tags = dict[str, bytes]


def uid_of(tags: Mapping[str, bytes]) -> str:
    """The uid that *tags* tell, '' when they tell none."""
    return (tags.get("latest.core.uid") or tags.get("first.core.original_uid", b"")).decode("ascii", "replace")


def accepted_at(tags: Mapping[str, bytes], unknown: float) -> float:
    """When the file was accepted, or put back by hand, in epoch seconds; *unknown* when its uid does not tell."""
    try:
        accepted = int(uid_of(tags)[:14], 16) / 1e6
    except ValueError:
        return unknown
    put_back = tags.get(PUT_BACK, b"")
    return max(accepted, float(put_back)) if put_back else accepted


def new_uid() -> str:
    """A new identity: 26 hexadecimal digits, sortable by time (microseconds), unique."""
    return f"{time.time_ns() // 1000:014x}{os.urandom(6).hex()}"


def first_tags(uid: str, basename: bytes, dirname: bytes) -> Tags:
    """The tags that a file gets when it is accepted."""
    return {
        "first.core.original_basename": basename,
        "first.core.original_dirname": dirname,
        "first.core.original_uid": uid.encode(),
        "latest.core.original_basename": basename,
        "latest.core.step_counter": b"0",
    }


def before_entry(tags: Tags, plugin: str, step: str) -> Tags:
    """*tags* as they were before the file entered the step, if it is the one that the file entered last."""
    count = int(tags.get("latest.core.step_counter", b"0"))
    entry = f"{count}.{plugin}.{step}.enter_step"
    if entry not in tags:
        return tags
    before = {name: value for name, value in tags.items() if name != entry}
    return before | {"latest.core.step_counter": str(count - 1).encode()}


def encode_tags(tags: Mapping[str, bytes]) -> bytes:
    """All tags as one string: ``NAME=VALUE`` ended by NUL; NUL and backslash in values are escaped."""
    parts = []
    for name, value in tags.items():
        if b"\0" in value or b"\\" in value:
            value = value.replace(b"\\", b"\\\\").replace(b"\0", b"\\0")
        parts.append(name.encode() + b"=" + value)
    return b"\0".join(parts)


def decode_tags(data: bytes) -> Tags:
    """The tags that :func:`encode_tags` wrote."""
    tags = {}
    for part in data.split(b"\0"):
        name, _, value = part.partition(b"=")
        if b"\\" in value:
            value = re.sub(rb"\\(.)", lambda found: b"\0" if found[1] == b"0" else found[1], value, flags=re.DOTALL)
        if name:
            tags[name.decode()] = value
    return tags


def read_tags(path: str | Path, sidecars: str | Path) -> Tags:
    """The tags of the file at *path*, from its attribute or from its sidecar; none = {}.

    Raises:
        FileNotFoundError: there is no such file.
    """
    try:
        return decode_tags(os.getxattr(path, ATTRIBUTE))
    except OSError as error:
        if error.errno not in (errno.ENODATA, *_NO_ROOM_FOR_TAGS):
            raise
    try:
        return decode_tags(Path(f"{sidecars}/{os.path.basename(path)}").read_bytes())
    except FileNotFoundError:
        return {}


def write_tags(
    path: str | Path, tags: Mapping[str, bytes], sidecars: str | Path, name: str = "", *, sync: bool = False
) -> bool:
    """Store *tags* with the file at *path*, which must be a file of our own (one link).

    True when they are in its attribute, False when they are in a sidecar. *name* is the waiting name under which the
    file will be published, by which its sidecar is found. With *sync* a sidecar is on disk when this returns; an
    attribute needs :func:`sync_file`.
    """
    data = encode_tags(tags)
    try:
        os.setxattr(path, ATTRIBUTE, data)
    except OSError as error:
        if error.errno not in _NO_ROOM_FOR_TAGS:
            raise
    else:
        return True
    present = os.path.basename(path)
    _write_sidecar(Path(sidecars) / (name or present), data, sync=sync)
    if name not in ("", present) and has_attribute(path):
        # Until it is published it may be taken back, and is then looked up by the name that it has.
        _write_sidecar(Path(sidecars) / present, os.getxattr(path, ATTRIBUTE), sync=sync)
    # What is left in the attribute hides the sidecar; on a full disk it is all there is, so it goes last.
    with suppress(OSError):
        os.removexattr(path, ATTRIBUTE)
        if sync:
            sync_file(path)
    return False


def _write_sidecar(sidecar: Path, data: bytes, *, sync: bool) -> None:
    sidecar.parent.mkdir(parents=True, exist_ok=True)
    replace_file(sidecar, data, durable=sync)


def has_attribute(path: str | Path) -> bool:
    """Whether the tags of the file at *path* are in its attribute, and not in a sidecar."""
    try:
        os.getxattr(path, ATTRIBUTE)
    except OSError:
        return False
    return True


def is_own(path: str | Path) -> bool:
    """Whether no other name shares the content and tags of the file at *path*."""
    return os.lstat(path).st_nlink == 1


def own_copy(path: str | Path, *, sync: bool = False) -> None:
    """Replace a name that shares its inode with others by a copy of its own with the same tags, at once.

    With *sync* the content is on disk before it takes the place of what was there.
    """
    part = f"{path}{OWN_COPY}"
    with suppress(FileNotFoundError):
        os.unlink(part)
    try:
        copy(path, part, sync=sync)
        if has_attribute(path):  # otherwise the tags are in a sidecar, which goes by the name
            os.setxattr(part, ATTRIBUTE, os.getxattr(path, ATTRIBUTE))
        os.rename(part, path)
    except OSError:
        with suppress(OSError):
            os.unlink(part)
        raise


def discard(path: str | Path, sidecars: str | Path) -> None:
    """Delete a file and what belongs to it: the only place where a file ends. Its trace line is written before."""
    for name in (path, f"{sidecars}/{os.path.basename(path)}"):
        with suppress(FileNotFoundError):
            os.unlink(name)


def forget_sidecar(sidecars: str | Path, name: str) -> None:
    """Delete the tags that :func:`write_tags` stored for a file that will not be called *name*."""
    with suppress(FileNotFoundError):
        os.unlink(f"{sidecars}/{name}")
