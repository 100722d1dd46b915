"""Page: what a browser finds at ``/``: the services, their routes, their OpenAPI documents (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mfserv.routes import Route

#: Bytes that the router can hold of it.
LONGEST = 12_000

_HEAD = """\
<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Services</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:50em;margin:2em auto;padding:0 1em}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3em .6em;border-bottom:1px solid #ccc}</style>
<h1>Services</h1>
"""
_TABLE = "<table><tr><th>Service</th><th>Where</th><th>What</th><th></th></tr>\n"


def page(routes: Sequence[Route]) -> str:
    """The page; of very many services only as many as fit."""
    rows = [_row(route) for route in sorted(routes, key=lambda one: (one.app.id, one.host, one.path))]
    shown: list[str] = []
    while rows and sum(map(len, shown)) + len(rows[0].encode()) < LONGEST:
        shown.append(rows.pop(0))
    more = f"<p>And {len(rows)} more: <code>mfserv.routes</code> lists them.</p>" if rows else ""
    body = f"{_TABLE}{''.join(shown)}</table>{more}" if shown else "<p>No service is installed.</p>"
    return f"{_HEAD}{body}</html>\n"


def _row(route: Route) -> str:
    app = route.app
    base = f"{'' if route.host == '*' else f'//{route.host}'}{route.path}/"
    document = f'<a href="{escape(route.path + app.settings.openapi)}">OpenAPI</a>' if app.settings.openapi else ""
    return (
        f'<tr><td>{escape(app.id)}<td><a href="{escape(base)}">{escape(base)}</a>'
        f"<td>{escape(app.title)}<td>{document}\n"
    )
