"""ftpsend: put every file on another machine by FTP or FTPS."""

from __future__ import annotations

import ftplib  # nosec B402
import hashlib
import os
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

from mfdata import Done, Failed, File, Hold, Retry, Step
from mfdata.breaker import Breaker, BreakerKeys
from mfdata.outcome import Outcome
from mfdata.steps.ftp_session import FAULTS, Account, FtpSession, tls_context
from mfdata.steps.naming import HELP, LONGEST, check_template, fitted, written_path
from mfext.errors import ConfigError
from mfext.option import option


@dataclass(frozen=True, repr=False)
class FtpSendKeys(BreakerKeys):
    """Where files are sent, and as whom."""

    machine: str = option(help="The other machine: a name or an address.", example="mybox.example.org")
    port: int = option(21, minimum=1, maximum=65535, help="Its port; 990 is usual with tls = implicit.")
    user: str = option(help="The user there.")
    passwd: str = option("", secret=True, help="The password of the user.")
    directory: str = option(".", help="The folder there; . = where the user is after the login.")
    dest_basename: str = option("{ORIGINAL_BASENAME}", help=f"Name of each file below directory; {HELP}")
    tmp_suffix: str = option(
        ".t",
        pattern=r"[^/\s]*",
        form='text without "/" and blanks',
        help="A file is written under a name that ends so, and renamed once it is complete; empty = it is written "
        "under its own name, which the other machine may then see incomplete.",
    )
    create_directory: bool = option(False, help="Make folders that are not there.")
    tls: str = option(
        "none",
        choices=("none", "explicit", "implicit"),
        help="none = unprotected, password included; explicit = FTPS as in RFC 4217; implicit = TLS from the start.",
    )
    verify_certificate: bool = option(True, help="Speak only to a machine whose certificate is valid for its name.")
    ca_file: str = option("", help="The certificates that are trusted, in PEM form; empty = the system's.")
    passive: bool = option(True, help="We open the data connections (passive mode), not the other machine.")
    timeout: float = option(30.0, unit="s", minimum=0.1, help="Time to wait for the other machine, each time.")
    keep_alive: float = option(10.0, unit="s", minimum=0, help="Time for which an idle connection is kept.")

    def __post_init__(self) -> None:
        check_template(self.dest_basename, "dest_basename")


class FtpSend(Step):
    """Sends the file; it ends here once the other machine has it under its name."""

    Custom = FtpSendKeys
    custom: FtpSendKeys

    _session: FtpSession | None = None
    _last_used = 0.0

    def open(self) -> None:
        """Look at the certificates once.

        Raises:
            ConfigError: ``ca_file`` cannot be used.
        """
        keys = self.custom
        try:
            context = None if keys.tls == "none" else tls_context(keys.ca_file, verify=keys.verify_certificate)
        except OSError as error:
            where = f"{self.plugin} [custom] ca_file"
            raise ConfigError(f"{keys.ca_file} cannot be used: {error.strerror or error}", where=where) from error
        self._account = Account(
            machine=keys.machine,
            port=keys.port,
            user=keys.user,
            passwd=keys.passwd,
            directory=keys.directory,
            tls=keys.tls,
            context=context,
            passive=keys.passive,
            timeout=keys.timeout,
            create_directory=keys.create_directory,
        )
        self._where = f"{keys.machine}:{keys.port}"
        self._breaker = Breaker(self.home, f"{self.plugin}/{self.name}", self._where, keys)
        self._breaker.forget_others()

    def process(self, file: File) -> Outcome:
        keys = self.custom
        place = f"{self.plugin}/{self.name}"
        path = written_path(Path(), keys.dest_basename, file, place, time.localtime())
        if isinstance(path, Failed):
            return path
        name = str(path)
        if any(mark in name for mark in "\r\n"):
            return Failed(f"FTP cannot carry a line break in a name: {name!r}", permanent=True)
        wait = self._breaker.wait()
        if wait:
            return Hold(f"{self._where} is left in peace: it does not answer", wait)
        try:
            self._put(file, name, temporary_name(name, keys.tmp_suffix, file.uid))
        except FAULTS as error:
            is_theirs = self._session is None or _is_broken(error)
            self._leave(politely=False)
            outcome = outcome_of(error, self._where, keys.passwd)
            return self._failed(outcome) if is_theirs else self._answered(outcome)
        return self._answered(Done())

    def _answered(self, outcome: Outcome) -> Outcome:
        """The other machine does its work, whatever it says of this file."""
        if self._breaker.succeeded():
            self.log.info("the other machine answers again", machine=self._where)
        return outcome

    def _failed(self, outcome: Retry | Failed) -> Outcome:
        """No file could have been sent."""
        wait = self._breaker.failed(outcome.reason)
        if not wait:
            return outcome
        self.log.error("the other machine is left in peace for a while", reason=outcome.reason, seconds=round(wait, 1))
        return Retry(outcome.reason, after=wait, counts=False)

    def _put(self, file: File, name: str, temporary: str) -> None:
        kept = self._session if self._session and self._session.is_fresh() else None
        try:
            self._session = kept or self._new_session()
            self._session.put(file.path, name, temporary)
        except FAULTS as error:
            # A connection that was idle may have ended in this very moment: that is nobody's fault.
            if kept is None or not _is_broken(error):
                raise
            self._session = self._new_session()
            self._session.put(file.path, name, temporary)
        self._last_used = time.monotonic()

    def _new_session(self) -> FtpSession:
        self._leave()
        return FtpSession(self._account)

    def idle(self) -> float | None:
        if self._session is None:
            return None
        left = self._last_used + self.custom.keep_alive - time.monotonic()
        if left > 0:
            return left
        self._leave()
        return None

    def close(self) -> None:
        self._leave()

    def _leave(self, *, politely: bool = True) -> None:
        session, self._session = self._session, None
        if session:
            session.close(politely=politely)


def temporary_name(name: str, suffix: str, uid: str) -> str:
    """The name under which *name* is written first.

    It is the file's own, so that two files of one name do not meet in it, and the same at each try, so that what a
    broken connection left behind is written over.
    """
    if not suffix:
        return name
    folder, slash, basename = name.rpartition("/")
    mark = f".{hashlib.blake2s(uid.encode('utf-8', 'surrogateescape'), digest_size=4).hexdigest()}{suffix}"
    return f"{folder}{slash}{fitted(basename, LONGEST - len(os.fsencode(mark)))}{mark}"


def outcome_of(error: BaseException, where: str, secret: str) -> Retry | Failed:
    """What a fault means for the file.

    What the network or the server says may pass (4xx) is another try. What a person must mend, there or here, may
    be mended before the last try: it has failed, but not for good. Only arguments that the server does not take
    (501) stay as they are.
    """
    text = _without_secret(f"{where}: {_described(error)}", secret)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failed(text)
    if isinstance(error, ftplib.error_perm):
        code = str(error)[:3]
        # 552: no room there, which others make.
        return Retry(text) if code == "552" else Failed(text, permanent=code == "501")
    return Retry(text)


def _is_broken(error: BaseException) -> bool:
    """Whether the connection, not the file, was at fault."""
    return not isinstance(error, ftplib.Error) or str(error).startswith("421")


def _described(error: BaseException) -> str:
    if isinstance(error, EOFError):
        return "the connection was closed"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _without_secret(text: str, secret: str) -> str:
    """*text* on one line, printable, and without the password if the server repeats it."""
    for form in (secret, secret.encode().decode("latin-1")) if secret else ():
        text = text.replace(form, "********")
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


if __name__ == "__main__":
    FtpSend.main()
