"""sftpsend: put every file on another machine by SFTP, the file transfer of SSH."""

from __future__ import annotations

import os
from dataclasses import dataclass

import paramiko

from mfdata import Failed, Retry
from mfdata.steps.folder_sender import FolderSender, FolderSenderKeys
from mfdata.steps.sender import plain, with_command
from mfdata.steps.sftp_session import BROKEN, FAULTS, SftpAccount, SftpSession
from mfext.errors import ConfigError
from mfext.option import option

#: How paramiko words it that the handshake took longer than the timeout, or that there was none.
_NO_SSH = ("No existing session", "SSH protocol banner")


@dataclass(frozen=True, repr=False)
class SftpSendKeys(FolderSenderKeys):
    """Where files are sent, and as whom."""

    passwd: str = option("", secret=True, help="The password of the user, when it is not a key that proves who it is.")
    key_file: str = option(
        "",
        help="The file with the private key; without it and without passwd, the keys in ~/.ssh are tried.",
        example="{{HOME}}/.ssh/id_ed25519",
    )
    key_passphrase: str = option("", secret=True, help="What protects the private key.")
    verify_host_key: bool = option(True, help="Speak only to a machine whose key is among known_hosts.")
    known_hosts: str = option(
        "", help="The file with the keys of machines, as ssh-keyscan writes them; empty = ~/.ssh/known_hosts."
    )


class SftpSend(FolderSender[SftpSession]):
    """Sends the file; it ends here once the other machine has it under its name."""

    Custom = SftpSendKeys
    custom: SftpSendKeys
    faults = FAULTS

    def open(self) -> None:
        """Look at the files that are named once.

        Raises:
            ConfigError: one of them cannot be read.
        """
        keys = self.custom
        for key, path in (("key_file", keys.key_file), ("known_hosts", keys.known_hosts)):
            if path and not os.access(path, os.R_OK):
                raise ConfigError(f"{path} cannot be read", where=f"{self.plugin} [custom] {key}")
        self._account = SftpAccount(
            machine=keys.machine,
            port=keys.port,
            user=keys.user,
            passwd=keys.passwd,
            key_file=keys.key_file,
            key_passphrase=keys.key_passphrase,
            directory=keys.directory,
            known_hosts=keys.known_hosts if keys.verify_host_key else None,
            timeout=keys.timeout,
            create_directory=keys.create_directory,
            delete_existing=keys.delete_existing,
        )
        super().open()

    def connect(self) -> SftpSession:
        return SftpSession(self._account)

    def is_broken(self, error: BaseException) -> bool:
        return isinstance(error, BROKEN) or self._session is None or not self._session.is_fresh()

    def outcome_of(self, error: BaseException) -> Retry | Failed:
        return outcome_of(error, self.machine, self.custom.passwd, self.custom.key_passphrase)


def outcome_of(error: BaseException, where: str, *secrets: str) -> Retry | Failed:
    """What a fault means for the file: what a person must mend has failed, but not for good; others may pass (pure)."""
    text = plain(f"{where}: {with_command(error, _described(error))}", *secrets)
    for_a_person = (paramiko.AuthenticationException, paramiko.BadHostKeyException, FileNotFoundError, PermissionError)
    if isinstance(error, for_a_person) or "not found in known_hosts" in text:
        return Failed(text)
    return Retry(text)


def _described(error: BaseException) -> str:
    if isinstance(error, paramiko.BadHostKeyException):
        return "its host key is another one than known_hosts says: somebody may stand in between"
    if isinstance(error, paramiko.AuthenticationException):
        return f"the login is refused: {error}"
    if isinstance(error, FileNotFoundError):
        return "the directory is not there"
    if isinstance(error, EOFError):
        return "the connection was closed"
    if any(said in str(error) for said in _NO_SSH):
        return "it took the connection and did not answer as SSH does in time"
    return (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__


if __name__ == "__main__":
    SftpSend.main()
