from __future__ import annotations

from typing import Any

import pytest
from tornado.web import Application

from mfext.errors import PluginError
from mfserv.workers.servers.app_loader import kind_of, load_app


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


def wsgi(environ: Any, start_response: Any) -> None: ...


class AsgiObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class WsgiObject:
    def __call__(self, environ: Any, start_response: Any) -> None: ...


@pytest.mark.parametrize(
    ("app", "kind"),
    [(asgi, "asgi"), (wsgi, "wsgi"), (AsgiObject(), "asgi"), (WsgiObject(), "wsgi"), (Application(), "tornado")],
)
def test_what_an_app_is_can_be_seen(app: Any, kind: str) -> None:
    assert kind_of(app, "main:app") == kind


@pytest.mark.parametrize("app", ["text", lambda: None])
def test_what_is_no_app_is_told(app: Any) -> None:
    with pytest.raises(PluginError, match="app = main:app"):
        kind_of(app, "main:app")


def test_a_name_that_is_not_there_is_told() -> None:
    with pytest.raises(PluginError, match='has no "nothing"'):
        load_app("json:nothing")
    assert load_app("json:dumps", "wsgi")[1] == "wsgi"
