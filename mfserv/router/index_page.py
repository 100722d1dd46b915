"""Page: what a browser finds at ``/``: the services, their routes, their OpenAPI documents (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from mfserv.router.routes import Route

#: Bytes that the router can hold of it.
LONGEST = 12_000


def page(routes: Sequence[Route]) -> str:
    """The page; of very many services only as many as fit."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    jinja = Environment(
        loader=PackageLoader("mfserv.router", "."),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    template = jinja.get_template("page.html.j2")
    row = template.make_module({"rows": (), "left_out": 0}).row  # type: ignore[attr-defined]
    rows = [row(route) for route in sorted(routes, key=lambda one: (one.app.id, one.host, one.path))]
    shown, size = 0, 0
    while shown < len(rows) and (size := size + len(rows[shown].encode())) < LONGEST:
        shown += 1
    return template.render(rows=rows[:shown], left_out=len(rows) - shown)
