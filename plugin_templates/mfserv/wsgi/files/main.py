"""The service."""

import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from mfserv import request_id


def app(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]) -> Iterable[bytes]:
    """Greet whoever asks, and tell at ``/health`` that the service can work."""
    if environ["PATH_INFO"] == "/health":
        found: dict[str, str] = {"status": "ok"}
    else:
        name = parse_qs(environ["QUERY_STRING"]).get("name", ["world"])[0]
        found = {"hello": name, "request": request_id()}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]
