from __future__ import annotations

import json
from pathlib import Path

import pytest

from mfext.testing import temporary_home
from mfserv.jobs.route import ONLY, JobRoute, Published, Routes, publish_routes

PUBLISHED = Published(
    (
        JobRoute("all", ""),
        JobRoute("a", "/a"),
        JobRoute("ab", "/a/b", ONLY),
        JobRoute("host", "/a", hosts=("one.example", "two.example")),
    ),
    ("gold", "interactive", "batch"),
)


@pytest.mark.parametrize(
    ("path", "host", "name"),
    [
        ("/", "", "all"),
        ("/x/y", "", "all"),
        ("/a", "", "a"),
        ("/ab", "", "all"),
        ("/a/", "", "a"),
        ("/a/b", "", "ab"),
        ("/a/b/c", "other.example", "ab"),
        ("/a/b", "ONE.example:8080", "host"),
        ("/a", "two.example", "host"),
        ("/a", "two.example.", "host"),
        ("/a", "two.example.:80", "host"),
    ],
)
def test_the_route_is_the_longest_of_the_host(path: str, host: str, name: str) -> None:
    route = PUBLISHED.route_of(path, host)
    assert route is not None
    assert route.id == name


def test_there_need_not_be_a_route() -> None:
    assert Published((JobRoute("a", "/a"),)).route_of("/b") is None
    assert PUBLISHED.process("nosuch") is None


def test_the_priority_is_the_place_of_the_class() -> None:
    assert [PUBLISHED.priority(name) for name in ("gold", "batch", "unknown", "")] == [0, 2, 3, 3]


def test_what_is_published_is_read_as_it_was_and_read_anew(tmp_path: Path) -> None:
    home = temporary_home(tmp_path, "mfserv")
    routes = Routes(home)
    assert routes.now() == Published()
    publish_routes(home, PUBLISHED)
    assert routes.now() == PUBLISHED
    other = Published((JobRoute("x", "/x", inputs={"a": {"schema": {"type": "string"}}}, keywords=("k",)),))
    publish_routes(home, other)
    assert json.dumps(routes.now().routes[0].inputs) == json.dumps(other.routes[0].inputs)
    assert routes.now() == other
