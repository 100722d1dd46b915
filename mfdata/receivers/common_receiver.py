"""Reception: what all receivers share: where they listen, who may come, where files go, and whether they may now."""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mfdata.config import Incoming, Pressure
from mfdata.intake.backpressure import refusal
from mfdata.intake.completeness import ignored_names
from mfdata.receivers.upload import discard_leftovers
from mfdata.storage.places import Places
from mfext import log as logs
from mfext.daemon import Daemon, run_daemon
from mfext.environment import Home
from mfext.errors import ConfigError, ServiceUnavailable
from mfext.log import get_logger
from mfext.mainloop import Mainloop
from mfext.net.tls import server_context
from mfext.net.users import User, Users
from mfext.option import option
from mfext.plugin.manifest import load_plugin
from mfext.section import Section

log = get_logger(__name__)

_LOOPBACK = ("127.", "::1", "localhost")

K = TypeVar("K", bound="ReceiverKeys")


@dataclass(frozen=True, repr=False)
class ReceiverKeys(Section):
    """Where a receiver listens, who may upload, and how much."""

    host: str = option("127.0.0.1", help="The address that it listens on; 0.0.0.0 or :: = all of the machine.")
    port: int = option(0, minimum=0, maximum=65535, help="The port that it listens on; 0 = any that is free.")
    user: str = option("", help="The user, when there is one only.")
    password: str = option(
        "", secret=True, help="The user's password, or its hash as mfdata.users prints it after the name."
    )
    users_file: str = option(
        "",
        help="A file, absolute or below the home, with one user a line: NAME:HASH or NAME:HASH:DIRECTORY. "
        '"mfdata.users NAME" prints such a line. It is read again when it changes.',
        example="config/receiver_users",
    )
    directory: str = option(
        "incoming", help="Where the files go: the name of an incoming directory below var/in, or an absolute path."
    )
    certificate: str = option("", help="The certificate and those above it, in PEM form, for TLS.")
    key: str = option("", help="The key of the certificate, in PEM form; empty = it is in the same file.")
    max_size: int = option(10_000_000_000, unit="bytes", minimum=1, help="The largest file that is taken.")
    max_connections: int = option(200, minimum=1, help="Clients at one time.")
    max_connections_per_address: int = option(50, minimum=1, help="Clients at one time from one address.")
    timeout: float = option(300.0, unit="s", minimum=1, help="A client that says or sends nothing for so long is left.")
    login_timeout: float = option(
        15.0, unit="s", minimum=1, help="A client that has not logged in after so long is left."
    )
    min_rate: int = option(
        50,
        unit="bytes",
        minimum=0,
        help="What must come of an upload in a second, on an average over timeout; 0 = any. Who sends less is left.",
    )


class Reception:
    """The side of a receiver that looks at the home."""

    def __init__(
        self, home: Home, plugin: str, keys: ReceiverKeys, incoming: Incoming, pressure: Pressure | None = None
    ) -> None:
        """Look at users and folders.

        Raises:
            ConfigError: they cannot be used as they are.
        """
        self.home = home
        self.keys = keys
        self._plugin = plugin
        self._places = Places(home)
        self._pressure = pressure or Pressure()
        self._ignored = ignored_names(incoming.ignore)
        self.sidecars = self._places.sidecars
        self.users = self._users()
        self._prepare_folders()

    def where(self, key: str = "") -> str:
        """The place of a key, for messages."""
        return f"{self._plugin} [custom] {key}".rstrip()

    def folder_of(self, directory: str) -> Path:
        """The folder for a directory as configuration names it; '' = the usual one."""
        return self._places.incoming / (directory or self.keys.directory)

    def is_ignored(self, name: str) -> bool:
        """Whether the observer leaves a file of this name alone."""
        return self._ignored.match(name) is not None

    def refusal(self) -> str:
        """Why nothing is received at present; '' when files are."""
        return refusal(self._places, self._pressure)

    def context(self, *, wanted: bool) -> ssl.SSLContext | None:
        """What protects connections, when that is *wanted*.

        Raises:
            ConfigError: the certificate cannot be used.
        """
        keys = self.keys
        if not wanted:
            if not keys.host.startswith(_LOOPBACK):
                log.warning("passwords and files come in unprotected", host=keys.host, mend="set up TLS")
            return None
        try:
            return server_context(
                *(str(self.home.path / name) if name else "" for name in (keys.certificate, keys.key))
            )
        except OSError as error:
            raise ConfigError(
                f"the certificate cannot be used: {error.strerror or error}",
                where=self.where("certificate"),
                expected="a certificate in PEM form, with its key in it or in the file of key",
            ) from error

    def cannot_listen(self, error: OSError) -> ServiceUnavailable:
        """What to raise when the port cannot be had."""
        taken = error.errno == errno.EADDRINUSE
        fault = "is in use" if taken else f"cannot be listened on: {error.strerror or error}"
        return ServiceUnavailable(
            f"port {self.keys.port} of {self.keys.host} {fault}",
            where=self.where("port"),
            mend="Set another port, or stop the program that has it." if taken else "",
        )

    def _users(self) -> Users:
        keys = self.keys
        if bool(keys.user) != bool(keys.password):
            raise ConfigError("user and password go together: one of them is missing", where=self.where("user"))
        if not keys.user and not keys.users_file:
            raise ConfigError(
                "nobody may log in",
                where=self.where(),
                expected="user and password, or users_file",
                mend=f"Set them in {self.home.config / 'plugins' / f'{self._plugin}.ini'}.",
            )
        single = [User(keys.user, keys.password)] if keys.user else []
        return Users(single, self.home.path / keys.users_file if keys.users_file else None)

    def _prepare_folders(self) -> None:
        try:
            folders = {made_folder(self.folder_of(name)) for name in ("", *self.users.directories())}
        except OSError as error:
            raise ConfigError(f"the directory cannot be used: {error}", where=self.where("directory")) from error
        leftovers = sum(discard_leftovers(Path(folder), self.sidecars) for folder in folders)
        if leftovers:
            log.warning("uploads that never ended are discarded", files=leftovers)


def made_folder(folder: Path) -> str:
    """The real path of *folder*, which is there then.

    Raises:
        OSError: it cannot be made, or nothing can be written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    return os.path.realpath(folder)


def run_receiver(keys: type[K], serve: Callable[[Reception, K, Mainloop], Any]) -> None:
    """Be a receiver as the supervised process, with its plugin in the current folder, until asked to stop."""

    def receive(daemon: Daemon) -> None:
        home, config = daemon.home, daemon.config
        plugin = load_plugin(Path.cwd(), daemon.module, home)
        given = plugin.config.section("custom", keys)
        incoming, pressure = config.section("incoming", Incoming), config.section("pressure", Pressure)
        with Mainloop(home, daemon.process) as mainloop:
            serve(Reception(home, plugin.name, given, incoming, pressure), given, mainloop)

    run_daemon(receive, adopt_logging=lambda _level: logs.adopt_standard_logging())
