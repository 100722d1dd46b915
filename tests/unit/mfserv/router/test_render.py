from __future__ import annotations

from pathlib import Path

import pytest

from mfext.errors import MetworkError
from mfserv.app import faults
from mfserv.router.index_page import LONGEST
from mfserv.router.render import render
from tests.unit.mfserv.apps import app, config


def test_secrets_are_in_no_map() -> None:
    files = render(config(client_a={"keys": "secret-key"}), [app("one")]).files
    assert "secret-key" not in "".join(files.values())
    assert "a\n" in files["keys.map"]


def test_the_rules_do_not_grow_with_the_apps() -> None:
    def rules(number: int) -> int:
        text = render(config(), [app(f"p{one}") for one in range(number)]).files["haproxy.cfg"]
        frontend = text.partition("frontend public")[2].partition("\nbackend ")[0]
        return len(frontend.splitlines())

    assert rules(1) == rules(200)


def test_the_digest_is_that_of_what_is_in_force() -> None:
    one, same, other = (render(config(), [app(name)]) for name in ("one", "one", "two"))
    assert one.digest == same.digest != other.digest
    assert f"description {one.digest}\n" in one.complete(Path("/somewhere"))["haproxy.cfg"]


def test_a_class_with_a_share_has_a_lane_in_each_app() -> None:
    text = render(config(), [app("one", workers=2, concurrency=4)]).files["haproxy.cfg"]
    lane = text.partition("backend lane.batch.one.main")[2].partition("\nbackend ")[0]
    assert "maxconn 6" in lane
    assert "default_backend app.one.main" in lane


def test_the_page_of_a_thousand_services_fits_into_the_router() -> None:
    page = render(config(), [app(f"plugin_number_{one}") for one in range(1000)]).files["index.html"]
    assert len(page.encode()) < LONGEST + 2000
    assert "more: <code>mfserv.routes</code>" in page


def test_an_app_is_one_thing(tmp_path: Path) -> None:
    assert [str(fault) for fault in faults(app("one"))] == []
    assert "nothing says what it is" in str(next(iter(faults(app("one", app="")))))
    assert "it has app and cmd" in str(next(iter(faults(app("one", cmd="x")))))
    assert "leads out of the plugin" in str(next(iter(faults(app("one", app="", static="../x")))))
    assert "there is no folder" in str(next(iter(faults(app("one", app="", static="x")))))
    assert "need not say who they are" in str(next(iter(faults(app("one", clients=("a",))))))


@pytest.mark.parametrize(
    ("address", "binds"),
    [
        ("127.0.0.1", ["127.0.0.1:8080"]),
        ("::1", ["::1:8080 v6only"]),
        ("[::1], 192.0.2.1", ["::1:8080 v6only", "192.0.2.1:8080"]),
        ("[::]", [":::8080 v6only", "0.0.0.0:8080"]),
        ("0.0.0.0, ::", ["0.0.0.0:8080", ":::8080 v6only"]),
    ],
)
def test_the_router_listens_where_it_is_told(address: str, binds: list[str]) -> None:
    text = render(config(http={"address": address}), []).files["haproxy.cfg"]
    assert [
        line.removeprefix("  bind ") for line in text.splitlines() if line.startswith("  bind ") and "unix@" not in line
    ] == binds


@pytest.mark.parametrize("address", ["192.0.2.300", "1:2", "localhost"])
def test_what_is_no_address_is_told_by_its_line(address: str) -> None:
    with pytest.raises(MetworkError, match=r"^config.ini:2 \[http\] address: "):
        render(config(http={"address": address}), [])


def test_what_stays_open_ends_in_the_former_router_some_time_after_the_longest_request() -> None:
    apps = [app("one", timeout=100.0, queue_timeout=20.0)]
    assert "hard-stop-after 150000ms\n" in render(config(), apps).files["haproxy.cfg"]
    assert "hard-stop-after 3720000ms\n" in render(config(http={"linger": "3600"}), apps).files["haproxy.cfg"]
