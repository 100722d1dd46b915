"""Folder sender: what senders share that put files into a folder of another machine: names, and what a fault means."""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from mfdata import Done, Failed, File, Retry
from mfdata.breaker import BreakerKeys
from mfdata.outcome import Outcome
from mfdata.steps.naming import HELP, check_template, temporary_name, written_path
from mfdata.steps.sender import MachineFault, Sender, Session
from mfext.option import option


@dataclass(frozen=True, repr=False)
class FolderSenderKeys(BreakerKeys):
    """Where files are sent, and as whom."""

    machine: str = option(help="The other machine: a name or an address.", example="mybox.example.org")
    port: int = option(22, minimum=1, maximum=65535, help="Its port.")
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
    timeout: float = option(30.0, unit="s", minimum=0.1, help="Time to wait for the other machine, each time.")
    keep_alive: float = option(10.0, unit="s", minimum=0, help="Time for which an idle connection is kept.")

    def __post_init__(self) -> None:
        check_template(self.dest_basename, "dest_basename")


class FolderSession(Session, Protocol):
    """A connection that puts files."""

    def put(self, path: Path, name: str, temporary: str) -> None:
        """Put the file at *path* there under *name*, written as *temporary* first."""


F = TypeVar("F", bound=FolderSession)


class FolderSender(Sender[F]):
    """A step that sends into a folder; what it extends is ``connect``, ``is_broken`` and ``outcome_of``."""

    Custom = FolderSenderKeys
    custom: FolderSenderKeys

    @abstractmethod
    def outcome_of(self, error: BaseException) -> Retry | Failed:
        """What a fault means for the file."""

    def fault_of(self, _name: str) -> str:
        """Why no file can be called so there; '' = one can."""
        return ""

    def open(self) -> None:
        self.begin_with(f"{self.custom.machine}:{self.custom.port}", self.custom, self.custom.keep_alive)

    def process(self, file: File) -> Outcome:
        path = written_path(Path(), self.custom.dest_basename, file, f"{self.plugin}/{self.name}", time.localtime())
        if isinstance(path, Failed):
            return path
        self._name = str(path)
        fault = self.fault_of(self._name)
        return Failed(fault, permanent=True) if fault else super().process(file)

    def send(self, file: File) -> Outcome:
        name = self._name
        temporary = temporary_name(name, self.custom.tmp_suffix, file.uid)
        try:
            self.on_connection(lambda session: session.put(file.path, name, temporary))
        except self.faults as error:
            is_of_machine = not self.is_connected or self.is_broken(error)
            self.leave(politely=False)
            outcome = self.outcome_of(error)
            if is_of_machine:
                raise MachineFault(outcome) from error
            return outcome
        return Done()
