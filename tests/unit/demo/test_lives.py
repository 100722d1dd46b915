"""From a trace to a life."""

from __future__ import annotations

from typing import Any

from demo.lives import Event, life


def event(kind: str, plugin: str = "", uid: str = "u", **more: Any) -> Event:
    return {"event": kind, "plugin": plugin, "step": "main", "uid": uid, "to": [], **more}


SENT = [
    event("accepted", to=["switch/main"]),
    event("done", "switch", to=["archive_image/main", "convert_png/main"]),
    event("done", "archive_image", to=["/archive/a.png"]),
    event("done", "convert_png"),
    event("made", "convert_png", uid="u.1", parent="u", to=["ftpsend_to_mybox/main"]),
    event("done", "ftpsend_to_mybox", uid="u.1"),
]


def test_an_image_ends_in_the_archive_and_on_the_other_machine() -> None:
    found = life(SENT)
    assert found.ends == ("archived", "sent")
    assert found.steps == ("observer", "switch", "archive_image", "convert_png", "ftpsend_to_mybox")


def test_what_is_sent_twice_ends_twice() -> None:
    assert life([*SENT, event("done", "ftpsend_to_mybox", uid="u.1")]).ends == ("archived", "sent", "sent")


def test_what_nobody_wants_is_kept_with_the_reason() -> None:
    found = life([event("accepted"), event("quarantined", "switch", reason="no rule wants this file")])
    assert (found.ends, found.reason) == (("kept by switch",), "no rule wants this file")


def test_what_is_lost_on_the_way_has_no_end() -> None:
    assert life(SENT[:2]).ends == ()
