from __future__ import annotations

from pathlib import Path

from mfserv.metrics import Tally, queues


def line(status: int, took: int, route: str = "/hello", app: str = "hello.main", agent: str = "") -> bytes:
    return (
        f'{{"id":"x","client":"c","class":"batch","app":"{app}","route":"{route}","status":{status},'
        f'"total_ms":{took},"server":"s0","agent":"{agent}"}}\n'
    ).encode()


def test_requests_are_counted_by_route_class_and_status() -> None:
    tally = Tally()
    tally.count(line(200, 3) * 5 + line(503, 0) + b"not of the access log\n" + line(404, 0, app="-", route="-"))
    told = [*tally.exposition()]
    assert 'metwork_requests_total{app="hello.main",route="/hello",class="batch",status="200"} 5' in told
    assert 'metwork_requests_total{app="hello.main",route="/hello",class="batch",status="503"} 1' in told
    tally.count(line(201, 0, app="whole.main", route="-"))
    assert 'metwork_requests_total{app="whole.main",route="/",class="batch",status="201"} 1' in [*tally.exposition()]
    assert 'metwork_requests_total{app="",route="",class="batch",status="404"} 1' in told


def test_the_histogram_adds_up() -> None:
    tally = Tally()
    for took, number in {0: 50, 1: 1, 5: 1, 6: 45, 999: 2, 70_000: 1}.items():
        tally.count(line(200, took) * number)
    told = dict(one.rsplit(" ", 1) for one in tally.exposition() if "request_seconds_" in one)
    labels = 'app="hello.main",route="/hello",class="batch"'
    found = {
        le: told[f'metwork_request_seconds_bucket{{{labels},le="{le}"}}'] for le in ("0.001", "0.005", "0.01", "60")
    }
    assert found == {"0.001": "51", "0.005": "52", "0.01": "97", "60": "99"}
    assert told[f'metwork_request_seconds_bucket{{{labels},le="+Inf"}}'] == "100"
    assert told[f"metwork_request_seconds_count{{{labels}}}"] == "100"
    assert float(told[f"metwork_request_seconds_sum{{{labels}}}"]) == 0.006 + 0.27 + 1.998 + 70


def test_a_client_cannot_make_lines_up() -> None:
    tally = Tally()
    forged = r"\",\"class\":\"x\",\"app\":\"y\",\"route\":\"z\",\"status\":200,\"total_ms\":1,"
    tally.count(line(200, 1, agent=forged))
    assert sum(tally.requests.values()) == 1


def test_what_waits_is_told_by_class() -> None:
    def row(name: str, waits: str) -> dict[str, str]:
        return {"pxname": name, "svname": "BACKEND", "qcur": waits, "scur": "4", "act": "2"}

    told = [*queues([row("app.a.main", "3"), row("lane.batch.a.main", "7"), row("health", "9")])]
    assert 'metwork_requests_waiting{app="a.main",queue="workers"} 3' in told
    assert 'metwork_requests_waiting{app="a.main",queue="batch"} 7' in told
    assert 'metwork_app_workers{app="a.main"} 2' in told
    assert len([one for one in told if one.startswith("metwork_")]) == 4


def test_every_metric_is_on_the_page_that_tells_of_them() -> None:
    tally = Tally()
    tally.count(line(200, 1))
    names = {one.split()[2] for one in [*tally.exposition(), *queues([])] if one.startswith("# TYPE")}
    page = (Path(__file__).parents[3] / "docs" / "howto" / "watch_services.md").read_text("utf-8")
    assert [name for name in sorted(names) if f"| `{name}` |" not in page] == []
    assert len(names) == 5
