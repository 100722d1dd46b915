from __future__ import annotations

import pytest

from mfext.errors import ConfigError
from mfserv.router.routes import RESERVED, route_of, routing_table
from tests.unit.mfserv.apps import app

APPS = [
    app("one"),
    app("deep", "/one/deep"),
    app("hosted", "/one", hosts=("Data.Example",)),
    app("rest", "/"),
    app("several", "/a", "/b/"),
]


@pytest.mark.parametrize(
    ("host", "path", "plugin"),
    [
        ("any", "/one", "one"),
        ("any", "/one/", "one"),
        ("any", "/one/x", "one"),
        ("any", "/one/deep", "deep"),
        ("any", "/one/deep/x", "deep"),
        ("any", "/one/deeper", "one"),
        ("any", "/ones", "rest"),
        ("any", "/", "rest"),
        ("any", "/a/x", "several"),
        ("any", "/b/x", "several"),
        ("data.example", "/one/deep", "hosted"),
        ("DATA.EXAMPLE:8080", "/one", "hosted"),
        ("data.example", "/other", "rest"),
    ],
)
def test_the_host_comes_first_then_the_longest_path(host: str, path: str, plugin: str) -> None:
    found = route_of(host, path, routing_table(APPS))
    assert found is not None
    assert found.app.plugin == plugin


def test_without_a_route_nobody_answers() -> None:
    assert route_of("any", "/two", routing_table([app("one")])) is None


def test_one_route_for_two_apps_is_an_error_that_names_both() -> None:
    with pytest.raises(ConfigError) as raised:
        routing_table([app("first", "/x/"), app("second", "/x")])
    assert raised.value.message == (
        'second/config.ini:3 [app_main] routes: the route "/x" is wanted by first.main and by second.main; '
        "expected one app for a route. Change routes in one of the plugins first and second."
    )


def test_one_path_at_two_hosts_is_fine() -> None:
    assert len(routing_table([app("first", "/x", hosts=("a",)), app("second", "/x", hosts=("b",))])) == 2


@pytest.mark.parametrize("path", RESERVED)
def test_paths_of_the_router_are_its_own(path: str) -> None:
    with pytest.raises(ConfigError, match="the router's own"):
        routing_table([app("first", path)])
