"""Every template of mfserv gives a correct plugin whose own tests pass, and that answers through the router."""

from __future__ import annotations

import pytest

from mfext.plugin.author.template import templates
from tests.integration.mfserv.serv import Serv

NAMES = [template.name for template in templates("mfserv") if template.name != "proxy"]


@pytest.mark.parametrize("name", NAMES)
def test_a_plugin_of_the_template_is_correct_passes_its_tests_and_answers(serv: Serv, name: str) -> None:
    folder = serv.plugin(f"my_{name}", name)
    serv.run("plugins.check", ".", folder=folder)
    serv.run("metwork", "plugins", "test", ".", folder=folder)
    serv.develop(folder)
    answer = serv.service.get(f"/my_{name}/")
    assert answer.status == 200, answer.body
    assert answer.headers["x-request-id"]


def test_a_plugin_of_template_proxy_answers_for_a_service_elsewhere(serv: Serv) -> None:
    folder = serv.plugin("my_proxy", "proxy", upstream=f"http://127.0.0.1:{serv.port}", routes="/there")
    serv.run("plugins.check", ".", folder=folder)
    serv.run("metwork", "plugins", "test", ".", folder=folder)
    serv.develop(folder)
    # The service elsewhere is the router itself, where / is the page of services.
    answer = serv.service.get("/there/")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"/there/" in answer.body


def test_the_openapi_document_of_a_service_is_found_by_browsers_and_operators(serv: Serv) -> None:
    serv.develop(serv.plugin("described", "asgi"))
    assert b'href="/described/openapi.json"' in serv.service.get("/").body
    (route,) = [one for one in serv.ask("mfserv.routes") if one["app"] == "described.main"]
    document = serv.service.get(route["openapi"]).json()
    assert document["servers"] == [{"url": "/described"}]
    assert serv.service.get("/described/").json()["hello"] == "world"
