"""The step on one file, to a server on this machine; run by ``make test``."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
from main import SftpSend

from mfdata import Failed, Retry
from mfdata.testing import run_step


class Folder(paramiko.SFTPServerInterface):
    """Where the files go."""

    path = ""

    def open(self, path: str, flags: int, _attributes: Any) -> paramiko.SFTPHandle:
        handle = paramiko.SFTPHandle(flags)
        handle.writefile = os.fdopen(os.open(self.path + self.canonicalize(path), flags, 0o644), "wb")
        return handle

    def stat(self, path: str) -> paramiko.SFTPAttributes:
        return paramiko.SFTPAttributes.from_stat(Path(self.path + self.canonicalize(path)).stat())

    def posix_rename(self, old: str, new: str) -> int:
        Path(self.path + self.canonicalize(old)).rename(self.path + self.canonicalize(new))
        return paramiko.SFTP_OK


class Login(paramiko.ServerInterface):
    """The user ``me`` may log in."""

    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL if (username, password) == ("me", "secret") else paramiko.AUTH_FAILED

    def check_channel_request(self, _kind: str, _number: int) -> int:
        return paramiko.OPEN_SUCCEEDED


@pytest.fixture
def custom(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The keys for a server where the user ``me`` may write into the folder ``there``."""
    (tmp_path / "there").mkdir()
    key = paramiko.ECDSAKey.generate()
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{port} {key.get_name()} {key.get_base64()}\n")
    folder = type("There", (Folder,), {"path": str(tmp_path / "there")})
    served = []

    def serve() -> None:
        client, _ = listening.accept()
        served.append(paramiko.Transport(client))
        served[0].add_server_key(key)
        served[0].set_subsystem_handler("sftp", paramiko.SFTPServer, folder)
        served[0].start_server(server=Login())

    threading.Thread(target=serve, daemon=True).start()
    account = {"machine": "127.0.0.1", "port": str(port), "user": "me", "passwd": "secret"}
    yield {**account, "known_hosts": str(known_hosts)}
    for transport in served:
        transport.close()
    listening.close()


def test_a_file_is_sent(tmp_path: Path, custom: dict[str, str]) -> None:
    file = tmp_path / "some.txt"
    file.write_text("some text\n")
    result = run_step(SftpSend, file, custom=custom, folder=tmp_path / "work")
    assert result.done, result.text()
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["some.txt"]
    assert (tmp_path / "there/some.txt").read_text() == "some text\n"


def test_a_machine_that_is_not_known_gets_nothing(tmp_path: Path, custom: dict[str, str]) -> None:
    file = tmp_path / "some.txt"
    file.write_text("some text\n")
    Path(custom["known_hosts"]).write_text("")
    assert isinstance(run_step(SftpSend, file, custom=custom, folder=tmp_path / "work").outcome, Failed)
    assert list((tmp_path / "there").iterdir()) == []


def test_a_machine_that_does_not_answer_is_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("some text\n")
    custom = {"machine": "127.0.0.1", "port": "1", "user": "me"}
    assert isinstance(run_step(SftpSend, file, custom=custom, folder=tmp_path / "work").outcome, Retry)
