"""SFTP session: a connection to another machine that puts files there, whole or not at all."""

from __future__ import annotations

import errno
import logging
import os
import posixpath
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import paramiko

from mfdata.steps.sender import NameTaken, asking, with_command

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
        #: Under which name something that ``put`` began may lie there; '' = nothing can.
        self.begun = ""
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

    def put(self, path: Path, name: str, temporary: str, others: Iterator[str] | None = None) -> str:
        """Put the file at *path* there under *name*, complete when it appears; the name that it has got.

        Args:
            path: the file here.
            name: relative to the directory of the account.
            temporary: the name under which it is written; the same as *name*: it appears while it is written.
            others: names for when *name* is taken, in turn; None = what is there is replaced.

        Raises:
            NameTaken: no name is left.
        """
        self.begun = ""
        is_last = temporary == name
        if others is not None:
            name = self._free_name(name, others)
        part = name if is_last else temporary
        if self._account.create_directory:
            with asking(f"mkdir {posixpath.dirname(name)}"):
                self._make_folder(posixpath.dirname(self._place(name)))
        with open(path, "rb") as content:
            size = os.fstat(content.fileno()).st_size
            # Under its own name, it may be an older one.
            self.begun = "" if is_last else part
            with asking(f"open {part}"):
                remote = self._sftp.open(self._place(part), "wx" if is_last and others is not None else "wb")
            self.begun = part
            with asking(f"write {part}"):
                _write(content, remote)
        with asking(f"stat {part}"):
            self._check_size(self._place(part), size)
        if is_last:
            return name
        if others is not None:
            return self._rename_new(part, name, others)
        self._rename(self._place(part), self._place(name), names=(part, name))
        return name

    def _free_name(self, name: str, others: Iterator[str]) -> str:
        while self._is_there(self._place(name)):
            try:
                name = next(others)
            except StopIteration:
                raise NameTaken(f"{name} is there already") from None
        return name

    def _rename_new(self, part: str, name: str, others: Iterator[str]) -> str:
        """Rename without replacing, as this command promises where the server follows the protocol."""
        while True:
            name = self._free_name(name, others)
            try:
                with asking(f"rename {part} to {name}"):
                    self._sftp.rename(self._place(part), self._place(name))
            except BROKEN:
                raise
            except FileNotFoundError:
                if self._is_there(self._place(part)):
                    raise
            except OSError:
                if not self._is_there(self._place(name)):
                    raise
                continue
            return name

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
