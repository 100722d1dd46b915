"""Jobs from the request to the result: gateway and runner as processes, a service behind a unix socket."""

from __future__ import annotations

import json
import resource
import signal
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest

from mfext.testing import wait_until
from mfserv import report_progress
from mfserv.jobs.execution.attempt import UnixConnection
from tests.integration.mfserv.jobs.job_site import Site

MB = 1_000_000


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Site]:
    """Nothing runs yet."""
    site = Site(tmp_path)
    yield site
    site.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("running"))
    site.start("gateway")
    site.start("runner")
    yield site
    site.stop()


@pytest.fixture
def site(running: Site) -> Site:
    """All of it, for tests that leave it as it is; each is a client of its own."""
    running.renew()
    return running


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("waiting"))
    site.start("gateway")
    yield site
    site.stop()


@pytest.fixture
def gateway(waiting: Site) -> Site:
    """Jobs are taken, nobody does them; for tests that leave it as it is."""
    waiting.renew()
    return waiting


@pytest.fixture
def own(made: Site) -> Site:
    """All of it, for one test."""
    made.start("gateway")
    made.start("runner")
    return made


# -- RFC 7240


def test_a_job_is_accepted_done_and_its_result_given(site: Site) -> None:
    accepted = site.submit("/only?echo=1", b"body", Content_Type="text/csv")
    assert accepted.status == 202
    assert accepted.headers["Preference-Applied"] == "respond-async"
    assert int(accepted.headers["Retry-After"]) >= 1
    assert accepted.json["status"] == "accepted"
    assert accepted.headers["Location"] == f"/jobs/{accepted.json['jobID']}"
    assert site.ended(accepted.job)["status"] == "successful"
    result = site.ask("GET", f"{accepted.job}/results")
    assert (result.status, result.body, result.headers["X-Own"]) == (200, b"body", "kept")
    method, path, headers, body = site.service.requests[0]
    assert (method, path, body, headers["Content-Type"]) == ("POST", "/only?echo=1", b"body", "text/csv")
    assert headers["X-Metwork-Job"] == accepted.json["jobID"]


def test_a_result_that_comes_in_time_is_the_answer(site: Site) -> None:
    answer = site.submit("/allowed?sleep=0.2", Prefer="respond-async, wait=30")
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers["Preference-Applied"] == "wait=30"


def test_a_result_that_does_not_come_in_time_is_a_job(gateway: Site) -> None:
    begun = time.monotonic()
    answer = gateway.submit("/allowed", Prefer="wait=1")
    assert answer.status == 202
    assert time.monotonic() - begun >= 1
    assert answer.headers["Preference-Applied"] == "wait=1"


def test_the_longest_wait_is_ours_to_say(tmp_path: Path) -> None:
    site = Site(tmp_path, max_wait=0.0)
    try:
        site.start("gateway")
        answer = site.submit("/allowed", Prefer="respond-async, wait=100")
        assert (answer.status, answer.headers["Preference-Applied"]) == (202, "respond-async, wait=0")
    finally:
        site.stop()


def test_a_route_for_jobs_only_needs_no_preference(gateway: Site) -> None:
    answer = gateway.ask("POST", "/only", b"x")
    assert answer.status == 202
    assert "Preference-Applied" not in answer.headers


def test_secrets_of_the_client_are_not_kept(site: Site) -> None:
    accepted = site.submit("/only", b"x", Authorization="Bearer secret", X_Api_Key="secret", Cookie="secret")
    site.ended(accepted.job)
    assert "secret" not in str(site.service.requests)
    assert "secret" not in str(site.store.get(accepted.json["jobID"]))


def test_the_same_idempotency_key_gives_the_same_job(site: Site) -> None:
    site.service.gate.clear()
    first = site.submit("/only", b"x", Idempotency_Key="k")
    assert site.submit("/only", b"x", Idempotency_Key="k").job == first.job
    site.service.gate.set()
    site.ended(first.job)
    replayed = site.submit("/only", b"x", Idempotency_Key="k")
    assert (replayed.status, replayed.body) == (200, b"hello")
    refused = site.submit("/only", b"other", Idempotency_Key="k")
    assert refused.status == 422
    other = site.submit("/only", b"other", Idempotency_Key="k", client="bob")
    assert other.job != first.job
    site.ended(other.job, client="bob")
    assert site.ask("GET", f"{first.job}/results").body == b"hello"


def test_the_same_key_at_the_same_time_gives_one_job(gateway: Site) -> None:
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(gateway.submit("/only", b"x", Idempotency_Key="k").job))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 12
    assert len(set(answers)) == 1
    assert len(gateway.ask("GET", "/jobs").json["jobs"]) == 1


def test_a_key_is_free_again_once_its_job_is_forgotten(site: Site) -> None:
    first = site.submit("/brief", b"x", Idempotency_Key="k").job
    wait_until(lambda: site.ask("GET", first).status == 404, what="the job forgotten")
    again = site.submit("/brief", b"other", Idempotency_Key="k")
    assert again.status == 202
    assert again.job != first


def test_names_of_jobs_cannot_be_guessed(gateway: Site) -> None:
    names = {gateway.submit("/only").json["jobID"] for _ in range(3)}
    assert len(names) == 3
    # 18 random bytes each.
    assert {len(name) for name in names} == {24}
    assert len({name[:4] for name in names}) == len({name[-4:] for name in names}) == 3


def test_a_client_with_many_jobs_does_not_keep_another_waiting(tmp_path: Path) -> None:
    site = Site(tmp_path, concurrency=1)
    try:
        site.start("gateway")
        for _ in range(30):
            site.submit("/only", client="many")
        one = site.submit("/only", client="one").json
        assert one["position"] == 2
        site.start("runner")
        site.ended(f"/jobs/{one['jobID']}", client="one")
        assert site.service.jobs().index(one["jobID"]) == 1
    finally:
        site.stop()


def test_jobs_wait_by_class_and_say_their_place(made: Site) -> None:
    made.start("gateway")
    batch = made.submit("/only", X_Metwork_Class="batch")
    unknown = made.submit("/only", X_Metwork_Class="no-such")
    first = made.submit("/only", X_Metwork_Class="interactive")
    assert [made.job(one.job)["position"] for one in (first, batch, unknown)] == [1, 2, 3]
    made.start("runner")
    for one in (first, batch, unknown):
        made.ended(one.job)
    order = [one.json["jobID"] for one in (first, batch, unknown)]
    # Four are done at a time, but begun one after the other.
    assert sorted(made.service.jobs()) == sorted(order)


def test_jobs_are_listed_for_their_client_only(gateway: Site) -> None:
    mine = [gateway.submit("/only").json["jobID"] for _ in range(3)]
    theirs = gateway.submit("/only", client="bob").job
    listed = gateway.ask("GET", "/jobs?limit=2").json
    assert [job["jobID"] for job in listed["jobs"]] == [mine[2], mine[1]]
    (following,) = [link["href"] for link in listed["links"] if link["rel"] == "next"]
    assert [job["jobID"] for job in gateway.ask("GET", following).json["jobs"]] == [mine[0]]
    assert gateway.ask("GET", theirs).status == 404
    assert gateway.ask("DELETE", theirs).status == 404
    assert gateway.ask("GET", "/jobs?status=running").json["jobs"] == []
    assert gateway.ask("GET", "/jobs?status=no").status == 400
    assert gateway.ask("GET", "/jobs?limit=0").status == 400


def test_who_is_known_by_an_address_only_needs_the_id(gateway: Site) -> None:
    job = gateway.submit("/only", client="address:192.0.2.1").job
    assert gateway.ask("GET", job, client="address:192.0.2.2").status == 200
    assert gateway.ask("GET", "/jobs", client="address:192.0.2.2").json["jobs"] == []


def test_a_result_asked_for_too_early_is_not_ready(gateway: Site) -> None:
    job = gateway.submit("/only").job
    answer = gateway.ask("GET", f"{job}/results")
    assert answer.status == 404
    assert answer.json["type"].endswith("/result-not-ready")
    unknown = gateway.ask("GET", "/jobs/nosuch")
    assert unknown.json["type"].endswith("/no-such-job")


# -- dismissal, progress, time to live


def test_a_waiting_job_that_is_dismissed_is_not_done(made: Site) -> None:
    made.start("gateway")
    job = made.submit("/only", bytes(100_000)).job
    assert made.kept(job)
    assert made.ask("DELETE", job).json["status"] == "dismissed"
    assert made.job(job)["status"] == "dismissed"
    assert made.ask("GET", f"{job}/results").status == 410
    assert made.kept(job) == []
    made.start("runner")
    other = made.submit("/only").job
    made.ended(other)
    assert made.service.jobs() == [other.rpartition("/")[2]]


def test_a_running_job_that_is_dismissed_is_broken_off(site: Site) -> None:
    site.service.gate.clear()
    job = site.submit("/only").job
    wait_until(lambda: site.service.requests, what="the job at the service")
    assert site.ask("DELETE", job).json["status"] == "dismissed"
    others = [site.submit("/only").job for _ in range(4)]
    # The place of the dismissed one is free: all four others are under way.
    wait_until(lambda: len(site.service.requests) == 5, what="the others at the service")
    site.service.gate.set()
    assert {site.ended(one)["status"] for one in others} == {"successful"}
    assert site.job(job)["status"] == "dismissed"


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_result_that_is_dismissed_is_gone(site: Site, size: int) -> None:
    job = site.submit("/only?echo=1", bytes(size)).job
    site.ended(job)
    assert site.ask("GET", f"{job}/results").body == bytes(size)
    site.ask("DELETE", job)
    assert site.ask("GET", f"{job}/results").status == 410
    assert site.kept(job) == []


def test_a_service_tells_how_far_it_is(site: Site) -> None:
    site.service.gate.clear()
    job = site.submit("/only").job
    wait_until(lambda: site.service.requests, what="the job at the service")
    place = site.service.requests[0][2]["X-Metwork-Progress"]
    assert site.ask("PUT", place, b'{"progress": 40, "message": "reading"}').status == 204
    assert (site.job(job)["progress"], site.job(job)["message"]) == (40, "reading")
    assert report_progress(place, 70, "writing", site.home)
    assert (site.job(job)["progress"], site.job(job)["message"]) == (70, "writing")
    assert report_progress("", 70)
    assert site.ask("PUT", place, b"no").status == 400
    assert site.ask("PUT", f"{job}/progress/guessed", b"{}").status == 409
    site.service.gate.set()
    assert site.ended(job)["progress"] == 100
    assert site.ask("PUT", place, b"{}").status == 409
    assert not report_progress(place, 100, home=site.home)


def test_a_job_is_forgotten_after_its_time(tmp_path: Path) -> None:
    site = Site(tmp_path, result_ttl=1.0)
    try:
        site.start("gateway")
        site.start("runner")
        site.service.gate.clear()
        job = site.submit("/only?echo=1", bytes(100_000)).job
        wait_until(lambda: site.service.requests, what="the job at the service")
        assert site.kept(job)
        site.service.gate.set()
        wait_until(lambda: site.ask("GET", job).status == 404, what="the job forgotten")
        assert site.kept(job) == []
        assert site.store.counts()["expired"] == 1
    finally:
        site.stop()


# -- what goes wrong


def test_a_failure_of_the_service_can_be_read(site: Site) -> None:
    job = site.submit("/only?status=422&type=application/json").job
    ended = site.ended(job)
    assert (ended["status"], ended["message"]) == ("failed", "the service answered 422")
    result = site.ask("GET", f"{job}/results")
    assert (result.status, result.json) == (422, {"n": 1})


def test_a_busy_service_is_tried_again_without_end_of_attempts(site: Site) -> None:
    job = site.submit("/only?status=503&times=2&retry=0").job
    ended = site.ended(job)
    assert (ended["status"], ended["attempts"]) == ("successful", 1)
    assert len(site.service.requests) == 3


def test_a_service_that_breaks_off_is_tried_again(site: Site) -> None:
    job = site.submit("/only?break=2").job
    ended = site.ended(job)
    assert (ended["status"], ended["attempts"]) == ("successful", 3)


def test_an_interim_answer_of_a_service_is_not_the_result(site: Site) -> None:
    job = site.submit("/only?interim=3").job
    assert site.ended(job)["status"] == "successful"
    result = site.ask("GET", f"{job}/results")
    assert (result.status, result.body) == (200, b"hello")


def test_a_service_that_always_breaks_off_makes_the_job_fail(site: Site) -> None:
    job = site.submit("/only?break=9").job
    ended = site.ended(job)
    assert ended["status"] == "failed"
    assert "broke off" in ended["message"]
    assert "3 attempts" in ended["message"]
    assert site.ask("GET", f"{job}/results").status == 500


def test_a_result_that_is_cut_off_is_not_taken_for_whole(site: Site) -> None:
    job = site.submit("/only?big=1000000&cut=500000").job
    assert site.ended(job)["status"] == "failed"
    assert site.kept(job) == []


def test_a_router_that_is_away_is_waited_for(made: Site) -> None:
    made.start("gateway")
    socket = made.home.run / "router-internal.sock"
    away = socket.rename(socket.with_name("away.sock"))
    made.start("runner")
    job = made.submit("/only").job
    wait_until(lambda: "cannot be reached" in made.job(job).get("message", ""), what="the reason")
    away.rename(socket)
    ended = made.ended(job)
    assert (ended["status"], ended["attempts"]) == ("successful", 1)


def test_a_body_that_is_too_large_is_refused_before_it_comes(gateway: Site) -> None:
    connection = UnixConnection(gateway.home.run / "gateway.sock", timeout=60)
    connection.putrequest("POST", "/small")
    connection.putheader("Content-Length", "5000")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_body_of_unknown_size_is_refused_when_it_is_too_large(gateway: Site) -> None:
    connection = UnixConnection(gateway.home.run / "gateway.sock", timeout=60)
    connection.putrequest("POST", "/small")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    for _ in range(3):
        connection.send(b"1f4\r\n" + b"x" * 500 + b"\r\n")
    assert connection.getresponse().status == 413
    connection.close()


def test_a_body_that_never_ends_is_given_up(tmp_path: Path) -> None:
    site = Site(tmp_path, body_timeout=0.5)
    try:
        site.start("gateway")
        connection = UnixConnection(site.home.run / "gateway.sock", timeout=60)
        connection.putrequest("POST", "/only")
        connection.putheader("Content-Length", "5000")
        connection.endheaders()
        connection.send(b"beginning")
        answer = connection.getresponse()
        assert answer.status == 408
        assert b"0.5 seconds" in answer.read()
        connection.close()
        assert site.ask("GET", "/jobs").json["jobs"] == []
        wait_until(lambda: not list((site.home.var / "jobs" / "bodies").iterdir()), what="nothing kept")
    finally:
        site.stop()


def test_a_full_queue_is_told_with_a_time_to_come_back(tmp_path: Path) -> None:
    site = Site(tmp_path, max_queue=3, max_queue_client=2)
    try:
        site.start("gateway")
        body = bytes(100_000)
        answers = [site.submit("/only", body, client=client) for client in ("ann", "ann", "ann", "bob", "bob")]
        assert [answer.status for answer in answers] == [202, 202, 429, 202, 503]
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)
        wait_until(
            lambda: len(list((site.home.var / "jobs" / "bodies").iterdir())) == 3, what="nothing kept of the others"
        )
    finally:
        site.stop()


def test_a_store_that_is_away_is_told_and_comes_back(made: Site) -> None:
    folder = made.home.var / "jobs"
    folder.mkdir()
    database = folder / "jobs.sqlite"
    database.mkdir()
    made.start("gateway")
    made.start("runner")
    refused = made.submit("/only", bytes(100_000))
    assert refused.status == 503
    assert refused.headers["Retry-After"]
    wait_until(lambda: not list((folder / "bodies").iterdir()), what="nothing kept")
    database.rmdir()
    assert made.ended(made.submit("/only").job)["status"] == "successful"


def test_a_route_may_have_limits_of_its_own(gateway: Site) -> None:
    answers = [gateway.submit("/strict", client=f"{gateway.client}-{number}") for number in range(3)]
    assert [answer.status for answer in answers] == [202, 202, 503]
    assert int(answers[2].headers["Retry-After"]) >= 1
    assert "of strict" in answers[2].json["detail"]
    assert gateway.submit("/only").status == 202


def test_a_route_may_have_attempts_and_times_of_its_own(site: Site) -> None:
    for how, message in (
        ("break=9", "at the last of 1 attempts"),
        ("big=200000", "larger than 100000 bytes"),
        ("sleep=60", "longer than 4 seconds"),
    ):
        ended = site.ended(site.submit(f"/strict?{how}").job)
        assert (ended["status"], ended["attempts"]) == ("failed", 1), how
        assert message in ended["message"]


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_job_that_failed_is_tried_anew_when_an_operator_says_so(site: Site, size: int) -> None:
    job = site.submit("/only?status=500&times=1&echo=1", bytes(size)).job
    assert site.ended(job)["status"] == "failed"
    assert site.store.renew(job.rpartition("/")[2]) is not None
    assert site.ended(job)["status"] == "successful"
    assert site.ask("GET", f"{job}/results").body == bytes(size)


def test_there_is_no_route_for_every_address(gateway: Site) -> None:
    for path in ("/nosuch", "/onlyx", "/jobs/a/b/c", "/processes/x/y"):
        assert gateway.ask("POST", path, b"x").status in (404, 405), path


# -- large bodies and results


def memory(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


def test_large_bodies_and_results_take_no_memory(made: Site) -> None:
    gateway, runner = made.start("gateway"), made.start("runner")
    before = memory(gateway.pid), memory(runner.pid)
    size = 200 * MB
    job = made.ask("POST", f"/only?big={size}", (bytes(MB) for _ in range(200)), Content_Length=str(size)).job
    assert made.ended(job)["status"] == "successful"
    assert made.service.sizes == [size]
    connection = UnixConnection(made.home.run / "gateway.sock", timeout=60)
    connection.request("GET", f"{job}/results", headers={"X-Metwork-Client": "ann"})
    answer = connection.getresponse()
    received = 0
    while data := answer.read(MB):
        received += len(data)
    connection.close()
    assert received == size
    for asked in (f"bytes={size - 5}-", "bytes=-5", "bytes=0-4"):
        part = made.ask("GET", f"{job}/results", Range=asked)
        assert (part.status, part.body) == (206, bytes(5)), asked
    assert memory(gateway.pid) - before[0] < 20
    assert memory(runner.pid) - before[1] < 20


def test_a_result_that_is_too_large_is_a_failure(tmp_path: Path) -> None:
    site = Site(tmp_path, max_result=MB)
    try:
        site.start("gateway")
        site.start("runner")
        ended = site.ended(site.submit(f"/only?big={2 * MB}").job)
        assert (ended["status"], ended["message"]) == ("failed", "the result is larger than 1000000 bytes")
    finally:
        site.stop()


def test_a_part_of_a_result_may_be_asked_for(site: Site) -> None:
    job = site.submit("/only?echo=1", b"0123456789").job
    site.ended(job)
    for asked, status, body in (("2-4", 206, b"234"), ("7-", 206, b"789"), ("-2", 206, b"89"), ("20-", 416, None)):
        part = site.ask("GET", f"{job}/results", Range=f"bytes={asked}")
        assert part.status == status, asked
        assert body is None or part.body == body
    whole = site.ask("HEAD", f"{job}/results")
    assert (whole.headers["Content-Length"], whole.body) == ("10", b"")


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_result_is_given_as_the_conditions_of_the_request_say(site: Site, size: int) -> None:
    job = site.submit("/only?echo=1", b"0123456789" * (size // 10)).job
    site.ended(job)
    whole = site.ask("GET", f"{job}/results")
    etag = whole.headers["Etag"]
    assert site.ask("HEAD", f"{job}/results").headers["Etag"] == etag
    for headers, status in (
        ({"If_None_Match": f"W/{etag}"}, 304),
        ({"If_None_Match": '"other"'}, 200),
        ({"If_Match": etag}, 200),
        ({"If_Match": '"other"'}, 412),
        ({"If_Range": etag, "Range": "bytes=2-4"}, 206),
        ({"If_Range": '"other"', "Range": "bytes=2-4"}, 200),
        ({"If_Match": '"other"', "Range": "bytes=2-4"}, 412),
        ({"If_None_Match": etag, "Range": "bytes=2-4"}, 304),
        ({"Range": "bytes=-0"}, 416),
    ):
        answer = site.ask("GET", f"{job}/results", None, **headers)
        assert answer.status == status, headers
        if status in (200, 206, 304):
            assert answer.headers["Etag"] == etag
            assert answer.body == {200: whole.body, 206: b"234", 304: b""}[status]


def test_no_room_for_a_body_is_told(made: Site) -> None:
    gateway = made.start("gateway")
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (2 * MB, 2 * MB))
    answer = made.ask("POST", "/only", bytes(3 * MB))
    assert answer.status == 507
    wait_until(lambda: not list((made.home.var / "jobs" / "bodies").iterdir()), what="nothing kept")


def said_to(site: Site, request: bytes, body: bytes) -> bytes:
    """What the gateway answers to one who sends all of it before looking at the answer."""
    connection = UnixConnection(site.home.run / "gateway.sock", timeout=60)
    connection.connect()
    try:
        connection.sock.sendall(request + b"Host: x\r\n\r\n")
        if body:  # to send nothing fails, too, once the other side has hung up
            connection.sock.sendall(body)
        return connection.sock.recv(65536)
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("place", "status"),
    [("POST /only", b"507"), ("POST /small", b"413"), ("POST /nothing", b"404"), ("OPTIONS /only", b"405")],
)
def test_a_refusal_is_read_by_who_is_still_sending(made: Site, place: str, status: bytes) -> None:
    gateway = made.start("gateway")
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (2 * MB, 2 * MB))
    for _ in range(8):
        answer = said_to(made, f"{place} HTTP/1.1\r\nContent-Length: {12 * MB}\r\n".encode(), bytes(12 * MB))
        assert answer.startswith(b"HTTP/1.1 " + status)


def test_who_waits_for_a_word_is_refused_before_the_body(gateway: Site) -> None:
    answer = said_to(gateway, b"POST /small HTTP/1.1\r\nContent-Length: 12000000\r\nExpect: 100-continue\r\n", b"")
    assert answer.startswith(b"HTTP/1.1 413")


# -- stopping and dying


def balanced(site: Site) -> bool:
    counts = dict(site.store.counts())
    submitted = counts.pop("submitted")
    return submitted == sum(counts.values())


def test_a_stopped_runner_gives_back_what_it_cannot_finish(tmp_path: Path) -> None:
    site = Site(tmp_path, graceful_timeout=0.2)
    try:
        site.start("gateway")
        runner = site.start("runner")
        site.service.gate.clear()
        job = site.submit("/only").job
        wait_until(lambda: site.service.requests, what="the job at the service")
        runner.terminate()
        assert runner.wait(60) == 0
        assert (site.job(job)["status"], site.job(job)["attempts"]) == ("accepted", 0)
        site.service.gate.set()
        site.start("runner")
        assert site.ended(job)["status"] == "successful"
    finally:
        site.stop()


def test_a_draining_runner_takes_no_new_job(own: Site) -> None:
    runner = own.processes[1]
    runner.send_signal(signal.SIGUSR1)

    def is_drained() -> bool:
        (file,) = own.home.run.glob("ready/runner1/*")
        return bool(json.loads(file.read_text()).get("drained"))

    wait_until(is_drained, what="drained")
    job = own.submit("/only").job
    own.start("runner")
    assert own.ended(job)["status"] == "successful"


def test_a_stopping_gateway_tells_those_who_wait_where_their_job_is(made: Site) -> None:
    made.start("gateway")
    answers = []

    def wait() -> None:
        answers.append(made.submit("/allowed", Prefer="wait=20"))

    waiting = threading.Thread(target=wait)
    waiting.start()
    wait_until(lambda: made.ask("GET", "/jobs").json["jobs"], what="the job")
    made.processes[0].terminate()
    waiting.join(60)
    assert [answer.status for answer in answers] == [202]


def test_a_killed_runner_loses_no_job(own: Site) -> None:
    own.service.gate.clear()
    jobs = [own.submit("/only").job for _ in range(6)]
    wait_until(lambda: len(own.service.requests) == 4, what="jobs at the service")
    own.kill(own.processes[1])
    own.service.gate.set()
    own.start("runner")
    ended = [own.ended(job) for job in jobs]
    assert {one["status"] for one in ended} == {"successful"}
    assert sorted(one["attempts"] for one in ended) == [1, 1, 2, 2, 2, 2]
    assert balanced(own)


def test_a_job_at_which_every_runner_dies_fails_with_a_reason(tmp_path: Path) -> None:
    site = Site(tmp_path, attempts=1)
    try:
        site.start("gateway")
        runner = site.start("runner")
        site.service.gate.clear()
        job = site.submit("/only").job
        wait_until(lambda: site.service.requests, what="the job at the service")
        site.kill(runner)
        site.start("runner")
        ended = site.ended(job)
        assert (ended["status"], ended["message"]) == ("failed", "the runner died at each of 1 attempts")
    finally:
        site.stop()


@pytest.mark.slow
def test_no_accepted_job_is_lost_whoever_is_killed(made: Site) -> None:
    """Gateway and runner are killed again and again while clients submit; every 202 has an end."""
    gateway, runner = made.start("gateway"), made.start("runner")
    accepted: list[str] = []
    stop = threading.Event()

    def submit() -> None:
        while not stop.is_set():
            try:
                answer = made.submit("/only?sleep=0.01")
            except (OSError, HTTPException):
                time.sleep(0.01)  # the gateway is being killed: a client would try again, too
                continue
            if answer.status == 202:
                accepted.append(answer.job)

    clients = [threading.Thread(target=submit) for _ in range(3)]
    for client in clients:
        client.start()
    for kill in range(8):
        count = len(accepted)
        wait_until(lambda count=count: len(accepted) > count + 10, what="more jobs")  # type: ignore[misc]
        if kill % 2:
            made.kill(gateway)
            gateway = made.start("gateway")
        else:
            made.kill(runner)
            runner = made.start("runner")
    stop.set()
    for client in clients:
        client.join()
    store = made.store
    wait_until(lambda: store.counts()["accepted"] + store.counts()["running"] == 0, what="the end of all jobs")
    kept = {f"/jobs/{job.id}": job for job in store.listed(limit=100_000)}
    assert [job for job in accepted if job not in kept] == []
    assert [kept[job].message for job in accepted if kept[job].status != "successful" and not kept[job].message] == []
    assert balanced(made)
