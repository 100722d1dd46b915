"""The FTP receiver as a process: what was acknowledged is there, whole; what was not never appears."""

from __future__ import annotations

import ftplib
import io
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from mfdata.receivers.upload import PREFIX
from mfext.net.users import hashed
from mfext.testing import temporary_home, wait_until
from tests.integration.mfdata.ftp_server import certificate
from tests.integration.mfdata.receivers.receiver_process import PASSWORD, USER, ReceiverProcess


class Receiver(ReceiverProcess):
    kind = "ftp"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver.running(tmp_path_factory.mktemp("shared")) as receiver:
        yield receiver


@pytest.fixture
def receiver(shared: Receiver) -> Receiver:
    shared.put_away()
    return shared


@contextmanager
def client(receiver: Receiver, user: str = USER, password: str = PASSWORD) -> Iterator[ftplib.FTP]:
    with ftplib.FTP(timeout=60, encoding="latin-1") as ftp:
        ftp.connect("127.0.0.1", receiver.port)
        ftp.login(wire(user), wire(password))
        yield ftp


def wire(text: str | bytes) -> str:
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    return raw.decode("latin-1")


def store(ftp: ftplib.FTP, name: str | bytes, content: bytes = b"content") -> str:
    try:
        return ftp.storbinary(f"STOR {wire(name)}", io.BytesIO(content))
    except ConnectionError:  # the server has hung up while there was more to send: it says why
        return ftp.voidresp()


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(ftplib.Error) as caught:
        act()
    return str(caught.value)[:3]


def begin(ftp: ftplib.FTP, name: str, content: bytes = b"half of it") -> socket.socket:
    """Begin to upload, and do not end."""
    ftp.voidcmd("TYPE I")
    data = ftp.transfercmd(f"STOR {name}")
    data.sendall(content)
    return data


def hidden(receiver: Receiver) -> list[bytes]:
    return [name for name in receiver.files() if name.startswith(PREFIX.encode())]


def test_what_is_acknowledged_is_there_whole(receiver: Receiver) -> None:
    contents = {b"empty": b"", b"bytes": b"\r\n\xff\0", b"large": os.urandom(40_000_000)}
    with client(receiver) as ftp:
        for name, content in contents.items():
            assert store(ftp, name, content).startswith("226")
            assert (receiver.incoming / os.fsdecode(name)).read_bytes() == content
    assert receiver.files() == contents


@pytest.mark.parametrize(
    "name",
    [
        b"with spaces",
        b" leading and trailing ",
        b"-l",
        "é 气象 ü".encode(),
        b"invalid \xe9\xff",
        b"\x1b[31mred\ttab",
        b"100% {x} $y ; `z` \\ \"a\" 'b' *?[c]",
        b"n" * 255,
    ],
)
def test_names_are_bytes(receiver: Receiver, name: bytes) -> None:
    with client(receiver) as ftp:
        store(ftp, name)
        assert ftp.nlst() == [wire(name)]
    assert list(receiver.files()) == [name]


def test_a_name_may_hold_a_line_feed(receiver: Receiver) -> None:
    with client(receiver) as ftp:
        host, port = ftp.makepasv()
        with socket.create_connection((host, port)) as data:
            assert ftp.sock is not None
            ftp.sock.sendall(b"STOR two\nlines\r\n")
            assert ftp.getresp().startswith("1")
            data.sendall(b"content")
        assert ftp.voidresp().startswith("226")
    assert receiver.files() == {b"two\nlines": b"content"}


def test_an_upload_appears_at_its_end_only(receiver: Receiver) -> None:
    with client(receiver) as ftp:
        data = begin(ftp, "slow")
        wait_until(lambda: b"half of it" in receiver.files().values(), what="the first bytes")
        assert hidden(receiver) == list(receiver.files())
        data.close()
        assert ftp.voidresp().startswith("226")
        assert receiver.files() == {b"slow": b"half of it"}


def test_an_upload_that_is_aborted_never_appears(receiver: Receiver) -> None:
    with client(receiver) as ftp:
        data = begin(ftp, "aborted")
        wait_until(lambda: b"half of it" in receiver.files().values(), what="the first bytes")
        ftp.putcmd("ABOR")
        data.close()
        assert code_of(ftp.getresp) == "426"
        assert ftp.getresp()[:3] in ("225", "226")
        assert receiver.files() == {}
        assert store(ftp, "next").startswith("226")


def test_an_upload_whose_connection_is_reset_never_appears(receiver: Receiver) -> None:
    with client(receiver) as ftp:
        data = begin(ftp, "reset")
        wait_until(lambda: b"half of it" in receiver.files().values(), what="the first bytes")
        data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        data.close()
        assert code_of(ftp.voidresp) == "426"
        assert receiver.files() == {}
        assert store(ftp, "next").startswith("226")


def test_a_file_without_a_data_connection_is_refused_at_once(receiver: Receiver) -> None:
    with client(receiver) as ftp:
        assert code_of(lambda: ftp.sendcmd("STOR none")) == "425"
        data = socket.create_connection(ftp.makepasv())
        data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        data.close()
        ftp.putcmd("STOR gone")
        assert code_of(lambda: [ftp.getresp(), ftp.getresp()]) in ("425", "426")
        assert store(ftp, "next").startswith("226")
    assert list(receiver.files()) == [b"next"]


def test_an_upload_whose_client_dies_never_appears(receiver: Receiver) -> None:
    script = f"""
import ftplib, sys
ftp = ftplib.FTP()
ftp.connect("127.0.0.1", {receiver.port})
ftp.login({USER!r}, {wire(PASSWORD)!r})
ftp.voidcmd("TYPE I")
data = ftp.transfercmd("STOR dead")
while True:
    data.sendall(b"x" * 10_000)
"""
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-X", "utf8", "-c", script.replace("ftplib.FTP()", "ftplib.FTP(encoding='latin-1')")]
        )
        wait_until(lambda: any(len(content) > 100_000 for content in receiver.files().values()), what="the upload")
        process.kill()
        process.wait()
        wait_until(lambda: not receiver.files(), what="the end of the upload")


def test_a_client_may_leave_without_waiting_for_the_answer(receiver: Receiver) -> None:
    with client(receiver) as ftp:
        data = begin(ftp, "hurried")
        ftp.putcmd("QUIT")
        data.close()
        wait_until(lambda: receiver.files() == {b"hurried": b"half of it"}, what="the file")


def test_two_uploads_of_one_name_at_once_both_survive(receiver: Receiver) -> None:
    with client(receiver) as one, client(receiver) as other:
        first, second = begin(one, "same.grib", b"first"), begin(other, "same.grib", b"second")
        first.close()
        assert one.voidresp().startswith("226")
        second.close()
        assert other.voidresp().startswith("226")
    assert sorted(receiver.files().values()) == [b"first", b"second"]
    assert receiver.files()[b"same.grib"] == b"first"
    assert all(name.startswith(b"same") and name.endswith(b".grib") for name in receiver.files())


def test_a_name_that_becomes_free_in_time_is_kept(receiver: Receiver) -> None:
    with client(receiver) as ftp:
        store(ftp, "same", b"first")
        data = begin(ftp, "same", b"second")
        data.close()
        time.sleep(0.1)
        (receiver.incoming / "same").rename(receiver.home.tmp / "taken")
        assert ftp.voidresp().startswith("226")
    assert receiver.files() == {b"same": b"second"}


def test_a_client_may_rename_what_it_has_uploaded(receiver: Receiver) -> None:
    with client(receiver) as ftp:
        store(ftp, "radar.png.tmp")
        assert ftp.size("radar.png.tmp") == 7
        ftp.rename("radar.png.tmp", "radar.png")
        assert ftp.size("radar.png") == 7
    assert receiver.files() == {b"radar.png": b"content"}


def test_a_file_that_was_taken_still_has_a_size(receiver: Receiver) -> None:
    with client(receiver) as ftp:
        for name in ("uploaded", "renamed.t"):
            store(ftp, name)
        ftp.rename("renamed.t", "renamed")
        for name in ("uploaded", "renamed"):
            (receiver.incoming / name).rename(receiver.home.tmp / name)
            assert ftp.size(name) == 7
        assert code_of(lambda: ftp.size("never")) == "550"


def test_a_rename_never_replaces_a_file_that_waits(receiver: Receiver) -> None:
    with client(receiver) as ftp:
        store(ftp, "radar.png", b"first")
        store(ftp, "radar.png.t", b"second")
        ftp.rename("radar.png.t", "radar.png")
    assert receiver.files()[b"radar.png"] == b"first"
    assert sorted(receiver.files().values()) == [b"first", b"second"]


def test_clients_that_use_one_temporary_name_get_their_own_files(receiver: Receiver) -> None:
    with client(receiver) as one, client(receiver) as other:
        store(one, "x.tmp", b"one")
        store(other, "x.tmp", b"the other")
        assert (one.size("x.tmp"), other.size("x.tmp")) == (3, 9)
        other.rename("x.tmp", "b")
        one.rename("x.tmp", "a")
    assert receiver.files() == {b"a": b"one", b"b": b"the other"}


def test_a_temporary_file_that_was_given_up_is_replaced(receiver: Receiver) -> None:
    with client(receiver) as ftp:
        store(ftp, "x.tmp", b"old and longer")
    with client(receiver) as ftp:
        store(ftp, "x.tmp", b"new")
        store(ftp, "x.tmp", b"newest")
        ftp.rename("x.tmp", "x")
    assert receiver.files() == {b"x": b"newest"}


def test_a_client_may_remove_its_own_temporary_file_only(receiver: Receiver) -> None:
    with client(receiver) as one, client(receiver) as other:
        store(one, "x.tmp")
        store(one, "waiting")
        assert code_of(lambda: other.delete("x.tmp")) == "550"
        assert code_of(lambda: one.delete("waiting")) == "550"
        one.delete("x.tmp")
    assert list(receiver.files()) == [b"waiting"]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("RETR waiting", "550"),
        ("DELE waiting", "550"),
        ("DELE none", "550"),
        ("APPE waiting", "502"),
        ("STOU", "502"),
        ("MKD folder", "502"),
        ("RMD folder", "502"),
        ("MFMT 20200101000000 waiting", "550"),
        ("MFMT yesterday waiting", "501"),
        ("MKD /", "550"),
        ("CWD none", "550"),
        ("TYPE A N", "200"),
        ("TYPE a n", "200"),
        ("TYPE I", "200"),
        ("TYPE A T", "504"),
        ("PROT P", "502"),
        ("SITE CHMOD 777 waiting", "502"),
        ("STOR folder/x", "553"),
        ("STOR ../x", "226"),
        ("STOR /", "553"),
        ("STOR folder", "553"),
        (f"STOR {PREFIX}1", "553"),
        (f"STOR {'n' * 256}", "553"),
        (f"RNFR {PREFIX}1", "550"),
        ("RNFR none", "550"),
        ("RNFR folder", "550"),
        ("RNTO x", "503"),
        ("ALLO 99999999999999", "552"),
        ("ALLO 10", "202"),
        ("ALLO  ", "202"),
        ("AUTH TLS", "502"),
        ("STOR a\0b", "501"),
        ("nonsense", "500"),
        ("RNTO", "501"),
    ],
)
def test_what_is_not_offered_is_refused_clearly(receiver: Receiver, command: str, code: str) -> None:
    (receiver.incoming / "folder").mkdir()
    (receiver.incoming / "waiting").write_bytes(b"waits")
    with client(receiver) as ftp:
        ftp.voidcmd("TYPE I")
        if code == "226":
            assert ftp.storbinary(command, io.BytesIO(b"content")).startswith(code)  # "/.." is "/"
        elif command.startswith(("RETR", "STOR")):
            assert code_of(lambda: ftp.transfercmd(command)) == code
        elif code.startswith("2"):
            assert ftp.sendcmd(command).startswith(code)
        else:
            assert code_of(lambda: ftp.sendcmd(command)) == code
        assert ftp.voidcmd("NOOP").startswith("200")
    (receiver.incoming / "folder").rmdir()
    assert (receiver.incoming / "waiting").read_bytes() == b"waits"


def test_only_what_works_is_named(tmp_path: Path, receiver: Receiver) -> None:
    refused = {"APPE", "STOU", "MKD", "XMKD", "RMD", "XRMD", "CHMOD", "REST", "RETR", "AUTH", "PBSZ", "PROT"}
    with client(receiver) as ftp:
        named = " ".join(ftp.sendcmd(command) for command in ("FEAT", "HELP", "SITE HELP")).replace("*", " ").split()
        assert not refused & set(named)
        assert {"MFMT", "MLST", "SIZE", "MDTM", "STOR", "EPSV"} <= set(named)
    pair = certificate(tmp_path / "certificate")
    keys = {"tls": "allowed", "certificate": pair[0], "key": pair[1], "allow_download": 1}
    with Receiver.running(tmp_path, **keys) as other, client(other) as ftp:
        assert {" AUTH TLS", " REST STREAM"} <= set(ftp.sendcmd("FEAT").splitlines())
        assert {"RETR", "REST", "AUTH"} <= set(ftp.sendcmd("HELP").split())


def test_what_was_sent_is_known_over_every_connection_of_the_client_and_to_nobody_else(two_users: Receiver) -> None:
    two_users.put_away()
    with client(two_users, "other", "x") as other:
        with client(two_users) as one, client(two_users) as two:
            store(one, "name")
            (two_users.incoming / "name").unlink()
            assert two.sendcmd("MFMT 20260102030405 name").startswith("213")
            assert one.sendcmd("MDTM name") == "213 20260102030405"
            assert code_of(lambda: other.sendcmd("MDTM name")) == "550"
            assert code_of(lambda: other.sendcmd("MFMT 20260102030405 name")) == "550"
        wait_until(lambda: _is_forgotten(two_users, "name"), what="the end of the client")


def _is_forgotten(receiver: Receiver, name: str) -> bool:
    with client(receiver) as ftp:
        try:
            return not ftp.sendcmd(f"MLST {name}")
        except ftplib.error_perm:
            return True


@pytest.mark.parametrize("command", ["LIST -al", "LIST -lt", "NLST -a", "LIST -a -l /", "LIST -l waiting"])
def test_options_of_ls_are_passed_over(receiver: Receiver, command: str) -> None:
    (receiver.incoming / "waiting").write_bytes(b"waits")
    with client(receiver) as ftp:
        lines: list[str] = []
        ftp.retrlines(command, lines.append)
        assert [line.split()[-1] for line in lines] == ["waiting"]
        store(ftp, "-l")
        lines = []
        ftp.retrlines("NLST -l", lines.append)
        assert lines == ["-l"]


def test_an_upload_is_not_resumed(receiver: Receiver) -> None:
    with client(receiver) as ftp:
        assert code_of(lambda: ftp.storbinary("STOR x", io.BytesIO(b"rest"), rest=10)) == "554"
        assert store(ftp, "x").startswith("226")


def test_text_is_received_as_text(receiver: Receiver) -> None:
    with client(receiver) as ftp:
        ftp.voidcmd("TYPE A")
        with ftp.transfercmd("STOR text") as data:
            data.sendall(b"one\r\ntwo\rthree\r")
        ftp.voidresp()
    assert receiver.files() == {b"text": b"one\ntwo\rthree\r"}


def test_a_file_may_come_over_a_connection_of_the_receiver(receiver: Receiver) -> None:
    with client(receiver) as ftp:
        ftp.set_pasv(False)
        store(ftp, "active")
    assert receiver.files() == {b"active": b"content"}


def test_a_wrong_password_is_refused_and_noted(receiver: Receiver) -> None:
    for user, password in ((USER, "wrong"), ("nobody", PASSWORD)):
        assert code_of(lambda u=user, p=password: client(receiver, u, p).__enter__()) == "530"  # type: ignore[misc]
    assert '"text": "a login failed"' in receiver.log
    assert "wrong" not in receiver.log


def test_many_clients_at_once(receiver: Receiver) -> None:
    def upload(number: int) -> None:
        with client(receiver) as ftp:
            for count in range(20):
                store(ftp, f"{number}-{count}.t", b"%d" % number * 1000)
                ftp.rename(f"{number}-{count}.t", f"{number}-{count}")

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = {b"%d-%d" % (number, count): b"%d" % number * 1000 for number in range(8) for count in range(20)}
    assert receiver.files() == wanted


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with Receiver.running(tmp_path, max_size=1000) as receiver, client(receiver) as ftp:
        assert store(ftp, "exact", b"x" * 1000).startswith("226")
        assert code_of(lambda: store(ftp, "large", b"x" * 1001)) == "552"
        data = begin(ftp, "huge", b"x" * 5000)
        assert code_of(ftp.voidresp) == "552"
        data.close()
        assert list(receiver.files()) == [b"exact"]


def test_a_full_disk_is_said_and_harms_no_other_file(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = f'mount -t tmpfs -o size=1m tmpfs {small} && exec "$@"'
    before = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh")
    if subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("this kernel lets nobody mount a file system of his own")
    with Receiver.running(tmp_path, before=before, directory=small) as receiver, client(receiver) as ftp:
        assert store(ftp, "first", b"x" * 600_000).startswith("226")
        assert code_of(lambda: store(ftp, "second", b"x" * 600_000)) == "452"
        assert store(ftp, "third", b"x" * 300_000).startswith("226")
        assert sorted(ftp.nlst()) == ["first", "third"]


def test_clients_are_limited(tmp_path: Path) -> None:
    with Receiver.running(tmp_path, max_connections=2) as receiver, client(receiver) as one, client(receiver) as other:
        with pytest.raises((ftplib.Error, EOFError)):
            client(receiver).__enter__()
        assert store(one, "1").startswith("226")
        assert store(other, "2").startswith("226")


def test_who_does_not_log_in_makes_room_for_others(tmp_path: Path) -> None:
    keys = {"max_connections": 6, "max_connections_per_address": 6}
    with Receiver.running(tmp_path, **keys) as receiver, client(receiver) as one:
        silent = [socket.create_connection(("127.0.0.1", receiver.port), timeout=60) for _ in range(12)]
        with client(receiver) as other:
            assert store(other, "2").startswith("226")
        assert store(one, "1").startswith("226")
        assert b"421 Others are waiting" in silent[0].recv(1000)
        for connection in silent:
            connection.close()


def test_connections_from_one_address_are_limited(tmp_path: Path) -> None:
    with Receiver.running(tmp_path, max_connections_per_address=1) as receiver, client(receiver) as one:
        assert code_of(lambda: client(receiver).__enter__()) == "421"
        assert store(one, "1").startswith("226")


@pytest.mark.parametrize("tls", ["none", "implicit"])
def test_who_does_not_log_in_in_time_is_left(tmp_path: Path, tls: str) -> None:
    pair = certificate(tmp_path / "certificate")
    with Receiver.running(tmp_path, login_timeout=1, tls=tls, certificate=pair[0], key=pair[1]) as receiver:
        with socket.create_connection(("127.0.0.1", receiver.port), timeout=60) as silent:
            said = b""
            while more := silent.recv(1000):
                said += more
        assert b"421 " in said or tls == "implicit"


def test_what_was_said_behind_the_password_is_heeded(receiver: Receiver) -> None:
    for _ in range(2):  # the second time the password is known
        with socket.create_connection(("127.0.0.1", receiver.port), timeout=60) as connection:
            connection.sendall(f"USER {USER}\r\nPASS {PASSWORD}\r\nPWD\r\nUSER x\r\nPASS x\r\nQUIT\r\n".encode())
            said = b""
            while more := connection.recv(1000):
                said += more
        assert [line[:3] for line in said.splitlines()] == [b"220", b"331", b"230", b"257", b"331", b"530", b"221"]


def test_a_look_at_a_password_holds_up_nobody_who_is_logged_in(tmp_path: Path) -> None:
    home = temporary_home(tmp_path)
    slow = hashed("x").replace("$8$1$", "$8$200$")  # many seconds of work
    (home.config / "users").touch(mode=0o600)
    (home.config / "users").write_text(f"slow:{slow}\n")
    with (
        Receiver.running(tmp_path, users_file="config/users") as receiver,
        client(receiver) as ftp,
        socket.create_connection(("127.0.0.1", receiver.port), timeout=60) as guess,
    ):
        guess.sendall(b"USER slow\r\n")
        while not guess.recv(1000).endswith(b"password.\r\n"):
            pass
        guess.sendall(b"PASS wrong\r\n")
        for count in range(20):
            assert store(ftp, str(count)).startswith("226")
        guess.setblocking(False)
        with pytest.raises(BlockingIOError):
            guess.recv(1000)


def test_a_hash_that_cannot_be_computed_harms_nobody(tmp_path: Path) -> None:
    home = temporary_home(tmp_path)
    (home.config / "users").touch(mode=0o600)
    (home.config / "users").write_text(f"odd:{hashed('x').replace('$16384$', '$1000$')}\n")  # no power of two
    with Receiver.running(tmp_path, users_file="config/users") as receiver:
        assert code_of(lambda: client(receiver, "odd", "x").__enter__()) == "530"
        with client(receiver) as ftp:
            assert store(ftp, "next").startswith("226")
        assert "a password cannot be looked at" in receiver.log


def test_a_client_that_sends_too_little_is_left(tmp_path: Path) -> None:
    with Receiver.running(tmp_path, timeout=3, min_rate=1000) as receiver, client(receiver) as ftp:
        data = begin(ftp, "slow")
        assert ftp.sock is not None
        while not select.select([ftp.sock], [], [], 0.1)[0]:
            data.sendall(b"little")
        data.close()
        with pytest.raises(ftplib.error_temp, match="426 Less than 1000 bytes came in a second"):
            ftp.voidresp()
        assert receiver.files() == {}


@pytest.fixture(scope="module")
def two_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    folder = tmp_path_factory.mktemp("two_users")
    home = temporary_home(folder)
    (home.config / "users").touch(mode=0o600)
    (home.config / "users").write_text(f"other:{hashed('x')}\n")
    with Receiver.running(folder, users_file="config/users", allow_delete=1) as receiver:
        yield receiver


@pytest.mark.parametrize("name", ["finished", "temporary.tmp"])
def test_an_upload_is_its_users_while_he_is_there(two_users: Receiver, name: str) -> None:
    two_users.put_away()
    with client(two_users, "other", "x") as other:
        with client(two_users) as owner, client(two_users) as again:
            store(owner, name, b"the owner's")
            for command in (f"RNFR {name}", f"DELE {name}", f"APPE {name}", f"SITE CHMOD 777 {name}"):
                assert code_of(lambda c=command: other.voidcmd(c))[0] == "5"  # type: ignore[misc]
            store(other, name, b"another")
            store(other, "mine", b"over")
            other.sendcmd("RNFR mine")
            other.voidcmd(f"RNTO {name}")
            assert two_users.files()[name.encode()] == b"the owner's"
            again.rename(name, f"{name}.of the same user.tmp")
            again.rename(f"{name}.of the same user.tmp", name)
            assert two_users.files()[name.encode()] == b"the owner's"
        wait_until(lambda: _can_rename(other, name), what="the end of the owner's session")


def _can_rename(ftp: ftplib.FTP, name: str) -> bool:
    try:
        return ftp.sendcmd(f"RNFR {name}").startswith("350")
    except ftplib.error_perm:
        return False


def test_a_file_that_came_under_the_name_since_rnfr_is_not_taken_away(two_users: Receiver) -> None:
    two_users.put_away()
    with client(two_users) as owner, client(two_users, "other", "x") as other:
        store(other, "x")
        other.sendcmd("RNFR x")
        (two_users.incoming / "x").unlink()
        store(owner, "x", b"the owner's")
        assert code_of(lambda: other.voidcmd("RNTO y")) == "550"
        assert two_users.files() == {b"x": b"the owner's"}
        owner.sendcmd("RNFR x")
        (two_users.incoming / "x").unlink()
        assert code_of(lambda: owner.voidcmd("RNTO y")) == "550"


def test_downloads_and_deletion_can_be_allowed(tmp_path: Path) -> None:
    with Receiver.running(tmp_path, allow_download=1, allow_delete=1) as receiver, client(receiver) as ftp:
        store(ftp, "x", b"content")
        found: list[bytes] = []
        ftp.retrbinary("RETR x", found.append)
        assert found == [b"content"]
        ftp.delete("x")
        assert receiver.files() == {}


def test_users_come_from_a_file_that_may_change(tmp_path: Path) -> None:
    home = temporary_home(tmp_path)
    file = home.config / "users"
    file.touch(mode=0o600)
    file.write_text(f"# who may\n\nfirst:{hashed('one')}\nsecond:{hashed('two')}:elsewhere\n")
    with Receiver.running(tmp_path, user="", password="", users_file="config/users") as receiver:
        for user, password in (("first", "one"), ("second", "two")):
            with client(receiver, user, password) as ftp:
                store(ftp, user)
        assert list(receiver.files()) == [b"first"]
        assert (receiver.incoming.parent / "elsewhere" / "second").exists()
        file.write_text(f"third:{hashed('three')}\n")
        with client(receiver, "third", "three") as ftp:
            store(ftp, "third")
        assert code_of(lambda: client(receiver, "first", "one").__enter__()) == "530"
        file.write_text("broken\n")
        with client(receiver, "third", "three") as ftp:
            assert store(ftp, "again").startswith("226")
        assert "the changed file of users is not used" in receiver.log


def test_uploads_of_a_receiver_that_was_killed_are_discarded(tmp_path: Path) -> None:
    with Receiver.running(tmp_path) as receiver:
        with client(receiver) as ftp:
            data = begin(ftp, "half")
            wait_until(lambda: hidden(receiver), what="the upload")
            receiver.process.kill()
            receiver.process.wait()
            data.close()
            ftp.close()
        assert len(hidden(receiver)) == 1
        again = Receiver(tmp_path)
        assert again.port
        assert receiver.files() == {}
        again.process.kill()
        again.process.wait()
        receiver.process = Receiver(tmp_path).process  # what the fixture ends


def test_what_was_acknowledged_survives_kills(tmp_path: Path) -> None:
    acknowledged: set[bytes] = set()
    for round_number in range(5):
        receiver = Receiver(tmp_path)
        killer = threading.Thread(target=kill_when, args=(receiver, acknowledged, len(acknowledged) + 20))
        with client(receiver) as ftp:
            killer.start()
            try:
                for count in range(100_000):
                    name = b"%d-%d" % (round_number, count)
                    store(ftp, name, name * 100)
                    acknowledged.add(name)
            except (*ftplib.all_errors,):
                pass
        killer.join()
        receiver.process.wait()
        found = receiver.files()
        complete = {name: content for name, content in found.items() if not name.startswith(PREFIX.encode())}
        assert acknowledged <= set(complete)
        assert all(content == name * 100 for name, content in complete.items())


def kill_when(receiver: Receiver, acknowledged: set[bytes], count: int) -> None:
    wait_until(lambda: len(acknowledged) >= count, what="acknowledged files")
    receiver.process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_an_upload_that_has_begun_is_waited_for(tmp_path: Path, number: signal.Signals) -> None:
    with Receiver.running(tmp_path) as receiver, client(receiver) as busy, client(receiver) as idle:
        data = begin(busy, "x")
        wait_until(lambda: hidden(receiver), what="the upload")
        receiver.process.send_signal(number)
        wait_until(lambda: _is_refused(receiver), what="the end of listening")
        assert code_of(lambda: idle.voidcmd("NOOP")) == "421"
        assert "drained" not in receiver.facts
        data.sendall(b", and the other")
        data.close()
        assert busy.voidresp().startswith("226")
        assert receiver.files() == {b"x": b"half of it, and the other"}
        busy.close()
        idle.close()
        if number == signal.SIGUSR1:
            wait_until(lambda: receiver.facts.get("drained"), what="the draining")
            assert receiver.process.poll() is None
            assert receiver.end() == 0
        assert receiver.process.wait(10) == 0
        receiver.process = Receiver(tmp_path).process  # what the fixture ends


def _is_refused(receiver: Receiver) -> bool:
    facts = receiver.facts
    try:
        socket.create_connection(("127.0.0.1", int(str(facts["port"])))).close()
    except ConnectionRefusedError:
        return True
    return False


def ended(folder: Path, **keys: Any) -> str:
    """What a receiver says that ends at once."""
    receiver = Receiver(folder, **keys)
    assert receiver.process.wait(60) not in (0, 1), receiver.errors.read_text()
    return receiver.errors.read_text()


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} of 127.0.0.1 is in use" in ended(tmp_path, port=port)


def test_an_address_that_is_not_ours_is_named(tmp_path: Path) -> None:
    assert "192.0.2.1 cannot be listened on" in ended(tmp_path, host="192.0.2.1")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"user": "", "password": ""}, "nobody may log in"),
        ({"password": ""}, "user and password go together"),
        ({"users_file": "config/none"}, "config/none: it cannot be read"),
        ({"tls": "required"}, "the certificate cannot be used"),
        ({"tls": "required", "certificate": "config/plugins/ftp_receiver.ini"}, "the certificate cannot be used"),
        ({"passive_ports": "9-1"}, "is no range of ports"),
        ({"directory": "/proc/none"}, "the directory cannot be used"),
        ({"max_sise": "1"}, 'Did you mean "max_size"'),
    ],
)
def test_a_bad_configuration_is_said_and_nothing_runs(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    text = ended(tmp_path, **keys)
    assert said in text
    assert "Traceback" not in text
    assert PASSWORD not in text


def test_it_is_idle_when_nothing_comes(receiver: Receiver) -> None:
    with client(receiver) as ftp:
        ftp.voidcmd("NOOP")
        wait_until(lambda: _wakes(receiver.process.pid) <= 1, what="half a second of sleep")


def _wakes(pid: int) -> int:
    """How often it goes to sleep anew in half a second."""
    before = _switches(pid)
    time.sleep(0.5)
    return _switches(pid) - before


def _switches(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


# --- TLS


class StrictFtps(ftplib.FTP_TLS):
    """Data connections go on with the session of the control connection, as the newest clients do."""

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        data, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.context.wrap_socket(data, server_hostname=self.host, session=self.sock.session), size


@contextmanager
def tls_client(receiver: Receiver, ca: Path, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> Iterator[StrictFtps]:
    context = ssl.create_default_context(cafile=str(ca))
    context.maximum_version = newest
    with StrictFtps(context=context, timeout=60, encoding="latin-1") as ftp:
        ftp.connect("127.0.0.1", receiver.port)
        ftp.login(USER, wire(PASSWORD))
        ftp.prot_p()
        yield ftp


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Receiver, Path]]:
    folder = tmp_path_factory.mktemp("secure")
    pair = certificate(folder / "certificate")
    with Receiver.running(folder, tls="required", certificate=pair[0], key=pair[1]) as receiver:
        yield receiver, pair[0]


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_files_come_over_tls(secure: tuple[Receiver, Path], newest: ssl.TLSVersion) -> None:
    receiver, ca = secure
    contents = {f"{newest.name}-{size}": os.urandom(size) for size in (0, 1, 16_384, 16_385, 3_000_000)}
    with tls_client(receiver, ca, newest) as ftp:
        for name, content in contents.items():
            assert store(ftp, name, content).startswith("226")
        assert set(contents) <= set(ftp.nlst())
        lines: list[str] = []
        ftp.retrlines("LIST", lines.append)
        assert len(lines) >= len(contents)
    for name, content in contents.items():
        assert (receiver.incoming / name).read_bytes() == content


def test_nobody_logs_in_or_sends_data_without_tls(secure: tuple[Receiver, Path]) -> None:
    receiver, ca = secure
    assert code_of(lambda: client(receiver).__enter__()) == "530"
    with tls_client(receiver, ca) as ftp:
        ftp.prot_c()
        assert code_of(lambda: store(ftp, "plain")) == "521"


def test_an_upload_without_the_end_mark_of_tls_never_appears(secure: tuple[Receiver, Path]) -> None:
    receiver, ca = secure
    with tls_client(receiver, ca) as ftp:
        data = begin(ftp, "cut off")
        data.shutdown(socket.SHUT_RDWR)  # as somebody in between can
        data.close()
        assert code_of(ftp.voidresp) == "426"
        assert store(ftp, "whole").startswith("226")
    assert not (receiver.incoming / "cut off").exists()


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Receiver, Path]]:
    folder = tmp_path_factory.mktemp("lenient")
    pair = certificate(folder / "certificate")
    with Receiver.running(folder, tls="allowed", certificate=pair[0], key=pair[1], strict_end=0) as receiver:
        yield receiver, pair[0]


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_upload_without_the_end_mark_is_kept_when_told_so(
    lenient: tuple[Receiver, Path], newest: ssl.TLSVersion
) -> None:
    receiver, ca = lenient
    content = os.urandom(3_000_000)
    with tls_client(receiver, ca, newest) as ftp:
        begin(ftp, f"old client {newest.name}", content).close()
        assert ftp.voidresp().startswith("226")
    assert (receiver.incoming / f"old client {newest.name}").read_bytes() == content
    with client(receiver) as plain:
        assert store(plain, "plain").startswith("226")


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("strict", [True, False])
def test_an_upload_over_tls_whose_connection_is_reset_never_appears(
    secure: tuple[Receiver, Path], lenient: tuple[Receiver, Path], strict: bool, newest: ssl.TLSVersion
) -> None:
    receiver, ca = secure if strict else lenient
    receiver.put_away()
    with tls_client(receiver, ca, newest) as ftp:
        for size in (10, 16_384, 5_000_000):
            data = begin(ftp, "reset", os.urandom(size))
            data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            data.close()
            with pytest.raises(ftplib.error_temp, match="426 The data connection broke off"):
                ftp.voidresp()
        assert receiver.files() == {}
        assert store(ftp, "next").startswith("226")


@pytest.mark.parametrize("strict", [True, False])
def test_an_upload_over_tls_that_is_aborted_never_appears(
    secure: tuple[Receiver, Path], lenient: tuple[Receiver, Path], strict: bool
) -> None:
    receiver, ca = secure if strict else lenient
    receiver.put_away()
    with tls_client(receiver, ca) as ftp:
        data = begin(ftp, "aborted", content := os.urandom(10_000))
        wait_until(lambda: content in receiver.files().values(), what="the first bytes")
        ftp.putcmd("ABOR")
        with suppress(OSError):
            data.unwrap() if strict else data.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]
        data.close()
        assert code_of(ftp.getresp) == "426"
        assert ftp.getresp()[:3] in ("225", "226")
        assert receiver.files() == {}
        assert store(ftp, "next").startswith("226")


def test_a_client_over_tls_may_leave_without_waiting_for_the_answer(secure: tuple[Receiver, Path]) -> None:
    receiver, ca = secure
    receiver.put_away()
    with tls_client(receiver, ca) as ftp:
        data = begin(ftp, "hurried")
        ftp.putcmd("NOOP")
        ftp.putcmd("QUIT")
        data.unwrap()  # type: ignore[attr-defined]
        data.close()
        assert sorted(ftp.getresp()[:3] for _ in range(3)) == ["200", "221", "226"]
    assert receiver.files() == {b"hurried": b"half of it"}


def test_a_reset_before_tls_is_agreed_upon_is_no_empty_file(lenient: tuple[Receiver, Path]) -> None:
    receiver, ca = lenient
    receiver.put_away()
    with tls_client(receiver, ca) as ftp:
        data, _ = ftplib.FTP.ntransfercmd(ftp, "STOR reset")
        data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        data.close()
        assert code_of(ftp.getresp) in ("426", "522")
        assert receiver.files() == {}
        assert store(ftp, "next").startswith("226")


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_may_send_without_ever_reading_its_data_connection(
    secure: tuple[Receiver, Path], newest: ssl.TLSVersion
) -> None:
    receiver, ca = secure
    content = os.urandom(8_000_000)
    with tls_client(receiver, ca, newest) as ftp:
        for count in range(3):
            name = f"unread {newest.name} {count}"
            assert send_without_reading(ftp, name, content).startswith("226")
            assert (receiver.incoming / name).read_bytes() == content


def send_without_reading(ftp: ftplib.FTP_TLS, name: str, content: bytes) -> str:
    """Store a file as clients do that read nothing once TLS is agreed upon; the answer."""
    ftp.voidcmd("TYPE I")
    data, _ = ftplib.FTP.ntransfercmd(ftp, f"STOR {name}")
    came, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    protected = ftp.context.wrap_bio(came, to_send, server_hostname=ftp.host)
    with data:
        while True:
            try:
                protected.do_handshake()
                break
            except ssl.SSLWantReadError:
                data.sendall(to_send.read())
                came.write(data.recv(100_000))
        protected.write(content)
        with suppress(ssl.SSLWantReadError):
            protected.unwrap()
        data.sendall(to_send.read())
    return ftp.voidresp()


def test_words_that_came_before_tls_are_not_heeded(secure: tuple[Receiver, Path]) -> None:
    receiver, ca = secure
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=60) as connection:
        connection.recv(1000)
        connection.sendall(b"AUTH TLS\r\nUSER injected\r\nNOOP\r\n")
        assert connection.recv(1000).startswith(b"234")
        context = ssl.create_default_context(cafile=str(ca))
        with context.wrap_socket(connection, server_hostname="127.0.0.1") as protected:
            protected.sendall(b"PASS x\r\n")
            assert protected.recv(1000).startswith(b"503 Login with USER first")


def test_noise_instead_of_a_handshake_harms_nobody(secure: tuple[Receiver, Path]) -> None:
    receiver, ca = secure
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=60) as connection:
        connection.recv(1000)
        connection.sendall(b"AUTH TLS\r\n")
        connection.recv(1000)
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n" * 20)
        with suppress(ConnectionResetError):
            while connection.recv(1000):
                pass
    with tls_client(receiver, ca) as ftp:
        assert store(ftp, "after noise").startswith("226")


def test_a_handshake_that_never_ends_holds_nothing_up(tmp_path: Path) -> None:
    pair = certificate(tmp_path / "certificate")
    receiver = Receiver(tmp_path, tls="required", certificate=pair[0], key=pair[1])
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=60) as connection:
        connection.recv(1000)
        connection.sendall(b"AUTH TLS\r\n")
        connection.recv(1000)
        assert receiver.end() == 0


def test_tls_from_the_start(tmp_path: Path) -> None:
    pair = certificate(tmp_path / "certificate")
    context = ssl.create_default_context(cafile=str(pair[0]))
    with Receiver.running(tmp_path, tls="implicit", certificate=pair[0], key=pair[1]) as receiver:
        connection = socket.create_connection(("127.0.0.1", receiver.port), timeout=60)
        with context.wrap_socket(connection, server_hostname="localhost") as protected:
            assert protected.recv(1000).startswith(b"220 ")


def test_while_intake_pauses_a_file_is_refused_for_now(receiver: Receiver) -> None:
    told = receiver.home.run / "pressure.json"
    told.write_text('{"reason": "7 files wait (max_waiting = 5)", "since": 1}')
    with client(receiver) as ftp:
        with pytest.raises(ftplib.error_temp) as caught:
            store(ftp, "radar.png")
        assert str(caught.value) == "452 Try again later: intake pauses, 7 files wait (max_waiting = 5)."
        assert receiver.files() == {}
        told.unlink()
        assert store(ftp, "radar.png").startswith("226")
