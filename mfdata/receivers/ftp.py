"""FTP receiver: files come in by FTP or FTPS and are acknowledged once they are safe in an incoming directory."""

from __future__ import annotations

import errno
import re
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyftpdlib.ioloop import IOLoop  # first: it silences what importing asyncore says

# isort: split
from pyftpdlib.servers import FTPServer

from mfdata.completeness import ignored_names
from mfdata.config import Incoming, Pressure
from mfdata.module import MODULE
from mfdata.places import Places
from mfdata.pressure import refusal
from mfdata.receivers.ftp_authorizer import Authorizer, made_folder
from mfdata.receivers.ftp_channel import UploadChannel
from mfdata.receivers.ftp_session import Session
from mfdata.receivers.ftp_tls import server_context
from mfdata.receivers.upload import discard_leftovers
from mfdata.receivers.users import User, Users
from mfext import log as logs
from mfext.config import module_config
from mfext.environment import Home, current_module, current_process, home_of
from mfext.errors import ConfigError, MetworkError, ServiceUnavailable, UsageError
from mfext.log import get_logger
from mfext.mainloop import Mainloop
from mfext.option import option
from mfext.plugin.manifest import load_plugin
from mfext.section import Section

log = get_logger(__name__)

_LOOPBACK = ("127.", "::1", "localhost")
#: Log in, look, upload, rename, remove what is one's own; the rest see Session.
_USUAL = "elwf"


@dataclass(frozen=True, repr=False)
class FtpReceiverKeys(Section):
    """Where the receiver listens, who may upload, and how much."""

    host: str = option("127.0.0.1", help="The address that it listens on; 0.0.0.0 or :: = all of the machine.")
    port: int = option(2121, minimum=0, maximum=65535, help="The port that it listens on; 0 = any that is free.")
    user: str = option("", help="The user, when there is one only.")
    password: str = option(
        "", secret=True, help="The user's password, or its hash as mfdata.receivers.users prints it after the name."
    )
    users_file: str = option(
        "",
        help="A file, absolute or below the home, with one user a line: NAME:HASH or NAME:HASH:DIRECTORY. "
        '"python -m mfdata.receivers.users NAME" prints such a line. It is read again when it changes.',
        example="config/ftp_users",
    )
    directory: str = option(
        "incoming", help="Where the files go: the name of an incoming directory below var/in, or an absolute path."
    )
    tls: str = option(
        "none",
        choices=("none", "allowed", "required", "implicit"),
        help="none = no TLS; allowed = a client may ask for it; required = nobody logs in and no data is sent without; "
        "implicit = TLS from the start.",
    )
    certificate: str = option("", help="The certificate and those above it, in PEM form, for TLS.")
    key: str = option("", help="The key of the certificate, in PEM form; empty = it is in the same file.")
    strict_end: bool = option(
        True,
        help="Over TLS a file counts only when its data ends with TLS's end mark, so that nobody can cut it off "
        "unseen. Some old clients do not send that.",
    )
    max_size: int = option(10_000_000_000, unit="bytes", minimum=1, help="The largest file that is taken.")
    max_connections: int = option(200, minimum=1, help="Clients at one time.")
    max_connections_per_address: int = option(50, minimum=1, help="Clients at one time from one address.")
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
    timeout: float = option(300.0, unit="s", minimum=1, help="A client that says or sends nothing for so long is left.")
    allow_download: bool = option(False, help="Clients may read files that wait in the directory.")
    allow_delete: bool = option(False, help="Clients may delete files that wait in the directory.")


class Server(FTPServer):  # type: ignore[misc]
    """Counts clients, where pyftpdlib counts all its sockets."""

    def _accept_new_cons(self) -> bool:
        return len(self.ip_map) <= int(self.max_cons)


class WakeUp:
    """Lets signals wake pyftpdlib's loop."""

    def __init__(self, mainloop: Mainloop) -> None:
        self._mainloop = mainloop
        self._fileno = mainloop.wakeup_fd

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        self._mainloop.clear_wakeup()

    def close(self) -> None:
        """It is the main loop's."""


class FtpReceiver:
    """The server and its loop."""

    def __init__(
        self, home: Home, plugin: str, keys: FtpReceiverKeys, incoming: Incoming, pressure: Pressure | None = None
    ) -> None:
        """Listen.

        Raises:
            ConfigError: users, certificate or directory cannot be used as they are.
            ServiceUnavailable: it cannot listen there.
        """
        self._home = home
        self._where = f"{plugin} [custom]"
        self._keys = keys
        self._pressure = pressure or Pressure()
        self._loop = IOLoop()
        self._is_listening = True
        users = self._users()
        folders = self._folders(users)
        sidecars = Places(home).sidecars
        kind = type("Session", (Session,), self._same_for_all(users, ignored_names(incoming.ignore), sidecars))
        self._server = self._listening(kind)
        leftovers = sum(discard_leftovers(Path(folder), sidecars) for folder in folders)
        if leftovers:
            log.warning("uploads that never ended are discarded", files=leftovers)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.address[1])

    def run(self, mainloop: Mainloop) -> None:
        """Serve until told to stop; a file that is coming in then is waited for."""
        self._loop.register(mainloop.wakeup_fd, WakeUp(mainloop), self._loop.READ)
        mainloop.ready(host=self._keys.host, port=str(self.port))
        is_drained = False
        timeout: float | None = None
        while not (mainloop.stopping and not self._sessions()):
            self._loop.poll(timeout)
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

    def _users(self) -> Users:
        keys = self._keys
        if bool(keys.user) != bool(keys.password):
            raise ConfigError("user and password go together: one of them is missing", where=f"{self._where} user")
        if not keys.user and not keys.users_file:
            raise ConfigError(
                "nobody may log in",
                where=self._where,
                expected="user and password, or users_file",
                mend=f"Set them in {self._home.config / 'plugins' / 'ftp_receiver.ini'}.",
            )
        single = [User(keys.user, keys.password)] if keys.user else []
        return Users(single, self._home.path / keys.users_file if keys.users_file else None)

    def _folder_of(self, directory: str) -> Path:
        return Places(self._home).incoming / (directory or self._keys.directory)

    def _folders(self, users: Users) -> set[str]:
        try:
            return {made_folder(self._folder_of(name)) for name in ("", *users.directories())}
        except OSError as error:
            raise ConfigError(f"the directory cannot be used: {error}", where=f"{self._where} directory") from error

    def _same_for_all(self, users: Users, ignored: re.Pattern[str], sidecars: Path) -> dict[str, Any]:
        """The attributes of a session that configuration decides."""
        keys = self._keys
        permissions = _USUAL + ("r" if keys.allow_download else "")
        return {
            "authorizer": Authorizer(users, self._folder_of, permissions),
            "is_ignored": staticmethod(lambda name: ignored.match(name) is not None),
            "sidecars": sidecars,
            "owners": {},
            "max_size": keys.max_size,
            "may_delete": keys.allow_delete,
            "pressure": staticmethod(lambda: refusal(Places(self._home), self._pressure)),
            "strict_end": keys.strict_end,
            "timeout": keys.timeout,
            "dtp_handler": type("UploadChannel", (UploadChannel,), {"timeout": keys.timeout}),
            "context": self._context(),
            "required": keys.tls != "allowed",
            "implicit": keys.tls == "implicit",
            "passive_ports": self._passive_ports(),
            "masquerade_address": keys.masquerade_address or None,
        }

    def _context(self) -> ssl.SSLContext | None:
        keys = self._keys
        if keys.tls == "none":
            if not keys.host.startswith(_LOOPBACK):
                log.warning("passwords and files come in unprotected", host=keys.host, mend="set tls")
            return None
        try:
            return server_context(
                *(str(self._home.path / name) if name else "" for name in (keys.certificate, keys.key))
            )
        except OSError as error:
            raise ConfigError(
                f"the certificate cannot be used: {error.strerror or error}",
                where=f"{self._where} certificate",
                expected="a certificate in PEM form, with its key in it or in the file of key",
            ) from error

    def _passive_ports(self) -> range | None:
        if not self._keys.passive_ports:
            return None
        first, last = map(int, self._keys.passive_ports.split("-"))
        if not 0 < first <= last <= 65535:
            where = f"{self._where} passive_ports"
            raise ConfigError(f'"{self._keys.passive_ports}" is no range of ports', where=where, expected="FIRST-LAST")
        return range(first, last + 1)

    def _listening(self, kind: type[Session]) -> Server:
        keys = self._keys
        try:
            server = Server((keys.host, keys.port), kind, ioloop=self._loop)
        except OSError as error:
            cause = error.args[0] if isinstance(error.args[0], OSError) else error  # pyftpdlib wraps it
            taken = cause.errno == errno.EADDRINUSE
            fault = "is in use" if taken else f"cannot be listened on: {cause.strerror or cause}"
            raise ServiceUnavailable(
                f"port {keys.port} of {keys.host} {fault}",
                where=f"{self._where} port",
                mend="Set another port, or stop the program that has it." if taken else "",
            ) from error
        server.max_cons = keys.max_connections
        server.max_cons_per_ip = keys.max_connections_per_address
        return server


def main() -> None:
    """Run as the supervised process, with the plugin in the current folder."""
    process = current_process()
    if not process:
        sys.stderr.write("this process was not started by mfdata; switch it on by install_ftp_receiver\n")
        sys.exit(UsageError.exit_code)
    home = home_of(current_module())
    logs.set_up(home, process)
    logs.adopt_standard_logging()
    try:
        plugin = load_plugin(Path.cwd(), MODULE, home)
        keys = plugin.config.section("custom", FtpReceiverKeys)
        config = module_config(MODULE, home)
        incoming, pressure = config.section("incoming", Incoming), config.section("pressure", Pressure)
        with Mainloop(home, process) as mainloop:
            receiver = FtpReceiver(home, plugin.name, keys, incoming, pressure)
            try:
                receiver.run(mainloop)
            finally:
                receiver.close()
    except MetworkError as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
