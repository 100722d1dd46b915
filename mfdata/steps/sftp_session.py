"""SFTP session: a connection to another machine that puts files there, whole or not at all."""

from __future__ import annotations

import errno
import logging
import os
import posixpath
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko

#: Everything that SFTP and what is below it can raise.
FAULTS = (paramiko.SSHException, OSError, EOFError)
#: Faults that are the connection's whatever the other machine says of files.
BROKEN = (paramiko.SSHException, EOFError, ConnectionError, TimeoutError)


class Incomplete(OSError):
    """The other machine has not all of the file."""


@dataclass(frozen=True, repr=False)
class SftpAccount:
    """Where and as whom to log in."""

    machine: str
    port: int
    user: str
    passwd: str
    #: A file with the private key, and what protects it.
    key_file: str
    key_passphrase: str
    directory: str
    #: A file with the keys of machines; '' = that of the user who runs this. None = any key is taken.
    known_hosts: str | None
    timeout: float
    create_directory: bool


class SftpSession:
    """One logged-in connection. Everything may raise one of ``FAULTS``."""

    def __init__(self, account: SftpAccount) -> None:
        # What it has to say is raised as well.
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)
        self._account = account
        self._made_folders: set[bytes] = set()
        self._client = paramiko.SSHClient()
        try:
            self._log_in()
            self._sftp = self._client.open_sftp()
            channel = self._sftp.get_channel()
            if channel:
                channel.settimeout(account.timeout)
        except BaseException:
            self._client.close()
            raise

    def is_fresh(self) -> bool:
        """Whether the other side has not ended it meanwhile, as far as is seen without asking."""
        transport = self._client.get_transport()
        return transport is not None and transport.is_active()

    def put(self, path: Path, name: str, temporary: str) -> None:
        """Put the file at *path* there under *name*, complete when it appears, in place of what is there.

        Args:
            path: the file here.
            name: relative to the directory of the account.
            temporary: the name under which it is written; the same as *name*: it appears while it is written.
        """
        target, part = self._place(name), self._place(temporary)
        if self._account.create_directory:
            self._make_folder(posixpath.dirname(target))
        size = path.stat().st_size
        with open(path, "rb") as content:
            self._sftp.putfo(content, part, size, confirm=False)
        found = self._sftp.stat(part).st_size
        if found != size:
            raise Incomplete(errno.EIO, f"it has {found} bytes of {size} there")
        if part != target:
            self._rename(part, target)

    def close(self, *, politely: bool = True) -> None:
        """End the connection."""
        self._client.close()

    def _log_in(self) -> None:
        account = self._account
        if account.known_hosts is None:
            self._client.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # nosec B507 - asked for
        else:
            self._client.set_missing_host_key_policy(paramiko.RejectPolicy())
            self._client.load_system_host_keys(account.known_hosts or None)
        self._client.connect(
            account.machine,
            account.port,
            account.user,
            account.passwd or None,
            key_filename=account.key_file or None,
            passphrase=account.key_passphrase or None,
            timeout=account.timeout,
            banner_timeout=account.timeout,
            auth_timeout=account.timeout,
            allow_agent=False,
            # The keys of the user who runs this, where nothing else is said.
            look_for_keys=not (account.passwd or account.key_file),
        )

    def _place(self, name: str) -> bytes:
        """Names are bytes there as well."""
        return posixpath.join(os.fsencode(self._account.directory), os.fsencode(name))

    def _rename(self, part: bytes, target: bytes) -> None:
        try:
            self._sftp.posix_rename(part, target)  # an extension of OpenSSH: in place of what is there
        except OSError:
            with suppress(FileNotFoundError):
                self._sftp.stat(part)
                with suppress(OSError):
                    self._sftp.remove(target)
                self._sftp.rename(part, target)
                return
            raise

    def _make_folder(self, folder: bytes) -> None:
        if folder in self._made_folders or folder in (b"", b"/"):
            return
        try:
            self._sftp.stat(folder)
        except FileNotFoundError:
            self._make_folder(posixpath.dirname(folder))
            with suppress(OSError):  # another process was quicker: what is wrong shows when the file is written
                self._sftp.mkdir(folder)
        self._made_folders.add(folder)
