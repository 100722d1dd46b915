"""FTP session: a connection to another machine that puts files there, whole or not at all."""

from __future__ import annotations

import ftplib  # nosec B402
import os
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfdata.steps.sender import NameTaken, asking, with_command

#: Seconds that the other side gets to say good-bye, or to say why it broke a transfer off.
_LAST_WORDS_S = 2.0
#: How servers word it that there is no such file.
_NOT_THERE = re.compile(r"no such file|not found|cannot find|not exist|n't exist", re.IGNORECASE)
#: Everything that FTP and what is below it can raise.
FAULTS = (ftplib.Error, OSError, EOFError)


class Incomplete(ftplib.error_temp):
    """The other machine has not all of the file."""


@dataclass(frozen=True, repr=False)
class Account:
    """Where and as whom to log in."""

    machine: str
    port: int
    user: str
    passwd: str
    directory: str
    #: none, explicit or implicit.
    tls: str
    context: ssl.SSLContext | None
    passive: bool
    timeout: float
    create_directory: bool
    delete_existing: bool


class FtpSession:
    """One logged-in connection in the directory of the account. Everything may raise one of ``FAULTS``."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._made_folders: set[str] = set()
        #: Under which name something that ``put`` began may lie there; '' = nothing can.
        self.begun = ""
        #: An answer may still be under way.
        self._is_doubtful = False
        self._ftp = _client(account)
        try:
            self._log_in()
        except BaseException:
            self._ftp.close()
            raise

    def _log_in(self) -> None:
        account, ftp = self._account, self._ftp
        ftp.connect(account.machine, account.port)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        with asking("login"):
            ftp.login(wire(account.user), wire(account.passwd))
        if isinstance(ftp, _Secure):
            ftp.prot_p()
        ftp.set_pasv(account.passive)
        ftp.voidcmd("TYPE I")
        if account.directory not in ("", "."):
            with asking(f"CWD {account.directory}"):
                self._enter(wire(account.directory))

    def _enter(self, directory: str) -> None:
        try:
            self._ftp.cwd(directory)
        except ftplib.error_perm:
            if not self._account.create_directory:
                raise
            self._make_folder(directory)
            self._ftp.cwd(directory)

    def put(self, path: Path, name: str, temporary: str, others: Iterator[str] | None = None) -> str:
        """Store the file at *path* under *name*, complete when it appears; the name that it has got.

        Args:
            path: the file.
            name: below the directory; may hold ``/``, but neither CR, LF nor NUL.
            temporary: name under which it is written first, in the same folder; *name* = none.
            others: names for when *name* is taken, in turn; None = what is there is replaced.

        Raises:
            NameTaken: no name is left.
        """
        self.begun = ""
        is_last = temporary == name
        name = name if others is None else self._free_name(name, others)
        part = argument(name if is_last else temporary)
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            with asking(f"STOR {temporary}"):
                self._store(file, name if is_last else temporary, is_last=is_last)
        with asking(f"SIZE {temporary}"):
            is_known = self._check_size(part, size, is_last=is_last)
        if is_last:
            return name
        if others is not None:
            if not is_known:
                words = "502 it does not say which names are taken, and only if_exists = replace works"
                raise ftplib.error_perm(words)  # noqa: S321  # an answer
            name = self._free_name(name, others)
        self._rename(part, argument(name), names=(temporary, name), is_known=is_known)
        return name

    def _free_name(self, name: str, others: Iterator[str]) -> str:
        while True:
            with asking(f"SIZE {name}"):
                if self._size(argument(name)) is None:
                    return name
            try:
                name = next(others)
            except StopIteration:
                raise NameTaken(f"{name} is there already") from None

    def remove(self, name: str) -> bool:
        """Remove what was begun as *name*; whether the server let us."""
        self._socket.settimeout(self._account.timeout)
        try:
            self._do(f"DELE {argument(name)}")
        except ftplib.error_perm:
            return False
        return True

    def _store(self, file: Any, name: str, *, is_last: bool) -> None:
        part = argument(name)
        folder = part.rpartition("/")[0]
        if folder and self._account.create_directory and folder not in self._made_folders:
            self._make_folder(folder)
        # A server may make the file before it refuses to take it. Under its own name, it may be an older one.
        self.begun = "" if is_last else name
        data, _ = self._ftp.ntransfercmd(f"STOR {part}")
        self.begun = name
        with self._reason_of_break():
            try:
                _send(file, data)
            finally:
                data.close()
        self._ftp.voidresp()

    @contextmanager
    def _reason_of_break(self) -> Iterator[None]:
        """A transfer that breaks off: what the server says of it is worth more than the broken pipe."""
        try:
            yield
        except OSError as error:
            self._socket.settimeout(_LAST_WORDS_S)
            try:
                self._ftp.voidresp()
            except ftplib.Error:
                raise
            except (OSError, EOFError):
                raise error from None
            raise

    def _check_size(self, name: str, size: int, *, is_last: bool) -> bool:
        """Whether the server says that it has all; one that does not let us ask, or says no number, says nothing.

        The server has acknowledged the file: when this is the last word on it, only a wrong size is a fault.
        """
        try:
            found = self._size(name)
        except (OSError, EOFError):
            if not is_last:
                raise
            self._is_doubtful = True
            return False
        if found is not None and found != size:
            raise Incomplete(f"450 the other machine has {found} of {size} bytes")
        return found is not None

    def _size(self, name: str) -> int | None:
        try:
            answer = self._ask(f"SIZE {name}")
        except ftplib.Error as error:
            if str(error).startswith("421"):
                raise EOFError from error
            return None
        number = answer[3:].strip()
        return int(number) if answer.startswith("213") and number.isascii() and number.isdecimal() else None

    def _rename(self, part: str, final: str, *, names: tuple[str, str], is_known: bool) -> None:
        try:
            with asking(f"RNFR {names[0]}"):
                self._begin_rename(part)
        except ftplib.error_perm as refused:
            # Some servers hand a file on as soon as it is there.
            if (is_known or _NOT_THERE.search(str(refused))) and self._size(part) is None:
                return
            raise
        try:
            with asking(f"RNTO {names[1]}"):
                self._do(f"RNTO {final}")
        except ftplib.error_perm as refused:
            self._rename_over(part, final, names, refused)

    def _begin_rename(self, part: str) -> None:
        answer = self._ask(f"RNFR {part}")
        if not answer.startswith("3"):
            raise ftplib.error_reply(answer)  # noqa: S321  # an answer

    def _rename_over(self, part: str, final: str, names: tuple[str, str], refused: ftplib.error_perm) -> None:
        """Rename onto a file that is there, on a server that does not let us: only if that is asked for."""
        if self._size(final) is None:
            raise refused
        if not self._account.delete_existing:
            refused.add_note(f"{names[1]} is there, and only delete_existing = 1 lets it be deleted first")
            raise refused
        try:
            with asking(f"DELE {names[1]}"):
                self._do(f"DELE {final}")
            with asking(f"RNFR {names[0]}"):
                self._begin_rename(part)
            with asking(f"RNTO {names[1]}"):
                self._do(f"RNTO {final}")
        except ftplib.Error as error:
            error.add_note(f"first was {with_command(refused, str(refused))}")
            raise

    def _ask(self, command: str) -> str:
        """The answer to *command*; some servers say twice that the transfer before is through (226)."""
        answer = self._ftp.sendcmd(command)
        while answer.startswith("226"):
            answer = self._ftp.getresp()
        return answer

    def _do(self, command: str) -> None:
        answer = self._ask(command)
        if not answer.startswith("2"):
            raise ftplib.error_reply(answer)  # noqa: S321  # an answer

    def _make_folder(self, folder: str) -> None:
        """Make *folder* and those above it; that one is there already is no fault."""
        parts = folder.split("/")
        for count in range(1, len(parts) + 1):
            above = "/".join(parts[:count])
            if above not in ("", ".", "./") and above not in self._made_folders:
                with suppress(ftplib.error_perm):
                    self._ftp.mkd(above)
                self._made_folders.add(above)

    def is_fresh(self) -> bool:
        """Whether nothing has come since the last answer: no good-bye, no end of the connection."""
        if self._is_doubtful:
            return False
        try:
            self._socket.settimeout(0)
            if self._has_line():
                return False
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            self._socket.settimeout(self._account.timeout)
            return True
        except OSError:
            return False
        return False

    def _has_line(self) -> bool:
        """Whether an answer to nothing was read together with the last one."""
        assert self._ftp.file is not None
        with suppress(ssl.SSLWantReadError):
            return bool(self._ftp.file.readline())
        return False

    def close(self, *, politely: bool = True) -> None:
        """End the connection."""
        if politely:
            with suppress(*FAULTS):
                self._socket.settimeout(_LAST_WORDS_S)
                self._ftp.quit()
        self._ftp.close()

    @property
    def _socket(self) -> socket.socket:
        assert self._ftp.sock is not None
        return self._ftp.sock


class _Secure(ftplib.FTP_TLS):
    """FTP over TLS whose data connections continue the control connection's session, as many servers demand."""

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)  # noqa: S321  # nosec B321
        assert isinstance(self.sock, ssl.SSLSocket)
        try:
            return self.context.wrap_socket(connection, server_hostname=self.host, session=self.sock.session), size
        except BaseException:
            connection.close()
            raise


class _SecureFromTheStart(_Secure):
    """TLS before the first word (implicit FTPS)."""

    def connect(self, host: str = "", port: int = 0, timeout: float = -999, source_address: Any = None) -> str:
        self.host, self.port = host, port
        plain = socket.create_connection((host, port), self.timeout)
        self.af = plain.family
        self.sock = self.context.wrap_socket(plain, server_hostname=host)
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        return self.welcome


def _client(account: Account) -> ftplib.FTP:
    # With this encoding every byte of a name passes as it is, see wire().
    if account.tls == "none":  # what the other machine speaks is the user's choice
        return ftplib.FTP(timeout=account.timeout, encoding="latin-1")  # noqa: S321  # nosec B321
    kind = _Secure if account.tls == "explicit" else _SecureFromTheStart
    return kind(context=account.context, timeout=account.timeout, encoding="latin-1")


def wire(text: str) -> str:
    """*text*, a file name or a word, as ftplib must get it so that its very bytes are sent."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def argument(name: str) -> str:
    """*name* as the argument of a command: never taken for an option, never trimmed."""
    return wire(f"./{name}" if name[:1] in ("-", " ") else name)


def _send(file: Any, data: socket.socket) -> None:
    if not isinstance(data, ssl.SSLSocket):
        data.sendfile(file)
        return
    while chunk := file.read(256 * 1024):
        data.sendall(chunk)
    # The end mark, without which a strict server takes the file for cut off. Some servers close without theirs.
    with suppress(OSError):
        data.unwrap()
