"""Chunked: a chunked body as its bytes pass: how large it is, and where it ends (RFC 9112, section 7.1; pure)."""

from __future__ import annotations

from typing import Protocol

#: Bytes that the line before a chunk may have, its extensions included.
_LONGEST_LINE = 4096


class Body(Protocol):
    """A body on its way."""

    @property
    def size(self) -> int:
        """Bytes that are known to come, or have come."""

    @property
    def has_ended(self) -> bool:
        """Whether all of it has come."""

    def pass_on(self, data: bytes) -> bytes:
        """What belongs to it of the next bytes.

        Raises:
            ValueError: this is no body.
        """


class Sized:
    """A body whose length is said."""

    def __init__(self, size: int) -> None:
        self.size = self._left = size

    @property
    def has_ended(self) -> bool:
        """Whether all of it has come."""
        return not self._left

    def pass_on(self, data: bytes) -> bytes:
        """What belongs to it of the next bytes."""
        passed = data[: self._left]
        self._left -= len(passed)
        return passed


class Chunked:
    """A body on its way. What it carries is neither kept nor changed.

    It ends with its last chunk. Trailers, which may follow, are no part of it: the headers were looked at and cleaned
    before they came, and there are apps that take them for headers.
    """

    def __init__(self) -> None:
        #: Bytes that were announced so far, without what surrounds them.
        self.size = 0
        self._line = b""
        #: Bytes to come of the chunk, and of the line end behind it.
        self._left = 0
        #: Whether its last chunk has come.
        self.has_ended = False

    def pass_on(self, data: bytes) -> bytes:
        """What goes on of the next bytes: all up to the end of the body, which comes right behind the last chunk.

        Raises:
            ValueError: this is no chunked body.
        """
        if self.has_ended:
            return b""
        at = 0
        while at < len(data) and not self.has_ended:
            if self._left:
                step = min(self._left, len(data) - at)
                at, self._left = at + step, self._left - step
                continue
            end = data.find(b"\n", at) + 1
            self._line += data[at : end or len(data)]
            at = end or len(data)
            if len(self._line) > _LONGEST_LINE:
                raise ValueError("the line before a chunk is too long")
            if end:
                self._begin(self._line)
                self._line = b""
        return data[:at] + b"\r\n" if self.has_ended else data

    def _begin(self, line: bytes) -> None:
        digits = line.partition(b";")[0].strip()
        if not digits or digits.strip(b"0123456789abcdefABCDEF"):
            raise ValueError("the size of a chunk is no number")
        size = int(digits, 16)
        self.size += size
        self._left = size + 2 if size else 0
        self.has_ended = not size
