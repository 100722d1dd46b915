"""Tags from a file's content, made when they are asked for: what ``file`` would print, size, first characters.

What ``latest.switch.main.system_magic`` says is what ``file -b`` prints, with one limit: libmagic reads the first
``head_bytes`` of the file and its tail, not all of it, for text costs it a millisecond for every few KB. JSON, CSV and
zip-based documents (docx, odt, …) are told by a second look at the whole. What is left of the difference, for files
longer than ``head_bytes``: the details of text ("with very long lines (5000)", "UTF-8" when the first such character
comes late, the programming language), and formats whose mark lies deep inside.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mfext.errors import MetworkError

SYSTEM_MAGIC = "latest.switch.main.system_magic"
SIZE = "latest.switch.main.size"
ASCII_HEADER = "latest.switch.main.ascii_header"
CONTENT_TAGS = (SYSTEM_MAGIC, SIZE, ASCII_HEADER)
#: The same tags by the name of the step that made them before the switch did.
CONTENT_TAG_ALIASES = {tag.replace(".switch.", ".guess_file_type."): tag for tag in CONTENT_TAGS}

#: Beginnings of what libmagic says, which it says of nothing that does not begin with these bytes.
_SIGNATURES: Mapping[bytes, bytes] = {
    b"PNG image": b"\x89PNG",
    b"JPEG image data": b"\xff\xd8",
    b"GIF image data": b"GIF8",
    b"gzip compressed data": b"\x1f\x8b",
    b"bzip2 compressed data": b"BZh",
    b"XZ compressed data": b"\xfd7zXZ",
    b"NetCDF Data Format": b"CDF",
}
_SIGNATURE_BYTES = 8

HEAD_BYTES = 2048
#: As far as ``file`` reads.
WHOLE_BYTES = 1 << 20
_ASCII_HEADER_BYTES = 60
_NOT_ASCII = bytes(byte for byte in range(256) if not 32 <= byte <= 126)

# magic.h; python-magic has no names for most of them. Everything but the tests for JSON and CSV is switched off.
_ONLY_STRUCTURED_TEXT = 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000 | 0x40000 | 0x100000 | 0x800000


def signature_of(beginning: bytes) -> bytes | None:
    """The bytes with which a file begins whenever ``system_magic`` begins with *beginning*; None = not known."""
    return next((signature for said, signature in _SIGNATURES.items() if beginning.startswith(said)), None)


class Unidentified(MetworkError):
    """A file's content could not be looked at."""


class Identifier:
    """libmagic for one process: opened at the first question, then kept. Not for several threads at once.

    Args:
        head_bytes: how much of a file libmagic sees.
        database: a compiled magic file; None = the system's.
    """

    def __init__(self, head_bytes: int = HEAD_BYTES, database: Path | None = None) -> None:
        self._head_bytes = head_bytes
        self._database = database
        self._magic: Any = None
        self._cookie: Any = None
        self._set: tuple[int, int] | None = None

    def open(self) -> None:
        """Load libmagic now, which the first question does otherwise.

        Raises:
            Unidentified: there is no libmagic, or it cannot read its database.
        """
        try:
            import magic
        except ImportError as error:
            mend = "Install libmagic (Debian: libmagic1, RHEL: file-libs)."
            raise Unidentified(f"libmagic: {error}", mend=mend) from None
        self._magic = magic
        cookie = magic.magic_open(magic.MAGIC_NONE)
        try:
            magic.magic_load(cookie, os.fspath(self._database) if self._database else None)
        except magic.MagicException as error:
            raise Unidentified(f"libmagic: {_reason(error)}") from None
        self._cookie = cookie

    def system_magic(self, path: str | Path) -> bytes:
        """What ``file -b`` prints of the file.

        Raises:
            Unidentified: with the reason that the system or libmagic gives.
        """
        if self._cookie is None:
            self.open()
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return self._answer(descriptor)
            finally:
                os.close(descriptor)
        except (OSError, self._magic.MagicException) as error:
            raise Unidentified(f"libmagic: {_reason(error)}", where=os.fsdecode(path)) from None

    def _answer(self, descriptor: int) -> bytes:
        answer = self._ask(descriptor, self._head_bytes)
        if os.fstat(descriptor).st_size <= self._head_bytes:
            return answer
        if b"text" in answer:
            structured = self._ask(descriptor, WHOLE_BYTES, _ONLY_STRUCTURED_TEXT)
            return structured if b"JSON" in structured or b"CSV" in structured else answer
        return self._ask(descriptor, WHOLE_BYTES) if answer.startswith(b"Zip archive") else answer

    def _ask(self, descriptor: int, size: int, flags: int = 0) -> bytes:
        if (size, flags) != self._set:
            self._magic.magic_setparam(self._cookie, self._magic.MAGIC_PARAM_BYTES_MAX, size)
            self._magic.magic_setflags(self._cookie, flags)
            self._set = (size, flags)
        # By descriptor, not by buffer: so libmagic reads the tail too, where gzip, ELF and others say more.
        answer: bytes = self._magic.magic_descriptor(self._cookie, descriptor)
        return answer


@cache
def _of_this_process() -> Identifier:
    return Identifier()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return os.fsdecode(error.args[0] or b"no reason given")


class ContentTags(Mapping[str, bytes]):
    """The stored tags of a file and those that its content gives, each made the first time it is asked for.

    A content tag that is stored is of an earlier content (the file was compressed then, say) and is not believed.
    Asking for one that cannot be made raises ``Unidentified``; a rule set turns that into the error of the rule that
    asked.

    Args:
        path: the file.
        stored: its tags.
        identifier: None = the one of this process, opened when it is first needed.
    """

    __slots__ = ("_head", "_identifier", "_path", "_stored", "computed", "failure")

    def __init__(self, path: str | Path, stored: Mapping[str, bytes], identifier: Identifier | None = None) -> None:
        self._path = path
        self._stored = stored
        self._identifier = identifier
        #: What was made so far: to be stored with the file.
        self.computed: dict[str, bytes] = {}
        #: Why something could not be made.
        self.failure: Unidentified | None = None
        self._head: bytes | None = None

    def may_begin(self, signatures: tuple[bytes, ...]) -> bool:
        """Whether the file begins with one of *signatures*: a look that costs a tenth of what libmagic's does."""
        if self._head is None:
            self._head = _first_bytes(self._path)
        return self._head.startswith(signatures)

    def get(self, name: str, default: Any = None) -> Any:
        """The tag's value, or *default* when the file has no such tag."""
        if name in _MAKERS:
            return self._content(name)
        return self._stored.get(name, default)

    def __getitem__(self, name: str) -> bytes:
        return self._content(name) if name in _MAKERS else self._stored[name]

    def __iter__(self) -> Iterator[str]:
        yield from (name for name in self._stored if name not in _MAKERS)
        yield from CONTENT_TAGS

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _content(self, name: str) -> bytes:
        name = CONTENT_TAG_ALIASES.get(name, name)
        value = self.computed.get(name)
        if value is None:
            value = self.computed[name] = self._made(name)
        return value

    def _made(self, name: str) -> bytes:
        if self.failure is not None:
            raise self.failure
        try:
            return _MAKERS[name](self._path, self._identifier or _of_this_process())
        except Unidentified as failure:
            self.failure = failure
            raise
        except OSError as error:
            self.failure = Unidentified(_reason(error), where=os.fsdecode(self._path))
            raise self.failure from None


def _first_bytes(path: str | Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""  # whoever asks libmagic hears why
    try:
        return os.read(descriptor, _SIGNATURE_BYTES)
    finally:
        os.close(descriptor)


def _system_magic(path: str | Path, identifier: Identifier) -> bytes:
    return identifier.system_magic(path)


def _size(path: str | Path, identifier: Identifier) -> bytes:  # noqa: ARG001
    return b"%d" % os.stat(path).st_size


def _ascii_header(path: str | Path, identifier: Identifier) -> bytes:  # noqa: ARG001
    with open(path, "rb", buffering=0) as file:
        return file.read(_ASCII_HEADER_BYTES).translate(None, _NOT_ASCII).strip()


_MAKERS: dict[str, Callable[[str | Path, Identifier], bytes]] = {
    SYSTEM_MAGIC: _system_magic,
    SIZE: _size,
    ASCII_HEADER: _ascii_header,
}
_MAKERS |= {alias: _MAKERS[tag] for alias, tag in CONTENT_TAG_ALIASES.items()}
