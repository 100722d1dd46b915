"""Body: what an HTTP request brings: one file as it is, or a form with one or several files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from mfdata.receivers.http.refusal import Refusal
from mfdata.receivers.upload import Upload

_PARAMETER = re.compile(rb';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]*)', re.DOTALL)
#: Makes the upload of that name.
Begin = Callable[[bytes], Upload]


class Body:
    """The files of a request. All that it does may wait for the disk."""

    def __init__(self) -> None:
        self.uploads: list[Upload] = []

    def write(self, data: bytes) -> None:
        """More of it.

        Raises:
            Refusal: it is not as it must be.
            OSError: it cannot be kept.
        """
        raise Refusal(400, "nothing was expected")

    def end(self) -> None:
        """All has come; it is on disk then. Raises as ``write`` does."""
        for upload in self.uploads:
            upload.complete()

    def close(self) -> None:
        """Discard what was not published."""
        for upload in self.uploads:
            upload.close()

    @property
    def size(self) -> int:
        """Bytes that have come."""
        return sum(upload.size for upload in self.uploads)


class FileBody(Body):
    """The body is the file."""

    def __init__(self, upload: Upload) -> None:
        super().__init__()
        self.uploads = [upload]

    def write(self, data: bytes) -> None:
        self.uploads[0].write(data)


class FormBody(Body):
    """``multipart/form-data``: each part with a file name is a file, the others are passed over."""

    def __init__(self, content_type: str, begin: Begin, most: int) -> None:
        """*most*: so many files may be in it."""
        super().__init__()
        self._begin = begin
        self._most = most
        self._current: Upload | None = None
        self._field = b""
        self._value = b""
        self._disposition = b""
        self._is_ended = False
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise Refusal(400, "the form has no boundary")
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begins,
                    "on_header_field": self._more_of_field,
                    "on_header_value": self._more_of_value,
                    "on_header_end": self._header_ends,
                    "on_headers_finished": self._headers_end,
                    "on_part_data": self._part_data,
                    "on_part_end": self._part_ends,
                    "on_end": self._ends,
                },
            )
        except FormParserError as error:
            raise Refusal(400, f"the form is not as it must be: {error}") from error

    def write(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise Refusal(400, f"the form is not as it must be: {error}") from error

    def end(self) -> None:
        if not self._is_ended:
            raise Refusal(400, "the form ends before its last boundary")
        if not self.uploads:
            raise Refusal(400, "there is no file in the form")
        super().end()

    def _part_begins(self) -> None:
        self._disposition = b""

    def _more_of_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _more_of_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def _headers_end(self) -> None:
        name = file_name(self._disposition)
        if name:
            if len(self.uploads) >= self._most:
                raise Refusal(413, f"there are more than {self._most} files in the form")
            self._current = self._begin(name)
            self.uploads.append(self._current)

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._current:
            self._current.write(data[start:end])

    def _part_ends(self) -> None:
        self._current = None

    def _ends(self) -> None:
        self._is_ended = True


def file_name(disposition: bytes) -> bytes:
    """The file name that a Content-Disposition tells; b'' = none. ``filename*`` counts more (RFC 6266)."""
    plain: bytes = parse_options_header(disposition)[1].get(b"filename", b"")
    return _extended_name(disposition) or plain


def _extended_name(disposition: bytes) -> bytes:
    """What ``filename*=UTF-8''NAME`` says (RFC 8187); b'' = nothing that we can read."""
    for name, value in _PARAMETER.findall(disposition):
        charset, _, rest = value.strip(b'"').partition(b"'")
        encoded = unquote_to_bytes(rest.partition(b"'")[2])
        if name.lower() == b"filename*" and charset.lower() == b"utf-8":
            return encoded
        if name.lower() == b"filename*" and charset.lower() == b"iso-8859-1":
            return encoded.decode("latin-1").encode()
    return b""


def announced_name(path: str, headers: Sequence[str]) -> bytes:
    """The name of a file that is the whole body: what stands in the URL, or in one of *headers*; b'' = none (pure).

    Args:
        path: of the URL, as it came.
        headers: X-Filename, Content-Disposition; '' where it did not come.
    """
    in_url = unquote_to_bytes(path.encode("latin-1").removeprefix(b"/"))
    plain, disposition = headers
    return in_url or unquote_to_bytes(plain.encode("latin-1")) or file_name(disposition.encode("latin-1"))


def checked_name(raw: bytes, longest: int) -> str:
    """*raw* as the name of a file.

    Raises:
        Refusal: it is none.
    """
    if not raw:
        raise Refusal(400, "the file has no name: PUT /NAME, or POST with X-Filename or Content-Disposition")
    if b"/" in raw or b"\0" in raw or raw in (b".", b".."):
        raise Refusal(400, "this is no name for a file: it holds '/' or NUL, or is '.' or '..'")
    if len(raw) > longest:
        raise Refusal(400, f"the name is longer than {longest} bytes")
    return os.fsdecode(raw)
