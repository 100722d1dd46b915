"""HTTP question: requests that bring no file: what is offered, a page with a form, what WebDAV clients ask first."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from html import escape
from urllib.parse import quote, unquote_to_bytes

from mfdata.receivers.ftp.received import Received
from mfdata.receivers.http.refusal import Refusal

#: Bring a file.
UPLOADS = ("PUT", "POST")
#: Ask something. A client that says OPTIONS need not say who it is.
QUESTIONS = ("GET", "HEAD", "OPTIONS", "PROPFIND", "MKCOL")
ALLOW = {"Allow": ", ".join((*UPLOADS, *QUESTIONS))}

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>MetWork: send files</title></head>
<body>
<h1>Send files</h1>
<form method="post" action="/" enctype="multipart/form-data">
<p><label>Files <input type="file" name="file" multiple required></label> <button>Send</button></p>
</form>
<p>Or, as a program: <code>PUT /NAME</code>.</p>
</body>
</html>
"""
_MULTISTATUS = """<?xml version="1.0" encoding="utf-8"?>
<D:multistatus xmlns:D="DAV:"><D:response><D:href>{href}</D:href><D:propstat><D:prop>{properties}</D:prop>\
<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>
"""


@dataclass(frozen=True)
class Answer:
    """What is answered to a question."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def answer_to(method: str, path: str, received: Received | None) -> Answer:
    """The answer (pure).

    Args:
        method: one of ``QUESTIONS``.
        path: of the URL, as it came.
        received: the file of that name, if its client has sent it a moment ago.

    Raises:
        Refusal: there is nothing to be said.
    """
    if method == "OPTIONS":
        return Answer(204, headers={**ALLOW, "DAV": "1", "Accept-Post": "multipart/form-data, */*"})
    if method == "PROPFIND":
        return _properties(path, received)
    if method == "MKCOL":
        if path.strip("/"):
            raise Refusal(403, "folders are not kept here: send the files alone, without their folders")
        raise Refusal(405, "it is there already", ALLOW)
    if path != "/":
        raise Refusal(405, "files come by PUT or POST, and are not given out", ALLOW)
    policy = "default-src 'none'; form-action 'self'; frame-ancestors 'none'"
    return Answer(200, _PAGE.encode(), {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy})


def _properties(path: str, received: Received | None) -> Answer:
    """What WebDAV calls properties (RFC 4918): of the one folder, or of a file that was sent a moment ago."""
    if path == "/":
        properties = "<D:resourcetype><D:collection/></D:resourcetype>"
    elif received:
        properties = (
            f"<D:resourcetype/><D:getcontentlength>{received.size}</D:getcontentlength>"
            f"<D:getlastmodified>{formatdate(received.changed, usegmt=True)}</D:getlastmodified>"
        )
    else:
        raise Refusal(404, "there is no such file that you have sent a moment ago")
    href = escape(quote(unquote_to_bytes(path.encode("latin-1")), safe="/~"))
    body = _MULTISTATUS.format(href=href, properties=properties).encode()
    return Answer(207, body, {"Content-Type": "application/xml; charset=utf-8"})


def name_in(path: str) -> str:
    """The name of a file that the path of a URL says; what is no name gives nothing that is there (pure)."""
    return os.fsdecode(unquote_to_bytes(path.encode("latin-1").removeprefix(b"/")))
