"""ftpsend: put every file on another machine by FTP or FTPS."""

from __future__ import annotations

import ftplib  # nosec B402
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

from mfdata import Done, Failed, File, Retry
from mfdata.breaker import BreakerKeys
from mfdata.outcome import Outcome
from mfdata.steps.ftp_session import FAULTS, Account, FtpSession
from mfdata.steps.naming import HELP, check_template, temporary_name, written_path
from mfdata.steps.sender import MachineFault, Sender, plain
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


class FtpSend(Sender[FtpSession]):
    """Sends the file; it ends here once the other machine has it under its name."""

    Custom = FtpSendKeys
    custom: FtpSendKeys
    faults = FAULTS

    def open(self) -> None:
        """Look at the certificates once.

        Raises:
            ConfigError: ``ca_file`` cannot be used.
        """
        keys = self.custom
        self._account = Account(
            machine=keys.machine,
            port=keys.port,
            user=keys.user,
            passwd=keys.passwd,
            directory=keys.directory,
            tls=keys.tls,
            context=None if keys.tls == "none" else self.context(keys.ca_file, verify=keys.verify_certificate),
            passive=keys.passive,
            timeout=keys.timeout,
            create_directory=keys.create_directory,
        )
        self.begin_with(f"{keys.machine}:{keys.port}", keys, keys.keep_alive)

    def process(self, file: File) -> Outcome:
        path = written_path(Path(), self.custom.dest_basename, file, f"{self.plugin}/{self.name}", time.localtime())
        if isinstance(path, Failed):
            return path
        self._name = str(path)
        if any(mark in self._name for mark in "\r\n"):
            return Failed(f"FTP cannot carry a line break in a name: {self._name!r}", permanent=True)
        return super().process(file)

    def connect(self) -> FtpSession:
        return FtpSession(self._account)

    def is_broken(self, error: BaseException) -> bool:
        return not isinstance(error, ftplib.Error) or str(error).startswith("421")

    def send(self, file: File) -> Outcome:
        name = self._name
        temporary = temporary_name(name, self.custom.tmp_suffix, file.uid)
        try:
            self.on_connection(lambda session: session.put(file.path, name, temporary))
        except FAULTS as error:
            is_of_machine = not self.is_connected or self.is_broken(error)
            self.leave(politely=False)
            outcome = outcome_of(error, self.machine, self.custom.passwd)
            if is_of_machine:
                raise MachineFault(outcome) from error
            return outcome
        return Done()


def outcome_of(error: BaseException, where: str, secret: str) -> Retry | Failed:
    """What a fault means for the file.

    What the network or the server says may pass (4xx) is another try. What a person must mend, there or here, may
    be mended before the last try: it has failed, but not for good. Only arguments that the server does not take
    (501) stay as they are.
    """
    text = plain(f"{where}: {_described(error)}", secret)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failed(text)
    if isinstance(error, ftplib.error_perm):
        code = str(error)[:3]
        # 552: no room there, which others make.
        return Retry(text) if code == "552" else Failed(text, permanent=code == "501")
    return Retry(text)


def _described(error: BaseException) -> str:
    if isinstance(error, EOFError):
        return "the connection was closed"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


if __name__ == "__main__":
    FtpSend.main()
