"""sftpsend against a real server: what arrives, whom it trusts, and what a broken connection does."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest

from mfdata import Done, Failed, File, Retry
from mfdata.config import StepConfig
from mfdata.outcome import Hold, Outcome
from mfdata.steps.sftpsend import SftpSend, SftpSendKeys
from mfdata.storage.tags import first_tags, new_uid
from mfext.environment import Home
from mfext.errors import ConfigError
from tests.integration.mfdata.sftp_server import PASSWORD, USER, SftpServer, sftp_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    with sftp_server(tmp_path / "there") as made:
        yield made


class Sending:
    """A step as a worker has it."""

    def __init__(self, folder: Path, server: SftpServer, **keys: Any) -> None:
        self.folder = folder
        known = str(server.known_hosts(folder / "known_hosts"))
        given: dict[str, Any] = {
            "machine": "127.0.0.1",
            "port": server.port,
            "user": USER,
            "passwd": PASSWORD,
            "known_hosts": known,
        }
        self.step = SftpSend(Home("mfdata", folder / "home"), "p", "main", StepConfig(), SftpSendKeys(**(given | keys)))
        self.step.open()

    def send(self, name: bytes = b"radar.png", content: bytes = b"content") -> Outcome:
        path = self.folder / "file"
        path.write_bytes(content)
        return self.step.process(File(path, first_tags(new_uid(), name, b"in")))

    def left(self) -> int:
        """How many names are noted as begun."""
        return sum(path.is_file() for path in (self.folder / "home/var/begun").rglob("*"))


Make = Callable[..., Sending]


@pytest.fixture
def sending(tmp_path: Path, server: SftpServer) -> Iterator[Make]:
    made: list[Sending] = []

    def make(**keys: Any) -> Sending:
        made.append(Sending(tmp_path, server, **keys))
        return made[-1]

    yield make
    for one in made:
        one.step.close()


def there(server: SftpServer) -> dict[str, bytes]:
    return {
        str(path.relative_to(server.folder)): path.read_bytes() for path in server.folder.rglob("*") if path.is_file()
    }


def test_files_arrive_whole_over_one_connection_and_are_renamed(server: SftpServer, sending: Make) -> None:
    at = sending()
    contents = {"radar.png": os.urandom(3_000_000), "empty": b"", "é 气象 -l": b"\r\n\0"}
    for name, content in contents.items():
        assert at.send(name.encode(), content) == Done()
    assert there(server) == contents
    assert server.connections == 1
    assert all(name.endswith(".t") for name in server.opened)


@pytest.mark.parametrize("is_old", [False, True])
def test_a_file_that_is_there_is_replaced(server: SftpServer, sending: Make, is_old: bool) -> None:
    server.is_old = is_old
    at = sending(delete_existing=is_old)
    assert [at.send(content=b"1"), at.send(content=b"2")] == [Done(), Done()]
    assert there(server) == {"radar.png": b"2"}


def test_a_server_that_does_not_replace_is_not_made_to_unless_it_is_said(server: SftpServer, sending: Make) -> None:
    server.is_old = True
    at = sending()
    assert at.send(content=b"1") == Done()
    outcome = at.send(content=b"2")
    assert isinstance(outcome, Retry)
    assert "to radar.png: Failure; radar.png is there" in outcome.reason
    assert "delete_existing" in outcome.reason
    assert there(server) == {"radar.png": b"1"}


@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize("suffix", [".t", ""])
def test_two_files_of_one_name_are_both_kept_when_told_so(
    server: SftpServer, sending: Make, suffix: str, refuses: bool
) -> None:
    at = sending(if_exists="number", tmp_suffix=suffix)
    server.refuses_stat = refuses
    outcomes = [at.send(content=content) for content in (b"1", b"2", b"3")]
    if refuses:  # then it cannot be told from another fault; nothing is replaced
        assert outcomes[0] == Done()
        assert there(server) == {"radar.png": b"1"}
    else:
        assert outcomes == [Done()] * 3
        assert sorted(there(server).values()) == [b"1", b"2", b"3"]


@pytest.mark.parametrize("suffix", [".t", ""])
def test_a_taken_name_is_quarantine_when_told_so(server: SftpServer, sending: Make, suffix: str) -> None:
    at = sending(if_exists="quarantine", tmp_suffix=suffix)
    assert at.send(content=b"1") == Done()
    outcome = at.send(content=b"2")
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert there(server) == {"radar.png": b"1"}
    assert at.left() == 0


@pytest.mark.parametrize("suffix", [".t", ""])
def test_a_server_need_not_let_us_look(server: SftpServer, sending: Make, suffix: str) -> None:
    server.refuses_stat = True
    keys = {"tmp_suffix": suffix, "dest_basename": "in/{ORIGINAL_BASENAME}", "create_directory": True}
    at = sending(**keys)
    content = os.urandom(200_000)
    assert [at.send(content=content), at.send(b"empty", b"")] == [Done(), Done()]
    assert there(server) == {"in/radar.png": content, "in/empty": b""}
    assert at.left() == 0


@pytest.mark.parametrize("suffix", [".t", ""])
@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize("taken", ["part", "file"])
def test_a_file_that_is_taken_away_over_there_is_done(
    server: SftpServer, sending: Make, taken: str, refuses: bool, suffix: str
) -> None:
    server.takes_away, server.refuses_stat = taken, refuses
    at = sending(tmp_suffix=suffix)
    assert [at.send(), at.send(b"2")] == [Done(), Done()]
    assert len(server.opened) == 2


@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize("size", [50_000, 3_000_000])
def test_a_disk_that_is_full_over_there_is_seen_and_nothing_is_left(
    server: SftpServer, sending: Make, size: int, refuses: bool
) -> None:
    server.room, server.refuses_stat = 40_000, refuses
    at = sending()
    outcome = at.send(b"large", os.urandom(size))
    assert isinstance(outcome, Retry)
    assert "write large" in outcome.reason
    assert there(server) == {}
    assert at.left() == 0
    assert at.send(b"small") == Done()


def test_a_failure_removes_nothing_of_another_name(server: SftpServer, sending: Make) -> None:
    at = sending(if_exists="number", tmp_suffix="")
    assert at.send(content=b"1") == Done()
    server.room = 4
    assert isinstance(at.send(content=b"content"), Retry)
    assert there(server) == {"radar.png": b"1"}


def test_what_a_killed_worker_left_is_removed(server: SftpServer, sending: Make) -> None:
    at = sending()
    (server.folder / "part.t").write_bytes(b"half")
    with at.step._begun.writing("part.t"):
        pass
    assert at.send() == Done()
    assert there(server) == {"radar.png": b"content"}
    assert at.left() == 0


def test_the_trace_says_where_the_file_is(server: SftpServer, sending: Make) -> None:
    outcome = sending().send()
    assert isinstance(outcome, Done)
    assert outcome.note == f"sent to 127.0.0.1:{server.port} as radar.png"


def test_folders_are_made_when_asked_for(server: SftpServer, sending: Make) -> None:
    name = {"directory": "a/b", "dest_basename": "c/{ORIGINAL_BASENAME}"}
    outcome = sending(**name).send()
    assert isinstance(outcome, Failed)
    assert "the directory is not there" in outcome.reason
    assert sending(**name, create_directory=True).send() == Done()
    assert there(server) == {"a/b/c/radar.png": b"content"}


def test_a_file_that_does_not_arrive_whole_is_sent_again(server: SftpServer, sending: Make) -> None:
    at = sending()
    server.short = 1
    outcome = at.send()
    assert isinstance(outcome, Retry)
    assert "it has 6 bytes of 7 there" in outcome.reason
    assert "radar.png" not in there(server)
    server.short = 0
    assert at.send() == Done()


def test_only_a_machine_whose_key_is_known_is_spoken_to(server: SftpServer, sending: Make, tmp_path: Path) -> None:
    other = str(server.known_hosts(tmp_path / "other", paramiko.ECDSAKey.generate()))
    nobody = tmp_path / "nobody"
    nobody.touch()
    said = {}
    for path in (other, str(nobody)):
        at = sending()
        at.step.close()
        at = sending(known_hosts=path, breaker_failures=0)
        outcome = at.send()
        assert isinstance(outcome, Failed)
        said[path] = outcome.reason
    assert "somebody may stand in between" in said[other]
    assert "not found in known_hosts" in said[str(nobody)]
    assert there(server) == {}
    assert sending(known_hosts="", verify_host_key=False).send() == Done()


def test_a_machine_that_does_not_speak_is_given_up_in_time(sending: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        outcome = sending(port=mute.getsockname()[1], timeout=0.2).send()
    assert isinstance(outcome, Retry)
    assert "did not answer as SSH does" in outcome.reason


def test_a_key_proves_who_it_is(server: SftpServer, sending: Make, tmp_path: Path) -> None:
    server.user_key = paramiko.ECDSAKey.generate()
    server.user_key.write_private_key_file(str(tmp_path / "key"), password="phrase")
    keys = {"passwd": "", "key_file": str(tmp_path / "key")}
    assert sending(**keys, key_passphrase="phrase").send() == Done()
    outcome = sending(**keys, key_passphrase="wrong phrase", breaker_failures=0).send()
    assert isinstance(outcome, (Failed, Retry))
    assert "wrong phrase" not in outcome.reason


def test_a_wrong_password_is_for_a_person_to_mend_and_is_not_told(sending: Make) -> None:
    outcome = sending(passwd="wrong-password", breaker_failures=0).send()
    assert isinstance(outcome, Failed)
    assert "the login is refused" in outcome.reason
    assert "wrong-password" not in outcome.reason


def test_a_connection_that_ended_while_idle_is_nobodys_fault(server: SftpServer, sending: Make) -> None:
    at = sending()
    assert at.send() == Done()
    server.cut()
    assert at.send(b"other") == Done()
    assert server.connections == 2


def test_an_idle_connection_is_left(sending: Make) -> None:
    at = sending(keep_alive=1000)
    assert at.step.idle() is None
    assert at.send() == Done()
    assert at.step.idle()
    at.step._last_used -= 1000
    assert at.step.idle() is None
    assert not at.step.is_connected


def test_a_machine_that_does_not_answer_is_left_in_peace(server: SftpServer, sending: Make) -> None:
    at = sending(breaker_failures=2)
    server.close()
    first, second, third = at.send(), at.send(), at.send()
    assert isinstance(first, Retry)
    assert isinstance(second, Retry)
    assert not second.counts
    assert isinstance(third, Hold)


@pytest.mark.parametrize("key", ["key_file", "known_hosts"])
def test_a_file_that_is_not_there_is_told_at_the_start(sending: Make, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"nowhere cannot be read|\[custom\] {key}"):
        sending(**{key: "nowhere"})
