from __future__ import annotations

from dataclasses import replace

from mfserv.router.index_page import LONGEST, page
from mfserv.router.routes import Route
from tests.unit.mfserv.apps import app


def test_a_service_is_shown_with_its_place_and_its_document() -> None:
    one = replace(app("radar", openapi="/openapi.json"), title='Rain & "snow" <now>')
    text = page([Route("*", "/radar", one), Route("example.org", "/r", app("other"))])
    assert '<td><a href="/radar/">/radar/</a>' in text
    assert '<td><a href="/radar/openapi.json">OpenAPI</a>' in text
    assert '<td><a href="//example.org/r/">//example.org/r/</a>' in text
    assert "&lt;now&gt;" in text
    assert "<now>" not in text


def test_where_there_is_no_service_that_is_said() -> None:
    assert "<p>No service is installed.</p>" in page([])


def test_the_page_is_no_longer_than_the_router_can_hold() -> None:
    one = replace(app("radar"), title="é" * 50)
    text = page([Route("*", f"/r{number}", one) for number in range(300)])
    assert len(text.encode()) < LONGEST + 1_000
    shown = text.count("<tr><td>")
    assert f"<p>And {300 - shown} more: <code>mfserv.routes</code> lists them.</p>" in text
