"""FTP servers on free ports of loopback, made by the tests that need them."""

from __future__ import annotations

import os
import ssl
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import pyftpdlib.ioloop  # first: it silences what importing asyncore says
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers.ftp.control import FTPHandler
from pyftpdlib.handlers.ftp.data import DTPHandler
from pyftpdlib.servers import FTPServer

from mfdata.receivers.ftp.tls import TlsControl, TlsData
from mfext.net.tls import server_context
from mfext.testing import wait_until
from tests.servers import free_ports

USER, PASSWORD = "weather", "s3cret-of-weather"


class Handler(FTPHandler):  # type: ignore[misc]
    """A server of the usual kind, which notes what it is told."""

    unicode_errors = "surrogateescape"
    auth_failed_timeout = 0
    timeout = 120
    told: list[str]

    def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
        self.told.append(line)
        super().pre_process_command(line, cmd, arg)


class DataHandler(DTPHandler):  # type: ignore[misc]
    """The data connections of a server of the usual kind."""


class TlsDataHandler(TlsData, DTPHandler):  # type: ignore[misc]
    def close(self) -> None:
        if self._is_secure and not self._closed:
            self.cmd_channel.server.resumed.append(self.socket.session_reused)
        super().close()


class TlsHandler(TlsControl, Handler):
    dtp_handler = TlsDataHandler


class Server:
    """A server that runs in a thread; ``with Server(folder) as server:``."""

    def __init__(self, folder: Path, handler: type[Handler] = Handler, port: int = 0, **attributes: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.told: list[str] = []
        authorizer = DummyAuthorizer()
        authorizer.add_user(USER, PASSWORD, str(folder), perm="elradfmw")
        kind = type("Handler", (handler,), {"authorizer": authorizer, "told": self.told, **attributes})
        self._loop = pyftpdlib.ioloop.IOLoop()
        self._server = FTPServer(("127.0.0.1", port or free_ports(1)[0]), kind, ioloop=self._loop)
        self._server.resumed = []
        self.port = int(self._server.address[1])
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._loop.loop(0.01, blocking=False)
        self._server.close_all()

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def verbs(self) -> list[str]:
        """The commands that were given, without arguments."""
        return [line.partition(" ")[0] for line in self.told]

    @property
    def resumed(self) -> list[bool]:
        """Of each protected data connection: whether it went on with a known TLS session."""
        found: list[bool] = self._server.resumed
        return found

    @property
    def connections(self) -> int:
        """Control connections that are open now."""
        return len(self._server.ip_map)

    def kick_out(self) -> None:
        """End all connections, as a server does that was idle for long."""
        done = threading.Event()

        def kick() -> None:
            for one in list(self._loop.socket_map.values()):
                if isinstance(one, FTPHandler):
                    one.handle_timeout()
            done.set()

        self._loop.call_later(0, kick)
        done.wait(60)
        wait_until(lambda: not self.connections, what="the end of all connections")

    def files(self) -> dict[bytes, bytes]:
        """Name and content of each file in the folder."""
        return {os.fsencode(path.name): path.read_bytes() for path in self.folder.iterdir()}


def certificate(folder: Path, name: str = "localhost", address: str = "127.0.0.1") -> tuple[Path, Path]:
    """A new certificate that is its own authority, and its key."""
    folder.mkdir(parents=True, exist_ok=True)
    made, key = folder / "certificate.pem", folder / "key.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = f"subjectAltName=DNS:{name},IP:{address}"
    command = ["openssl", "req", "-x509", *curve, "-days", "2", "-subj", f"/CN={name}", "-addext", names]
    subprocess.run([*command, "-keyout", key, "-out", made], check=True, capture_output=True)
    return made, key


def context_of(pair: tuple[Path, Path]) -> ssl.SSLContext:
    """How a server with this certificate and key protects its connections."""
    return server_context(str(pair[0]), str(pair[1]))
