"""The commit points of mfdata by name: what a process is about to change on disk (pure; standard library only).

Where a file lies is its state, so a commit point is called after the places between which it moves something, for
example ``rename prepared to committed``. Nothing in the code has to be marked: a point that is added gets its name by
itself.
"""

from __future__ import annotations

import re

#: Places of a home, by what stands below its ``var`` or ``log``; the first that fits names the place.
_PLACES = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"var/in/step\.[^/]*/[^/]+$", "waiting"),
        (r"var/in/step\.[^/]*$", "queue"),
        (r"var/in/[^/]*/\.metwork-[^/]*$", "hidden"),
        (r"var/in/[^/]*/[^/]*$", "incoming"),
        (r"var/work/\.intake/[^/]*\.intent$", "intent"),
        (r"var/work/\.intake/[^/]*\.part$", "copy in the making"),
        (r"var/work/\.intake/[^/]+$", "copy"),
        (r"var/work/[^/]*/\.new-[^/]*$", "hidden worker"),
        (r"var/work/[^/]*/\.new-[^/]*/\.lock$", "hidden lock"),
        (r"var/work/[^/]*/[^/]*/\.lock$", "lock"),
        (r"var/work/[^/]*/[^/]*/\.?killed$", "reason of a kill"),
        (r"var/work/[^/]*/[^/]*/[^/]*\.own$", "own copy"),
        (r"var/work/[^/]*/[^/]*/[^/]*\.tx$", "prepared"),
        (r"var/work/[^/]*/[^/]*/[^/]*\.tx/.*$", "prepared entry"),
        (r"var/work/[^/]*/[^/]*/[^/]*\.commit$", "committed"),
        (r"var/work/[^/]*/[^/]*/[^/]*\.commit/.*$", "committed entry"),
        (r"var/work/[^/]*/[^/]*/[^/]+$", "claimed"),
        (r"var/work/[^/]*/[^/]+$", "worker"),
        (r"var/delayed/[^/]*/[^/]+$", "delayed"),
        (r"var/quarantine/[^/]*/\.[^/]+$", "reason in the making"),
        (r"var/quarantine/[^/]*/[^/]*\.json$", "reason"),
        (r"var/quarantine/[^/]*/[^/]+$", "quarantined"),
        (r"var/tags/[^/]+$", "sidecar"),
        (r"out/.*$", "destination"),
    )
]
_STEP = re.compile(r"var/(?:in/step\.|work/(?!\.))([^/]+)/")
_EVENT = re.compile(rb'"event":"([^"]*)"')

#: Calls that a full disk refuses.
NEED_ROOM = ("rename", "mkdir", "link", "tag", "make", "fill", "trace")

#: Audit events that change the disk, and how they are called here.
CALLS = {
    "os.rename": "rename",
    "os.remove": "unlink",
    "os.mkdir": "mkdir",
    "os.rmdir": "rmdir",
    "os.link": "link",
    "os.setxattr": "tag",
    "os.removexattr": "untag",
    "os.utime": "touch",
    "os.chmod": "chmod",
    "open": "make",
}


def place_of(path: str) -> str:
    """The name of the place that *path*, relative to the home, is; '' for none of a file's."""
    return next((name for pattern, name in _PLACES if pattern.match(path)), "")


def point_of(call: str, source: str, target: str = "") -> str:
    """The name of the commit point at which *call* acts on paths relative to the home; '' when it is none."""
    place = place_of(source)
    if not place:
        return ""
    if not target:
        return f"{call} {place}"
    return f"{call} {place} to {_onwards(source, target)}{place_of(target) or 'elsewhere'}"


def line_of(data: bytes) -> str:
    """The name of the point at which a trace line is written; '' when *data* is none."""
    if not data.lstrip(b"\n").startswith(b'{"t":'):
        return ""
    found = _EVENT.search(data)
    return f"trace {found[1].decode('ascii', 'replace')}" if found else "trace"


def _onwards(source: str, target: str) -> str:
    """Whether a file that leaves a worker goes on to the next step or back to its own queue."""
    left, reached = _STEP.match(source), _STEP.match(target)
    if not left or not reached or not target.startswith("var/in/"):
        return ""
    return "own " if left[1] == reached[1] else "next "
