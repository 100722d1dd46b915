"""ftpsend: put every file on another machine by FTP or FTPS."""

from __future__ import annotations

import ftplib  # nosec B402
import ssl
from dataclasses import dataclass

from mfdata import Failed, Retry
from mfdata.steps.folder_sender import FolderSender, FolderSenderKeys
from mfdata.steps.ftp_session import FAULTS, Account, FtpSession
from mfdata.steps.sender import plain, with_command
from mfext.option import option


@dataclass(frozen=True, repr=False)
class FtpSendKeys(FolderSenderKeys):
    """Where files are sent, and as whom."""

    port: int = option(21, minimum=1, maximum=65535, help="Its port; 990 is usual with tls = implicit.")
    tls: str = option(
        "none",
        choices=("none", "explicit", "implicit"),
        help="none = unprotected, password included; explicit = FTPS as in RFC 4217; implicit = TLS from the start.",
    )
    verify_certificate: bool = option(True, help="Speak only to a machine whose certificate is valid for its name.")
    ca_file: str = option("", help="The certificates that are trusted, in PEM form; empty = the system's.")
    passive: bool = option(True, help="We open the data connections (passive mode), not the other machine.")


class FtpSend(FolderSender[FtpSession]):
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
            delete_existing=keys.delete_existing,
        )
        super().open()

    def fault_of(self, name: str) -> str:
        return f"FTP cannot carry a line break in a name: {name!r}" if any(mark in name for mark in "\r\n") else ""

    def connect(self) -> FtpSession:
        return FtpSession(self._account)

    def is_broken(self, error: BaseException) -> bool:
        return not isinstance(error, ftplib.Error) or str(error).startswith("421")

    def outcome_of(self, error: BaseException) -> Retry | Failed:
        return outcome_of(error, self.machine, self.custom.passwd)


def outcome_of(error: BaseException, where: str, secret: str) -> Retry | Failed:
    """What a fault means for the file.

    What the network or the server says may pass (4xx) is another try. What a person must mend, there or here, may
    be mended before the last try: it has failed, but not for good. Only arguments that the server does not take
    (501) stay as they are.
    """
    text = plain(f"{where}: {with_command(error, _described(error))}", secret)
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
