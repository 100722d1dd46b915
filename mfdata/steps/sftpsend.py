"""sftpsend: put every file on another machine by SFTP, the file transfer of SSH."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import paramiko

from mfdata import Done, Failed, File, Retry
from mfdata.breaker import BreakerKeys
from mfdata.outcome import Outcome
from mfdata.steps.naming import HELP, check_template, temporary_name, written_path
from mfdata.steps.sender import MachineFault, Sender, plain
from mfdata.steps.sftp_session import BROKEN, FAULTS, SftpAccount, SftpSession
from mfext.errors import ConfigError
from mfext.option import option


@dataclass(frozen=True, repr=False)
class SftpSendKeys(BreakerKeys):
    """Where files are sent, and as whom."""

    machine: str = option(help="The other machine: a name or an address.", example="mybox.example.org")
    port: int = option(22, minimum=1, maximum=65535, help="Its port.")
    user: str = option(help="The user there.")
    passwd: str = option("", secret=True, help="The password of the user, when it is not a key that proves who it is.")
    key_file: str = option(
        "",
        help="The file with the private key; without it and without passwd, the keys in ~/.ssh are tried.",
        example="{{HOME}}/.ssh/id_ed25519",
    )
    key_passphrase: str = option("", secret=True, help="What protects the private key.")
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
    verify_host_key: bool = option(True, help="Speak only to a machine whose key is among known_hosts.")
    known_hosts: str = option(
        "", help="The file with the keys of machines, as ssh-keyscan writes them; empty = ~/.ssh/known_hosts."
    )
    timeout: float = option(30.0, unit="s", minimum=0.1, help="Time to wait for the other machine, each time.")
    keep_alive: float = option(10.0, unit="s", minimum=0, help="Time for which an idle connection is kept.")

    def __post_init__(self) -> None:
        check_template(self.dest_basename, "dest_basename")


class SftpSend(Sender[SftpSession]):
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
        )
        self.begin_with(f"{keys.machine}:{keys.port}", keys, keys.keep_alive)

    def process(self, file: File) -> Outcome:
        path = written_path(Path(), self.custom.dest_basename, file, f"{self.plugin}/{self.name}", time.localtime())
        if isinstance(path, Failed):
            return path
        self._name = str(path)
        return super().process(file)

    def connect(self) -> SftpSession:
        return SftpSession(self._account)

    def is_broken(self, error: BaseException) -> bool:
        return isinstance(error, BROKEN) or self._session is None or not self._session.is_fresh()

    def send(self, file: File) -> Outcome:
        name = self._name
        temporary = temporary_name(name, self.custom.tmp_suffix, file.uid)
        try:
            self.on_connection(lambda session: session.put(file.path, name, temporary))
        except FAULTS as error:
            is_of_machine = self.is_broken(error)
            self.leave()
            outcome = outcome_of(error, self.machine, self.custom.passwd, self.custom.key_passphrase)
            if is_of_machine:
                raise MachineFault(outcome) from error
            return outcome
        return Done()


def outcome_of(error: BaseException, where: str, *secrets: str) -> Retry | Failed:
    """What a fault means for the file: what a person must mend has failed, but not for good; others may pass (pure)."""
    text = plain(f"{where}: {_described(error)}", *secrets)
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
    return (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__


if __name__ == "__main__":
    SftpSend.main()
