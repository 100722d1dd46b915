"""SFTP session: a connection to another machine that puts files there, whole or not at all."""

from __future__ import annotations

import errno
import logging
import os
import posixpath
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import paramiko

from mfdata.steps.sender import asking, with_command

#: As much is written by one request.
_BLOCK = 32_768
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
    delete_existing: bool


class SftpSession:
    """One logged-in connection. Everything may raise one of ``FAULTS``."""

    def __init__(self, account: SftpAccount) -> None:
        # What it has to say is raised as well.
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)
        self._account = account
        self._made_folders: set[bytes] = set()
        #: Whether what ``put`` began may lie there.
        self.has_begun = False
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
        self.has_begun = False
        target, part = self._place(name), self._place(temporary)
        if self._account.create_directory:
            with asking(f"mkdir {posixpath.dirname(name)}"):
                self._make_folder(posixpath.dirname(target))
        with open(path, "rb") as content:
            size = os.fstat(content.fileno()).st_size
            # Under its own name, it may be an older one.
            self.has_begun = part != target
            with asking(f"open {temporary}"):
                remote = self._sftp.open(part, "wb")
            self.has_begun = True
            with asking(f"write {temporary}"):
                _write(content, remote)
        with asking(f"stat {temporary}"):
            self._check_size(part, size)
        if part != target:
            self._rename(part, target, names=(temporary, name))

    def remove(self, name: str) -> bool:
        """Remove what was begun as *name*; whether the server let us."""
        try:
            self._sftp.remove(self._place(name))
        except FileNotFoundError:
            return True
        except BROKEN:
            raise
        except OSError:
            return False
        return True

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

    def _check_size(self, part: bytes, size: int) -> None:
        """A server that has acknowledged all of the file may not let us look at it, or have handed it on."""
        try:
            found = self._sftp.stat(part).st_size
        except BROKEN:
            raise
        except OSError:
            return
        if found is not None and found != size:
            raise Incomplete(errno.EIO, f"it has {found} bytes of {size} there")

    def _rename(self, part: bytes, target: bytes, *, names: tuple[str, str]) -> None:
        words = f"rename {names[0]} to {names[1]}"
        try:
            with asking(words):
                self._rename_as_it_can(part, target)
        except BROKEN:
            raise
        except FileNotFoundError:
            # Some servers hand a file on as soon as it is there.
            if self._is_there(part):
                raise
        except OSError as refused:
            if not self._is_there(target):
                raise
            if not self._account.delete_existing:
                refused.add_note(f"{names[1]} is there, and only delete_existing = 1 lets it be deleted first")
                raise
            self._rename_over(part, target, names, refused)

    def _rename_as_it_can(self, part: bytes, target: bytes) -> None:
        try:
            self._sftp.posix_rename(part, target)  # an extension of OpenSSH: in place of what is there
        except (*BROKEN, FileNotFoundError):
            raise
        except OSError:
            self._sftp.rename(part, target)

    def _rename_over(self, part: bytes, target: bytes, names: tuple[str, str], refused: OSError) -> None:
        try:
            with asking(f"remove {names[1]}"):
                self._sftp.remove(target)
            with asking(f"rename {names[0]} to {names[1]}"):
                self._sftp.rename(part, target)
        except FAULTS as error:
            error.add_note(f"first was {with_command(refused, str(refused))}")
            raise

    def _is_there(self, name: bytes) -> bool:
        try:
            self._sftp.stat(name)
        except BROKEN:
            raise
        except OSError:
            return False
        return True

    def _make_folder(self, folder: bytes) -> None:
        if folder in self._made_folders or folder in (b"", b"/"):
            return
        try:
            self._sftp.stat(folder)
        except BROKEN:
            raise
        except OSError:  # it is not there, or may not be looked at
            self._make_folder(posixpath.dirname(folder))
            with suppress(OSError):  # another process was quicker: what is wrong shows when the file is written
                self._sftp.mkdir(folder)
        self._made_folders.add(folder)


def _write(content: BinaryIO, remote: paramiko.SFTPFile) -> None:
    """Send all of *content*; done when the server has acknowledged all of it."""
    with remote:
        remote.set_pipelined(True)
        block = content.read(_BLOCK)
        while block:
            following = content.read(_BLOCK)
            if not following:
                remote.set_pipelined(False)  # the answers to all that was written are read with that to the last
            remote.write(block)
            block = following
