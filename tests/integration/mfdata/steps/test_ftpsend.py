"""ftpsend against real servers: files arrive whole or not at all, whatever the server and the network do."""

# ruff: noqa: N802 - pyftpdlib looks for methods of these names

from __future__ import annotations

import errno
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from mfdata import Done, Failed, File, Retry
from mfdata.config import StepConfig
from mfdata.outcome import Outcome
from mfdata.steps.ftpsend import FtpSend, FtpSendKeys
from mfdata.steps.naming import temporary_name
from mfdata.storage.tags import first_tags
from mfext.environment import Home
from mfext.errors import ConfigError
from mfext.testing import wait_until
from tests.integration.mfdata import ftp_server
from tests.integration.mfdata.ftp_server import (
    PASSWORD,
    USER,
    Handler,
    Server,
    TlsHandler,
    certificate,
    context_of,
)
from tests.servers import free_ports

NAMES = [
    b"radar.png",
    b"with spaces.png",
    b"-l.png",
    "accents é ü 气象.png".encode(),
    b"invalid \xe9\xff.png",
    b" leading and trailing ",
    b"100%Y {ORIGINAL_UID} $x ; `y` \\ \"z\" 'q' *?[a]",
    b"\x1b[31mred\ttab",
    b"n" * 200,
]


class Sender:
    """A step as a worker has it."""

    def __init__(self, folder: Path, server: Server | int, **keys: Any) -> None:
        self.folder = folder
        port = server if isinstance(server, int) else server.port
        given = {"machine": "127.0.0.1", "port": port, "user": USER, "passwd": PASSWORD, "timeout": 60.0, **keys}
        self.step = FtpSend(Home("mfdata", folder / "home"), "p", "main", StepConfig(), FtpSendKeys(**given))
        self.step.open()

    def file(self, name: bytes = b"radar.png", content: bytes = b"content", uid: str = "") -> File:
        claimed = self.folder / "claimed"
        claimed.write_bytes(content)
        self.step.begin(os.fspath(claimed))
        return File(claimed, first_tags(uid or os.urandom(8).hex(), name, b"incoming"))

    def send(self, name: bytes = b"radar.png", content: bytes = b"content", uid: str = "") -> Outcome:
        return self.step.process(self.file(name, content, uid))

    def left(self) -> int:
        """How many names are noted as begun."""
        return sum(path.is_file() for path in (self.folder / "home/var/begun").rglob("*"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "machine") as server:
        yield server


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("certificate"))


@contextmanager
def sender_to(tmp_path: Path, handler: type[Handler], **keys: Any) -> Iterator[tuple[Sender, Server]]:
    with Server(tmp_path / "machine", handler) as server:
        sender = Sender(tmp_path, server, **keys)
        yield sender, server
        sender.step.close()


@pytest.fixture
def sender(tmp_path: Path, server: Server) -> Iterator[Sender]:
    sender = Sender(tmp_path, server)
    yield sender
    sender.step.close()


def test_files_arrive_under_their_names_whatever_these_hold(sender: Sender, server: Server) -> None:
    for number, name in enumerate(NAMES):
        assert sender.send(name, b"content %d" % number) == Done()
    assert server.files() == {name: b"content %d" % number for number, name in enumerate(NAMES)}


@pytest.mark.parametrize("content", [b"", b"\r\n\n\xff\0", os.urandom(3_000_000)], ids=["empty", "bytes", "large"])
def test_the_content_arrives_byte_by_byte(sender: Sender, server: Server, content: bytes) -> None:
    assert sender.send(content=content) == Done()
    assert server.files() == {b"radar.png": content}


@pytest.mark.parametrize("name", [b"a\r\nDELE b", b"a\nDELE b", b"a\rDELE b", b"\n"])
def test_a_name_cannot_carry_commands(sender: Sender, server: Server, name: bytes) -> None:
    (server.folder / "b").write_bytes(b"stays")
    outcome = sender.send(name)
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert server.told == []
    assert server.files() == {b"b": b"stays"}


def test_a_name_that_climbs_out_is_not_sent(sender: Sender, server: Server) -> None:
    assert isinstance(sender.send(b"../radar.png"), Failed)
    assert server.told == []


def test_a_file_is_complete_when_its_name_appears(sender: Sender, server: Server) -> None:
    sender.send(b"radar.png", uid="u1")
    part = temporary_name("radar.png", ".t", "u1")
    assert part.endswith(".t")
    wanted = [f"STOR {part}", f"SIZE {part}", f"RNFR {part}", "RNTO radar.png"]
    assert [line for line in server.told if line.split()[0] in ("STOR", "SIZE", "RNFR", "RNTO", "DELE")] == wanted


def test_without_a_temporary_name_the_file_is_written_at_once(tmp_path: Path, server: Server) -> None:
    sender = Sender(tmp_path, server, tmp_suffix="")
    assert sender.send() == Done()
    assert "STOR radar.png" in server.told
    assert "RNFR" not in server.verbs
    sender.step.close()


def test_a_long_name_leaves_room_for_the_temporary_one(sender: Sender, server: Server) -> None:
    assert sender.send(b"n" * 251 + b".png") == Done()
    assert list(server.files()) == [b"n" * 251 + b".png"]


def test_a_file_that_is_there_is_replaced(sender: Sender, server: Server) -> None:
    (server.folder / "radar.png").write_bytes(b"old")
    assert sender.send() == Done()
    assert server.files() == {b"radar.png": b"content"}


class RenamesOverNothing(Handler):
    def ftp_RNTO(self, path: str) -> Any:
        if os.path.lexists(path):
            return self.respond("550 File exists.")
        return super().ftp_RNTO(path)


def test_a_file_is_replaced_on_a_server_that_does_not_rename_over_it(tmp_path: Path) -> None:
    with sender_to(tmp_path, RenamesOverNothing, delete_existing=True) as (sender, server):
        (server.folder / "radar.png").write_bytes(b"old")
        assert sender.send() == Done()
        assert server.files() == {b"radar.png": b"content"}


def test_a_server_that_does_not_replace_is_not_made_to_unless_it_is_said(tmp_path: Path) -> None:
    with sender_to(tmp_path, RenamesOverNothing) as (sender, server):
        (server.folder / "radar.png").write_bytes(b"old")
        outcome = sender.send()
        assert isinstance(outcome, Failed)
        assert "RNTO radar.png: 550 File exists.; radar.png is there" in outcome.reason
        assert "delete_existing" in outcome.reason
        assert server.files() == {b"radar.png": b"old"}


@pytest.mark.parametrize("suffix", [".t", ""])
def test_two_files_of_one_name_are_both_kept_when_told_so(tmp_path: Path, server: Server, suffix: str) -> None:
    sender = Sender(tmp_path, server, if_exists="number", tmp_suffix=suffix)
    notes = [sender.send(content=content) for content in (b"1", b"2", b"3")]
    assert sorted(server.files().values()) == [b"1", b"2", b"3"]
    assert server.files()[b"radar.png"] == b"1"
    for name in server.files():
        assert any(isinstance(note, Done) and note.note.endswith(f" as {os.fsdecode(name)}") for note in notes)
    sender.step.close()


@pytest.mark.parametrize("suffix", [".t", ""])
def test_a_taken_name_is_quarantine_when_told_so(tmp_path: Path, server: Server, suffix: str) -> None:
    sender = Sender(tmp_path, server, if_exists="quarantine", tmp_suffix=suffix)
    assert sender.send(content=b"1") == Done()
    outcome = sender.send(content=b"2")
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert "radar.png is there already" in outcome.reason
    assert server.files() == {b"radar.png": b"1"}
    assert sender.left() == 0
    assert sender.send(b"other") == Done()
    sender.step.close()


def test_a_failure_removes_nothing_of_another_name(tmp_path: Path) -> None:
    with sender_to(tmp_path, LosesTheEnd, if_exists="number", tmp_suffix="") as (sender, server):
        (server.folder / "radar.png").write_bytes(b"1st")
        assert isinstance(sender.send(), Retry)
        assert server.files() == {b"radar.png": b"1st"}


def test_a_server_that_does_not_say_what_is_there_cannot_keep_two_of_one_name(tmp_path: Path) -> None:
    with sender_to(tmp_path, KnowsNoSize, if_exists="number") as (sender, server):
        outcome = sender.send()
        assert isinstance(outcome, Failed)
        assert "only if_exists = replace works" in outcome.reason
        assert server.files() == {}


class TakesAwayAtOnce(Handler):
    """A server that takes a file away before anybody can ask for it."""

    def ftp_SIZE(self, path: str) -> Any:
        Path(path).unlink(missing_ok=True)
        return super().ftp_SIZE(path)


def test_a_file_that_is_taken_away_before_its_size_is_asked_for_is_done(tmp_path: Path) -> None:
    with sender_to(tmp_path, TakesAwayAtOnce) as (sender, server):
        assert sender.send() == Done()
        assert server.files() == {}


class RefusesTheSecondRename(RenamesOverNothing):
    def ftp_RNTO(self, path: str) -> Any:
        if "DELE radar.png" in self.told:
            return self.respond("553 Not allowed.")
        return super().ftp_RNTO(path)


def test_a_reason_names_the_command_and_the_first_cause(tmp_path: Path) -> None:
    with sender_to(tmp_path, RefusesTheSecondRename, delete_existing=True) as (sender, server):
        (server.folder / "radar.png").write_bytes(b"old")
        outcome = sender.send()
        assert isinstance(outcome, Failed)
        assert "RNTO radar.png: 553 Not allowed.; first was RNTO radar.png: 550 File exists." in outcome.reason


class LeavesThePartInTheWay(Handler):
    def ftp_RNTO(self, path: str) -> None:
        self.respond("550 Not renamed.")

    def ftp_DELE(self, path: str) -> None:
        self.respond("550 Not allowed.")

    def ftp_STOR(self, file: str, mode: str = "w") -> Any:
        if os.path.lexists(file):
            return self.respond("553 It is there.")
        return super().ftp_STOR(file, mode)


def test_what_is_in_the_way_is_not_told_without_its_cause(tmp_path: Path) -> None:
    with sender_to(tmp_path, LeavesThePartInTheWay) as (sender, _):
        file = sender.file()
        assert isinstance(sender.step.process(file), Failed)
        outcome = sender.step.process(file)
        assert isinstance(outcome, Failed)
        first, then = outcome.reason.split("; then ")
        assert "RNTO radar.png: 550 Not renamed." in first
        assert "STOR radar.png" in then
        assert "553 It is there." in then


class RenamesNothing(Handler):
    def ftp_RNTO(self, path: str) -> None:
        self.respond("553 Not allowed.")


def test_what_cannot_be_renamed_is_not_left_behind(tmp_path: Path) -> None:
    with sender_to(tmp_path, RenamesNothing) as (sender, server):
        outcome = sender.send()
        assert isinstance(outcome, Failed)
        assert not outcome.permanent
        assert "553 Not allowed" in outcome.reason
        assert server.files() == {}


class LosesTheEnd(Handler):
    def ftp_SIZE(self, path: str) -> None:
        os.truncate(path, 3)
        super().ftp_SIZE(path)


def test_a_file_that_arrived_incomplete_is_sent_again(tmp_path: Path) -> None:
    with sender_to(tmp_path, LosesTheEnd) as (sender, server):
        (server.folder / "radar.png").write_bytes(b"old")
        outcome = sender.send()
        assert isinstance(outcome, Retry)
        assert "3 of 7 bytes" in outcome.reason
        assert server.files() == {b"radar.png": b"old"}


class KnowsNoSize(Handler):
    def ftp_SIZE(self, path: str) -> None:
        self.respond("502 Not implemented.")


def test_a_server_need_not_know_sizes(tmp_path: Path) -> None:
    with sender_to(tmp_path, KnowsNoSize) as (sender, server):
        assert sender.send() == Done()
        assert server.files() == {b"radar.png": b"content"}


def test_one_connection_serves_many_files(sender: Sender, server: Server) -> None:
    for number in range(5):
        assert sender.send(b"%d" % number) == Done()
    assert server.verbs.count("USER") == 1


def test_an_idle_connection_is_closed_in_time(tmp_path: Path, server: Server) -> None:
    sender = Sender(tmp_path, server, keep_alive=1000)
    assert sender.step.idle() is None
    sender.send()
    left = sender.step.idle()
    assert left is not None
    assert 0 < left <= 1000
    sender.step._last_used -= 1000
    assert sender.step.idle() is None
    wait_until(lambda: not server.connections, what="the end of the connection")
    assert server.verbs[-1] == "QUIT"
    assert sender.send() == Done()
    sender.step.close()


def test_a_connection_that_the_server_ended_is_made_anew(sender: Sender, server: Server) -> None:
    assert sender.send(b"1") == Done()
    server.kick_out()
    assert sender.send(b"2") == Done()
    assert server.verbs.count("USER") == 2


def test_a_connection_that_breaks_in_the_last_moment_is_made_anew(
    sender: Sender, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sender.send(b"1") == Done()
    server.kick_out()
    monkeypatch.setattr("mfdata.steps.ftp_session.FtpSession.is_fresh", lambda self: True)
    assert sender.send(b"2") == Done()


def test_a_machine_that_is_away_is_tried_again_later(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    sender = Sender(tmp_path, port)
    outcome = sender.send()
    assert isinstance(outcome, Retry)
    assert outcome.reason == f"127.0.0.1:{port}: Connection refused"
    with Server(tmp_path / "machine", port=port) as server:
        assert sender.send() == Done()
        assert server.files() == {b"radar.png": b"content"}
    assert isinstance(sender.send(), Retry)


def test_a_machine_without_a_name_is_tried_again_later(tmp_path: Path) -> None:
    outcome = Sender(tmp_path, 21, machine="no-such-machine.invalid").send()
    assert isinstance(outcome, Retry)


def test_a_machine_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        outcome = Sender(tmp_path, silent.getsockname()[1], timeout=0.3).send()
    assert isinstance(outcome, Retry)
    assert "timed out" in outcome.reason


@pytest.mark.parametrize("words", [b"nonsense\r\n", b"", b"220 " + b"x" * 10_000, b"421 Go away.\r\n"])
def test_what_does_not_speak_ftp_is_tried_again_later(tmp_path: Path, words: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as strange:

        def answer() -> None:
            connection, _ = strange.accept()
            with connection, suppress(ConnectionError):
                connection.sendall(words)

        thread = threading.Thread(target=answer)
        thread.start()
        outcome = Sender(tmp_path, strange.getsockname()[1]).send()
        thread.join()
    assert isinstance(outcome, Retry)


def refusing(text: str) -> type[Handler]:
    def refuse(self: Handler, path: str) -> None:
        self.respond(text)

    return type("Refusing", (Handler,), {"ftp_STOR": refuse})


@pytest.mark.parametrize(
    ("answer", "wanted", "permanent"),
    [
        ("450 Busy.", Retry, False),
        ("452 Disk full.", Retry, False),
        ("552 Quota exceeded.", Retry, False),
        ("421 Going down.", Retry, False),
        ("550 Permission denied.", Failed, False),
        ("553 Could not create file.", Failed, False),
        ("501 I do not like this name.", Failed, True),
    ],
)
def test_what_the_server_answers_decides(tmp_path: Path, answer: str, wanted: type[Outcome], permanent: bool) -> None:
    with sender_to(tmp_path, refusing(answer)) as (sender, server):
        outcome = sender.send(uid="u1")
        assert isinstance(outcome, wanted)
        part = temporary_name("radar.png", ".t", "u1")
        assert outcome.reason == f"127.0.0.1:{server.port}: STOR {part}: {answer}"  # type: ignore[union-attr]
        assert getattr(outcome, "permanent", False) is permanent


class UnknownSize(Handler):
    def ftp_SIZE(self, path: str) -> None:
        self.respond(self.answer)

    answer = "213 unknown"


@pytest.mark.parametrize("suffix", [".t", ""])
@pytest.mark.parametrize("answer", ["213 unknown", "213", "213 -1", "450 Busy.", "530 Not you.", "553 No.", "200 7"])
def test_a_file_that_was_taken_is_done_whatever_is_said_of_its_size(tmp_path: Path, answer: str, suffix: str) -> None:
    kind = type("Server", (UnknownSize,), {"answer": answer})
    with sender_to(tmp_path, kind, tmp_suffix=suffix) as (sender, server):
        assert [sender.send(), sender.send(b"2")] == [Done(), Done()]
        assert server.files() == {b"radar.png": b"content", b"2": b"content"}


class HandsOnAtOnce(Handler):
    """A server that takes a file away when somebody has asked for its size."""

    def ftp_RNFR(self, path: str) -> Any:
        Path(path).unlink()
        return super().ftp_RNFR(path)


def test_a_file_that_is_taken_away_over_there_is_done(tmp_path: Path) -> None:
    with sender_to(tmp_path, HandsOnAtOnce) as (sender, server):
        assert sender.send() == Done()
        assert server.files() == {}
        assert sender.left() == 0


def test_the_trace_says_where_the_file_is(tmp_path: Path, server: Server) -> None:
    (server.folder / "in").mkdir()
    sender = Sender(tmp_path, server, directory="in")
    outcome = sender.send()
    assert isinstance(outcome, Done)
    assert outcome.note == f"sent to 127.0.0.1:{server.port} as in/radar.png"
    sender.step.close()


class Quota(Handler):
    """A server with room for so many bytes, which fails as a full disk does."""

    room = 1 << 20

    def ftp_STOR(self, file: str, mode: str = "w") -> Any:
        used = sum(path.stat().st_size for path in Path(self.fs.root).iterdir())
        if used >= self.room:
            Path(file).touch()  # as some do
            return self.respond("452 No space left.")
        return super().ftp_STOR(file, mode)


class FullChannel(ftp_server.DataHandler):
    def handle_read(self) -> None:
        super().handle_read()
        if self.tot_bytes_received > Quota.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    handle_read_event = handle_read


def test_a_file_that_is_too_large_over_there_leaves_room_for_the_others(tmp_path: Path) -> None:
    full = type("Server", (Quota,), {"dtp_handler": FullChannel})
    with sender_to(tmp_path, full) as (sender, server):
        assert isinstance(sender.send(b"large", os.urandom(3_000_000)), Retry)
        wait_until(lambda: server.files() == {}, what="the half file is gone")
        assert sender.left() == 0
        assert sender.send(b"small") == Done()
        assert server.files() == {b"small": b"content"}


@pytest.mark.parametrize("suffix", [".t", ""])
def test_nothing_is_left_by_a_refusal(tmp_path: Path, suffix: str) -> None:
    with sender_to(tmp_path, Quota, tmp_suffix=suffix) as (sender, server):
        (server.folder / "radar.png").write_bytes(b"x" * Quota.room)
        (server.folder / "other").write_bytes(b"")
        assert isinstance(sender.send(b"radar.png"), Retry)
        assert (server.folder / "radar.png").stat().st_size == Quota.room  # it is an older one
        assert not any(name.endswith(b".t") for name in server.files())


class TellsTwice(Handler):
    """A server that says of a transfer that it broke off, and then that it is through with it (RFC 959, ABOR)."""

    def ftp_STOR(self, file: str, mode: str = "w") -> Any:
        if "large" in file:
            Path(file).write_bytes(b"half")
            self.respond("426 Broken off.")
            return self.respond("226 Through.")
        return super().ftp_STOR(file, mode)


def test_an_answer_under_way_is_not_taken_for_that_of_the_next_command(tmp_path: Path) -> None:
    with sender_to(tmp_path, TellsTwice) as (sender, server):
        assert isinstance(sender.send(b"large"), Retry)
        assert server.files() == {}
        assert sender.left() == 0
        assert sender.send(b"small") == Done()


class SaysItAgain(Handler):
    """A server that says twice that a transfer or a command is through."""

    def respond(self, resp: str, *more: Any, **others: Any) -> None:
        if resp.startswith(self.again):
            resp = f"{resp}\r\n{resp}"
        super().respond(resp, *more, **others)

    again = "226"


@pytest.mark.parametrize("again", ["226", "250"])
def test_an_answer_that_comes_twice_is_not_taken_for_another(tmp_path: Path, again: str) -> None:
    kind = type("Server", (SaysItAgain,), {"again": again})
    with sender_to(tmp_path, kind) as (sender, server):
        assert [sender.send(name) for name in (b"1", b"2", b"3")] == [Done()] * 3
        assert server.files() == dict.fromkeys((b"1", b"2", b"3"), b"content")


class AnswersLate(Handler):
    """A server that is silent after the first file."""

    def respond(self, resp: str, *more: Any, **others: Any) -> None:
        if not (resp.startswith("226") and self.told[-1].startswith("STOR late")):
            super().respond(resp, *more, **others)


def test_a_file_whose_answer_is_late_is_sent_once_a_try(tmp_path: Path) -> None:
    with sender_to(tmp_path, AnswersLate, timeout=2.0) as (sender, server):
        assert sender.send(b"1") == Done()
        assert isinstance(sender.send(b"late"), Retry)
        assert sum(line.startswith("STOR late") for line in server.told) == 1
        assert sender.send(b"2") == Done()
        assert server.files() == {b"1": b"content", b"2": b"content"}
        assert sender.left() == 0


class Resets(Handler):
    """A server that loses its connections in the middle of a transfer, once."""

    count = 1

    def ftp_STOR(self, file: str, mode: str = "w") -> Any:
        if type(self).count:
            type(self).count -= 1
            Path(file).write_bytes(b"half")
            self.close()
            return None
        return super().ftp_STOR(file, mode)


def test_what_a_broken_connection_left_is_removed_over_a_new_one(tmp_path: Path) -> None:
    kind = type("Server", (Resets,), {"count": 1})
    with sender_to(tmp_path, kind) as (sender, server):
        assert isinstance(sender.send(), Retry)
        assert server.files() == {}
        assert sender.left() == 0


def test_what_a_machine_that_went_away_has_left_is_removed_when_it_is_back(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    sender = Sender(tmp_path, port, breaker_failures=0)
    part = temporary_name("radar.png", ".t", "u1")
    with sender.step._begun.writing(part):
        pass  # as a worker does that is killed meanwhile
    assert isinstance(sender.send(uid="u1"), Retry)
    assert sender.left() == 1
    with Server(tmp_path / "machine", port=port) as server:
        (server.folder / part).write_bytes(b"half")
        sender.step._look_after_at = 0.0001
        assert sender.step.idle()
        assert server.files() == {}
        assert sender.left() == 0
        sender.step.close()


def test_what_another_process_writes_is_left_alone(tmp_path: Path, server: Server) -> None:
    sender, other = Sender(tmp_path, server), Sender(tmp_path, server)
    (server.folder / "part.t").write_bytes(b"half")
    with other.step._begun.writing("part.t"):
        assert sender.send() == Done()
        assert server.files()[b"part.t"] == b"half"
    sender.step.leave()
    assert sender.send(b"2") == Done()
    other.step.close()
    assert b"part.t" not in server.files()
    sender.step.close()


class DiskFull(Handler):
    def ftp_STOR(self, file: str, mode: str = "w") -> Any:
        return super().ftp_STOR("/dev/full", mode)


def test_a_disk_that_fills_up_over_there_is_named(tmp_path: Path) -> None:
    with sender_to(tmp_path, DiskFull) as (sender, _):
        outcome = sender.send(content=os.urandom(5_000_000))
        assert isinstance(outcome, Retry)
        assert ": 426 " in outcome.reason  # and not the broken pipe


class Talkative(Handler):
    """Tells everybody the password that it was given."""

    def ftp_PASS(self, line: str) -> None:
        self.respond(f"530 Wrong password {line}.")


@pytest.mark.parametrize("secret", ["s3cret", "géheim", "%s {0}"])
def test_the_password_is_never_told(tmp_path: Path, secret: str) -> None:
    with sender_to(tmp_path, Talkative, passwd=secret) as (sender, _):
        outcome = sender.send()
        assert isinstance(outcome, Failed)
        assert not outcome.permanent
        assert outcome.reason.endswith("530 Wrong password ********.")
        assert secret not in repr(outcome) + repr(sender.step.custom) + repr(vars(sender.step))


def test_a_wrong_password_has_failed_but_may_be_mended(tmp_path: Path, server: Server) -> None:
    outcome = Sender(tmp_path, server, passwd="wrong").send()
    assert isinstance(outcome, Failed)
    assert not outcome.permanent
    assert "530" in outcome.reason


def test_folders_are_made_when_asked_for(tmp_path: Path, server: Server) -> None:
    keys = {"directory": "in/radar", "dest_basename": "x/-y/{ORIGINAL_BASENAME}"}
    outcome = Sender(tmp_path, server, **keys).send()
    assert isinstance(outcome, Failed)
    sender = Sender(tmp_path, server, **keys, create_directory=True)
    assert sender.send() == Done()
    assert sender.send() == Done()
    sender.step.close()
    assert (server.folder / "in/radar/x/-y/radar.png").read_bytes() == b"content"


def test_a_folder_that_is_there_is_used(tmp_path: Path, server: Server) -> None:
    (server.folder / "in").mkdir()
    sender = Sender(tmp_path, server, directory="/in")
    assert sender.send() == Done()
    sender.step.close()
    assert (server.folder / "in/radar.png").exists()


def test_the_other_machine_may_open_the_data_connections(tmp_path: Path, server: Server) -> None:
    sender = Sender(tmp_path, server, passive=False)
    assert sender.send() == Done()
    sender.step.close()
    assert "PORT" in server.verbs


@pytest.mark.parametrize("tls", ["explicit", "implicit"])
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_files_arrive_over_tls(tmp_path: Path, pair: tuple[Path, Path], tls: str, newest: ssl.TLSVersion) -> None:
    context = context_of(pair)
    context.maximum_version = newest
    with Server(tmp_path / "machine", TlsHandler, context=context, implicit=tls == "implicit") as server:
        sender = Sender(tmp_path, server, tls=tls, ca_file=str(pair[0]))
        contents = {b"%d" % size: os.urandom(size) for size in (0, 1, 16_384, 3_000_000)}
        for name, content in contents.items():
            assert sender.send(name, content) == Done()
        assert server.files() == contents
        assert server.verbs.count("USER") == 1
        assert server.verbs.index("PROT") < server.verbs.index("PASV")
        assert server.resumed == [True] * len(contents)
        sender.step.close()


def test_an_idle_connection_over_tls_is_made_anew_too(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    with Server(tmp_path / "machine", TlsHandler, context=context_of(pair)) as server:
        sender = Sender(tmp_path, server, tls="explicit", ca_file=str(pair[0]))
        assert sender.send(b"1") == Done()
        server.kick_out()
        assert sender.send(b"2") == Done()
        sender.step.close()


@pytest.mark.parametrize("tls", ["explicit", "implicit"])
def test_a_machine_that_cannot_prove_who_it_is_gets_nothing(tmp_path: Path, pair: tuple[Path, Path], tls: str) -> None:
    other = certificate(tmp_path / "other", name="elsewhere.example.org", address="127.0.0.9")
    with Server(tmp_path / "machine", TlsHandler, context=context_of(other), implicit=tls == "implicit") as server:
        for keys in ({"ca_file": str(pair[0])}, {"ca_file": str(other[0])}, {}):
            outcome = Sender(tmp_path, server, tls=tls, **keys).send()
            assert isinstance(outcome, Failed), outcome
            assert not outcome.permanent
            assert "certificate is not accepted" in outcome.reason
        assert "PASS" not in server.verbs
        sender = Sender(tmp_path, server, tls=tls, verify_certificate=False)
        assert sender.send() == Done()
        sender.step.close()


def test_no_password_goes_to_a_machine_without_tls(tmp_path: Path, server: Server, pair: tuple[Path, Path]) -> None:
    outcome = Sender(tmp_path, server, tls="explicit", ca_file=str(pair[0])).send()
    assert isinstance(outcome, Failed)
    assert "AUTH" in server.verbs
    assert "PASS" not in server.verbs


@pytest.mark.parametrize("content", ["", "no certificate"])
def test_a_bad_file_of_certificates_is_refused_at_once(tmp_path: Path, content: str) -> None:
    bad = tmp_path / "bad.pem"
    if content:
        bad.write_text(content)
    with pytest.raises(ConfigError, match="ca_file"):
        Sender(tmp_path, 21, tls="explicit", ca_file=str(bad))
