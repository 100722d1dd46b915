"""An SFTP server on loopback for tests, with paramiko's own."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import paramiko

from tests.servers import free_ports

USER, PASSWORD = "me", "secret"


class Handle(paramiko.SFTPHandle):  # type: ignore[misc]
    """An open file."""

    def __init__(self, server: SftpServer, path: Path, flags: int) -> None:
        super().__init__(flags)
        self.server = server
        self.path = path

    def write(self, offset: int, data: bytes) -> int:
        if self.server.room is not None and offset + len(data) > self.server.room:
            return int(paramiko.SFTP_FAILURE)
        return int(super().write(offset, data))

    def close(self) -> None:
        super().close()
        if self.server.takes_away == "part":
            self.path.unlink()


class Files(paramiko.SFTPServerInterface):  # type: ignore[misc]
    """The folder of the server."""

    def __init__(self, login: Login, *_: Any, **__: Any) -> None:
        super().__init__(login)
        self.server = login.server

    def _real(self, path: str) -> Path:
        return Path(f"{self.server.folder}{self.canonicalize(path)}")

    def _did(self, act: Any, *arguments: Any) -> int:
        try:
            act(*arguments)
        except OSError as error:
            return int(paramiko.SFTPServer.convert_errno(error.errno or errno.EIO))
        return int(paramiko.SFTP_OK)

    def stat(self, path: str) -> Any:
        if self.server.refuses_stat:
            return int(paramiko.SFTP_PERMISSION_DENIED)
        try:
            found = paramiko.SFTPAttributes.from_stat(self._real(path).stat())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        found.st_size = max(0, found.st_size - self.server.short)
        return found

    lstat = stat

    def open(self, path: str, flags: int, _attributes: Any) -> Any:
        self.server.opened.append(Path(path).name)
        try:
            file = os.fdopen(os.open(self._real(path), flags, 0o644), "wb")
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        handle = Handle(self.server, self._real(path), flags)
        handle.filename, handle.readfile, handle.writefile = path, file, file
        return handle

    def rename(self, old: str, new: str) -> int:
        if self._real(new).exists():
            return int(paramiko.SFTP_FAILURE)
        return self._did(os.rename, self._real(old), self._real(new))

    def posix_rename(self, old: str, new: str) -> int:
        if self.server.is_old:
            return int(paramiko.SFTP_OP_UNSUPPORTED)
        result = self._did(os.rename, self._real(old), self._real(new))
        if self.server.takes_away == "file" and not result:
            self._real(new).unlink()
        return result

    def remove(self, path: str) -> int:
        return self._did(os.remove, self._real(path))

    def mkdir(self, path: str, _attributes: Any) -> int:
        return self._did(os.mkdir, self._real(path))


class Login(paramiko.ServerInterface):  # type: ignore[misc]
    """Who may log in."""

    def __init__(self, server: SftpServer) -> None:
        self.server = server

    def check_auth_password(self, username: str, password: str) -> int:
        return int(paramiko.AUTH_SUCCESSFUL if (username, password) == (USER, PASSWORD) else paramiko.AUTH_FAILED)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return int(paramiko.AUTH_SUCCESSFUL if key == self.server.user_key else paramiko.AUTH_FAILED)

    def get_allowed_auths(self, username: str) -> str:
        return "password,publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)


class SftpServer:
    """Takes files of ``USER``; remembers how often somebody connected."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host_key = paramiko.ECDSAKey.generate()
        self.user_key: paramiko.PKey | None = None
        self.connections = 0
        self.opened: list[str] = []
        #: Bytes that it says to have less than it has.
        self.short = 0
        #: Nobody may look at what is there.
        self.refuses_stat = False
        #: Bytes for which it has room; None = for all.
        self.room: int | None = None
        #: It hands files on: as soon as they are written, or as soon as they have their name.
        self.takes_away = ""
        #: It does not know posix-rename@openssh.com.
        self.is_old = False
        self._transports: list[paramiko.Transport] = []
        self._socket = socket.create_server(("127.0.0.1", free_ports(1)[0]))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def known_hosts(self, path: Path, key: paramiko.PKey | None = None) -> Path:
        shown = key or self.host_key
        path.write_text(f"[127.0.0.1]:{self.port} {shown.get_name()} {shown.get_base64()}\n")
        return path

    def cut(self) -> None:
        """End all connections."""
        for transport in self._transports:
            transport.close()

    def close(self) -> None:
        self.cut()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            transport = paramiko.Transport(client)
            transport.add_server_key(self.host_key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files)
            self._transports.append(transport)
            with suppress(paramiko.SSHException, EOFError, OSError):  # who hangs up early resets the connection
                transport.start_server(server=Login(self))


@contextmanager
def sftp_server(folder: Path) -> Iterator[SftpServer]:
    folder.mkdir(exist_ok=True)
    server = SftpServer(folder)
    try:
        yield server
    finally:
        server.close()
