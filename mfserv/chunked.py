"""Chunked: how much of a chunked body has come, seen as its bytes pass (RFC 9112, section 7.1; pure)."""

from __future__ import annotations

#: Bytes that the line before a chunk may have, its extensions included.
_LONGEST_LINE = 4096


class Chunked:
    """A body on its way. What it carries is neither kept nor changed."""

    def __init__(self) -> None:
        #: Bytes that were announced so far, without what surrounds them.
        self.size = 0
        self._line = b""
        #: Bytes to come of the chunk, and of the line end behind it.
        self._left = 0
        self._has_ended = False

    def see(self, data: bytes) -> None:
        """Note the next bytes.

        Raises:
            ValueError: this is no chunked body.
        """
        at = 0
        while at < len(data) and not self._has_ended:
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

    def _begin(self, line: bytes) -> None:
        digits = line.partition(b";")[0].strip()
        if not digits or digits.strip(b"0123456789abcdefABCDEF"):
            raise ValueError("the size of a chunk is no number")
        size = int(digits, 16)
        self.size += size
        self._left = size + 2 if size else 0
        self._has_ended = not size
