"""A breaker as several processes of a step share it, and a real FTP server that goes away and comes back."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mfdata import Done, File, Hold, Retry
from mfdata.config import StepConfig
from mfdata.outcome import Outcome
from mfdata.steps.ftpsend import FtpSend, FtpSendKeys
from mfdata.storage.tags import first_tags
from mfext.circuit_breaker import Breaker, BreakerKeys, open_breakers
from mfext.environment import Home
from mfext.testing import temporary_home
from tests.integration.mfdata.ftp_server import PASSWORD, USER, Server

STEP = "p/main"
KEYS = BreakerKeys(breaker_failures=2, breaker_min_wait=1000, breaker_max_wait=2000)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return temporary_home(tmp_path)


def breaker(home: Home, destination: str = "there:21", keys: BreakerKeys = KEYS) -> Breaker:
    return Breaker(home, STEP, destination, keys)


def opened(home: Home) -> Breaker:
    one = breaker(home)
    assert one.failed("away") == 0
    assert one.failed("away") > 0
    return one


def let_time_pass(home: Home) -> None:
    """As if nobody had to wait any more."""
    for path in (home.run / "breakers").glob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_bytes()) | {"until": time.monotonic() - 1}))


def test_nothing_is_on_disk_while_all_goes_well(home: Home) -> None:
    one = breaker(home)
    assert one.wait() == 0
    assert one.succeeded() is False
    assert not (home.run / "breakers").exists()


def test_what_one_process_finds_out_holds_for_all(home: Home) -> None:
    opened(home)
    assert 0 < breaker(home).wait() <= 1000
    (told,) = open_breakers(home)
    assert (told["step"], told["destination"], told["reason"]) == ("p/main", "there:21", "away")
    assert breaker(home, "elsewhere:21").wait() == 0


def test_faults_of_several_processes_add_up(home: Home) -> None:
    assert breaker(home).failed("away") == 0
    assert breaker(home).failed("away") > 0


def test_a_success_forgets_the_faults_before_it(home: Home) -> None:
    one = breaker(home)
    one.failed("away")
    assert one.succeeded() is False
    assert one.failed("away") == 0


def test_one_process_probes_while_the_others_wait(home: Home) -> None:
    opened(home)
    others = [breaker(home) for _ in range(3)]
    let_time_pass(home)
    assert others[0].wait() == 0
    assert all(0 < one.wait() <= 1 for one in others[1:])
    assert others[0].failed("still away") == pytest.approx(2000)
    let_time_pass(home)
    assert others[1].wait() == 0
    assert others[1].succeeded() is True
    assert [one.wait() for one in others] == [0, 0, 0]
    assert open_breakers(home) == []


def probes(folder: str) -> bool:
    return breaker(Home("mfdata", Path(folder))).wait() == 0


def test_of_many_processes_at_one_time_one_probes(home: Home) -> None:
    opened(home)
    let_time_pass(home)
    with ProcessPoolExecutor(4) as pool:
        assert sum(pool.map(probes, [str(home.path)] * 40)) == 1


def test_it_can_be_switched_off(home: Home) -> None:
    one = breaker(home, keys=BreakerKeys(breaker_failures=0))
    assert [one.failed("away") for _ in range(20)] == [0.0] * 20
    assert one.wait() == 0


def test_a_state_that_cannot_be_read_is_none(home: Home) -> None:
    one = opened(home)
    (path,) = (home.run / "breakers").glob("*.json")
    path.write_text("{")
    assert one.wait() == 0


def test_another_destination_of_the_step_is_forgotten(home: Home) -> None:
    opened(home)
    breaker(home, "elsewhere:21").forget_others()
    assert open_breakers(home) == []


Send = Callable[[], Outcome]


@pytest.fixture
def sender(home: Home, tmp_path: Path) -> Iterator[Callable[[int], Send]]:
    steps: list[FtpSend] = []

    def made(port: int) -> Send:
        account = {"machine": "127.0.0.1", "port": port, "user": USER, "passwd": PASSWORD, "timeout": 60.0}
        keys = FtpSendKeys(**account, breaker_failures=2, breaker_min_wait=100, breaker_max_wait=200)  # type: ignore[arg-type]
        step = FtpSend(home, "p", "main", StepConfig(), keys)
        step.open()
        steps.append(step)

        def send() -> Outcome:
            file = tmp_path / "claimed"
            file.write_bytes(b"content")
            outcome = step.process(File(file, first_tags(os.urandom(13).hex(), os.urandom(4).hex().encode(), b"in")))
            assert outcome is not None
            return outcome

        return send

    yield made
    for step in steps:
        step.close()


def test_a_server_that_goes_away_is_left_in_peace_and_found_again(
    home: Home, tmp_path: Path, sender: Callable[[int], Send]
) -> None:
    with Server(tmp_path / "machine") as server:
        send, send_too = sender(server.port), sender(server.port)
        assert [send(), send_too()] == [Done(), Done()]
        server.kick_out()
        port = server.port
    first, second = send(), send_too()
    assert isinstance(first, Retry)
    assert isinstance(second, Retry)
    assert (first.counts, second.counts) == (True, False)
    assert second.after == pytest.approx(100)
    assert isinstance(send(), Hold)
    assert isinstance(send_too(), Hold)
    with Server(tmp_path / "machine", port=port) as server:
        let_time_pass(home)
        assert send() == Done()
        assert send_too() == Done()
        assert open_breakers(home) == []
        assert len(server.files()) == 4


def test_a_server_that_refuses_a_file_is_not_left_in_peace(
    home: Home, tmp_path: Path, sender: Callable[[int], Send]
) -> None:
    with Server(tmp_path / "machine") as server:
        send = sender(server.port)
        server.folder.chmod(0o500)
        refused = [send() for _ in range(5)]
        server.folder.chmod(0o700)
        if os.getuid():
            assert not any(isinstance(outcome, Done) for outcome in refused)
        assert not any(isinstance(outcome, Hold) for outcome in refused)
        assert open_breakers(home) == []


def test_a_server_that_lets_nobody_in_is_left_in_peace(
    home: Home, tmp_path: Path, sender: Callable[[int], Send]
) -> None:
    with Server(tmp_path / "machine", max_login_attempts=1) as server:
        send = sender(server.port)
        server._server.handler.authorizer.remove_user(USER)
        assert not isinstance(send(), (Done, Hold))
        assert isinstance(send(), Retry)
        assert isinstance(send(), Hold)
        (told,) = open_breakers(home)
        assert "530" in told["reason"]


def test_a_machine_that_refuses_the_login_is_not_one_that_does_not_answer(tmp_path: Path) -> None:
    home = temporary_home(tmp_path)
    with Server(tmp_path / "machine") as server:
        place: dict[str, Any] = {"machine": "127.0.0.1", "port": server.port, "user": USER}
        keys: dict[str, Any] = {**place, "passwd": "wrong", "breaker_failures": 1}
        step = FtpSend(home, "p", "main", StepConfig(), FtpSendKeys(**keys))
        step.open()
        (tmp_path / "file").write_bytes(b"content")
        file = File(tmp_path / "file", first_tags("u1", b"name", b"in"))
        assert isinstance(step.process(file), Retry)
        outcome = step.process(file)
        assert isinstance(outcome, Hold)
        assert "does not answer" not in outcome.reason
        step.close()
    (told,) = open_breakers(home)
    assert told["is_refused"]
    assert "530" in told["reason"]
