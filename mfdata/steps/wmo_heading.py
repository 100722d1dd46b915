"""Heading: the abbreviated heading of a WMO bulletin, whatever envelope is round it (WMO-No. 386, part II) (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: So many bytes of a file hold its heading, if it has one.
HEAD = 256

_HEADING = re.compile(
    rb"(?:\d{8}(?:\d\d)?)?"  # length and format of a message in a file of several
    rb"\x01?\s*"
    rb"(?:\d{3,5}[ ]*[\r\n]+)?\s*"  # the number that the circuit gave it
    rb"(?P<ttaaii>[A-Z]{4}\d\d) +(?P<cccc>[A-Z0-9]{4}) +(?P<time>\d{6})Z?(?: +(?P<bbb>[A-Z]{3}))?[ ]*(?:[\r\n\x03]|\Z)"
)
_LINE_END = re.compile(rb"[ \r]*\n")


@dataclass(frozen=True)
class Heading:
    """``TTAAii CCCC YYGGgg [BBB]``."""

    ttaaii: str
    cccc: str
    #: Day of the month, hour and minute.
    yygggg: str
    #: Delayed (RRx), corrected (CCx), amended (AAx), or a segment (Pxx); '' = the first one.
    bbb: str
    #: Where it begins in the file, and where the text begins.
    start: int = 0
    end: int = 0

    def __str__(self) -> str:
        return " ".join(filter(None, (self.ttaaii, self.cccc, self.yygggg, self.bbb)))


def heading_of(head: bytes) -> Heading | None:
    """The heading that a file which begins with *head* has; None when it is no bulletin."""
    found = _HEADING.match(head)
    if found is None:
        return None
    ttaaii, cccc, time, bbb = ((found[name] or b"").decode() for name in ("ttaaii", "cccc", "time", "bbb"))
    return Heading(ttaaii, cccc, time, bbb, found.start("ttaaii"), found.end())


def bare(content: bytes, heading: Heading) -> bytes:
    """A bulletin without what circuits change: envelope, number, ends of lines. Binary content stays as it is."""
    body = content[heading.end :].rstrip(b"\x03\r\n ")
    if body.isascii():
        body = _LINE_END.sub(b"\n", body).lstrip(b"\r\n ")
    return str(heading).encode() + b"\n" + body
