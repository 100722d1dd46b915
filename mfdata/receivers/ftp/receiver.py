"""FTP receiver: files come in by FTP or FTPS and are acknowledged once they are safe in an incoming directory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyftpdlib.ioloop import IOLoop  # first: it silences what importing asyncore says

# isort: split
from pyftpdlib.servers import FTPServer

from mfdata.receivers.common_receiver import ReceiverKeys, Reception, run_receiver
from mfdata.receivers.ftp.authorizer import Authorizer
from mfdata.receivers.ftp.background import Background
from mfdata.receivers.ftp.data_channel import UploadChannel
from mfdata.receivers.ftp.offer import commands
from mfdata.receivers.ftp.received import Memories
from mfdata.receivers.ftp.session import Session
from mfext.errors import ConfigError
from mfext.mainloop import Mainloop
from mfext.net.users import LOOKS
from mfext.option import option

#: Log in, look, upload, rename, remove what is one's own; the rest see Session.
_USUAL = "elwf"


@dataclass(frozen=True, repr=False)
class FtpReceiverKeys(ReceiverKeys):
    """Where the receiver listens, who may upload, and how much."""

    port: int = option(2121, minimum=0, maximum=65535, help="The port that it listens on; 0 = any that is free.")
    tls: str = option(
        "none",
        choices=("none", "allowed", "required", "implicit"),
        help="none = no TLS; allowed = a client may ask for it; required = nobody logs in and no data is sent without; "
        "implicit = TLS from the start.",
    )
    strict_end: bool = option(
        True,
        help="Over TLS a file counts only when its data ends with TLS's end mark, so that nobody can cut it off "
        "unseen. Some old clients do not send that.",
    )
    passive_ports: str = option(
        "",
        pattern=r"(\d+-\d+)?",
        form="two ports as FIRST-LAST, or nothing",
        help="Ports for data connections; empty = any.",
        example="50000-50100",
    )
    masquerade_address: str = option(
        "", help="The address that clients are told to open data connections to, when this machine is behind NAT."
    )
    allow_download: bool = option(False, help="Clients may read files that wait in the directory.")
    allow_delete: bool = option(False, help="Clients may delete files that wait in the directory.")


class Server(FTPServer):  # type: ignore[misc]
    """Counts clients, where pyftpdlib counts all its sockets; who does not log in makes room for others."""

    def handle_accepted(self, sock: Any, addr: Any) -> None:
        if self.ip_map.count(addr[0]) >= self.max_cons_per_ip:
            self._make_room(addr[0])
        elif len(self.ip_map) >= self.max_cons:
            self._make_room()
        super().handle_accepted(sock, addr)

    def _make_room(self, address: str = "") -> None:
        """Leave the client that has not logged in for the longest time, of those from *address* if that is given."""
        waiting = (one for one in self.ioloop.socket_map.values() if isinstance(one, Session) and not one.authenticated)
        there = [one for one in waiting if not address or one.remote_ip == address]
        if there:
            min(there, key=lambda one: one.begun).make_room()

    def _accept_new_cons(self) -> bool:
        return len(self.ip_map) <= int(self.max_cons)


class FtpReceiver:
    """The server and its loop."""

    def __init__(self, reception: Reception, keys: FtpReceiverKeys) -> None:
        """Listen.

        Raises:
            ConfigError: certificate or ports cannot be used as they are.
            ServiceUnavailable: it cannot listen there.
        """
        self._reception = reception
        self._keys = keys
        self._loop = IOLoop()
        self._is_listening = True
        self._background = Background(self._loop, LOOKS)
        self._server = self._listening(type("Session", (Session,), self._same_for_all()))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.address[1])

    def run(self, mainloop: Mainloop) -> None:
        """Serve until asked to stop; a file that is coming in then is waited for."""
        mainloop.ready(host=self._keys.host, port=str(self.port))
        is_drained = False
        timeout: float | None = None
        while not (mainloop.stopping and not self._sessions()):
            mainloop.wait(self._loop.fileno(), timeout=timeout)
            self._loop.poll(0)
            timeout = self._loop.sched.poll()
            if (mainloop.stopping or mainloop.draining) and self._is_listening:
                self._stop_listening()
            if mainloop.draining and not is_drained and not self._sessions():
                is_drained = True
                mainloop.drained()

    def close(self) -> None:
        """End everything at once."""
        self._loop.close()

    def _stop_listening(self) -> None:
        self._is_listening = False
        self._server.close()
        for session in self._sessions():
            session.leave()

    def _sessions(self) -> list[Session]:
        return [one for one in self._loop.socket_map.values() if isinstance(one, Session)]

    def _same_for_all(self) -> dict[str, Any]:
        """The attributes of a session that configuration decides."""
        keys, reception = self._keys, self._reception
        permissions = _USUAL + ("r" if keys.allow_download else "")
        return {
            "authorizer": Authorizer(reception.users, reception.folder_of, permissions),
            "is_ignored": staticmethod(reception.is_ignored),
            "sidecars": reception.sidecars,
            "owners": {},
            "uploaders": {},
            "memories": Memories(),
            "proto_cmds": commands(download=keys.allow_download, tls=keys.tls != "none"),
            "max_size": keys.max_size,
            "may_delete": keys.allow_delete,
            "pressure": staticmethod(reception.refusal),
            "strict_end": keys.strict_end,
            "timeout": keys.timeout,
            "login_timeout": keys.login_timeout,
            "min_rate": keys.min_rate,
            "background": self._background,
            "dtp_handler": type("UploadChannel", (UploadChannel,), {"timeout": keys.timeout}),
            "context": reception.context(wanted=keys.tls != "none"),
            "required": keys.tls != "allowed",
            "implicit": keys.tls == "implicit",
            "passive_ports": self._passive_ports(),
            "masquerade_address": keys.masquerade_address or None,
        }

    def _passive_ports(self) -> range | None:
        if not self._keys.passive_ports:
            return None
        first, last = map(int, self._keys.passive_ports.split("-"))
        if not 0 < first <= last <= 65535:
            where = self._reception.where("passive_ports")
            raise ConfigError(f'"{self._keys.passive_ports}" is no range of ports', where=where, expected="FIRST-LAST")
        return range(first, last + 1)

    def _listening(self, kind: type[Session]) -> Server:
        keys = self._keys
        try:
            server = Server((keys.host, keys.port), kind, ioloop=self._loop)
        except OSError as error:
            # pyftpdlib wraps it
            raise self._reception.cannot_listen(
                error.args[0] if isinstance(error.args[0], OSError) else error
            ) from error
        server.max_cons = keys.max_connections
        server.max_cons_per_ip = keys.max_connections_per_address
        return server


def serve(reception: Reception, keys: FtpReceiverKeys, mainloop: Mainloop) -> None:
    """Be the receiver until asked to stop."""
    receiver = FtpReceiver(reception, keys)
    try:
        receiver.run(mainloop)
    finally:
        receiver.close()


if __name__ == "__main__":
    run_receiver(FtpReceiverKeys, serve)
