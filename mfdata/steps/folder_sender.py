"""Folder sender: what senders share that put files into a folder of another machine: names, and what a fault means."""

from __future__ import annotations

import os
import posixpath
import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from mfdata import Done, Failed, File, Retry
from mfdata.outcome import Outcome
from mfdata.steps.begun import Begun, Mark
from mfdata.steps.naming import HELP, check_template, temporary_name, written_path
from mfdata.steps.sender import MachineFault, NameTaken, Sender, Session
from mfdata.storage.placement import IF_EXISTS, QUARANTINE, REPLACE, other_names
from mfext.circuit_breaker import BreakerKeys
from mfext.option import option

#: Between two looks after what was left on a machine; it doubles.
_LOOK_AFTER_S, _LONGEST_LOOK_AFTER_S = 10.0, 3600.0


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
    if_exists: str = option(
        "replace",
        choices=IF_EXISTS,
        help="When a file of that name is there: replace = the new one takes its place; number = it gets a number of "
        "its own, ~ and eight digits before its suffix, which the trace says; quarantine = it has failed, for good. By "
        "FTP the other machine is asked just before, so that another client may still be quicker.",
    )
    delete_existing: bool = option(
        False,
        help="When the other machine does not rename over a file that is there: delete that file, then rename. For a "
        "moment, or when the connection breaks, neither is there.",
    )
    timeout: float = option(30.0, unit="s", minimum=0.1, help="Time to wait for the other machine, each time.")
    keep_alive: float = option(10.0, unit="s", minimum=0, help="Time for which an idle connection is kept.")

    def __post_init__(self) -> None:
        check_template(self.dest_basename, "dest_basename")


class FolderSession(Session, Protocol):
    """A connection that puts files."""

    #: Under which name something that ``put`` began may lie there; '' = nothing can.
    begun: str

    def put(self, path: Path, name: str, temporary: str, others: Iterator[str] | None = None) -> str:
        """Put the file at *path* there under *name*, written as *temporary* first; the name that it has got.

        *others* are the names for when that is taken, in turn; None = what is there is replaced.

        Raises:
            NameTaken: no name is left.
        """

    def remove(self, name: str) -> bool:
        """Remove what was begun as *name*; whether the other machine let us."""


F = TypeVar("F", bound=FolderSession)


class FolderSender(Sender[F]):
    """A step that sends into a folder; what it extends is ``connect``, ``is_broken`` and ``outcome_of``."""

    Custom = FolderSenderKeys
    custom: FolderSenderKeys

    _begun_name = ""

    @abstractmethod
    def outcome_of(self, error: BaseException) -> Retry | Failed:
        """What a fault means for the file."""

    def fault_of(self, _name: str) -> str:
        """Why no file can be called so there; '' = one can."""
        return ""

    def open(self) -> None:
        keys = self.custom
        self.begin_with(f"{keys.machine}:{keys.port}", keys, keys.keep_alive)
        place = f"{keys.user}@{self.machine}/{keys.directory}"
        self._begun = Begun(self.home.var / "begun" / f"{self.plugin}.{self.name}", place)
        self._look_after_at = time.monotonic() if self._begun.any_left() else 0.0
        self._look_after_wait = _LOOK_AFTER_S
        #: Until when no file waits for what cannot be removed.
        self._leave_alone_until = 0.0

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
        if temporary == name:  # what lies there under its own name may be another file of that name
            return self._put(file, name, temporary, None)
        with self._begun.writing(temporary) as mark:
            return self._put(file, name, temporary, mark)

    def _put(self, file: File, name: str, temporary: str, mark: Mark | None) -> Outcome:
        self._begun_name = ""
        try:
            name = self.on_connection(lambda session: self._put_by(session, file, name, temporary))
        except NameTaken as error:
            self._take_back(mark, error)
            return Failed(f"{self.machine}: {error}, and if_exists = quarantine", permanent=True)
        except self.faults as error:
            is_of_machine = not self.is_connected or self.is_broken(error)
            outcome = self._with_first_fault(file, self.outcome_of(error))
            if not self._take_back(mark, error):
                # Perhaps it is in the way of the next try, whose fault then says little.
                file.tags.setdefault(self._first_fault, os.fsencode(outcome.reason))
            self.leave(politely=False)
            if is_of_machine:
                raise MachineFault(outcome) from error
            return outcome
        if mark:
            mark.is_kept = False
        place = posixpath.normpath(posixpath.join(self.custom.directory, name))
        return Done(note=f"sent to {self.machine} as {place}")

    def _put_by(self, session: F, file: File, name: str, temporary: str) -> str:
        try:
            return session.put(file.path, name, temporary, self._others(name, file.uid))
        finally:
            self._begun_name = session.begun or self._begun_name

    def _others(self, name: str, uid: str) -> Iterator[str] | None:
        if self.custom.if_exists == REPLACE:
            return None
        if self.custom.if_exists == QUARANTINE:
            return iter(())
        folder, slash, basename = name.rpartition("/")
        return (f"{folder}{slash}{other}" for other in other_names(basename, uid))

    def _take_back(self, mark: Mark | None, error: Exception) -> bool:
        """Remove what was begun there; False = it may be there still. Who is connected later tries that again."""
        if not self._begun_name:
            if mark:
                mark.is_kept = mark.is_old
                self._look_after_soon()
            return True
        try:
            if self._session is None or isinstance(error, TimeoutError):
                raise error  # it would be waited for once more
            is_removed = self._remove(self._session, isinstance(error, NameTaken) or not self.is_broken(error))
        except self.faults:
            self._look_after_soon()
            return False
        if mark:
            mark.is_kept = False
        return is_removed

    def _remove(self, session: F, is_usable: bool) -> bool:
        """Remove what was begun, over *session* if *is_usable*, or else over a new one."""
        if is_usable:
            with suppress(*self.faults):  # an answer to what failed before may still be under way in it
                return session.remove(self._begun_name)
        return self._connected().remove(self._begun_name)

    def _with_first_fault(self, file: File, outcome: Retry | Failed) -> Retry | Failed:
        """*outcome* with the fault that left something there, if another came of it."""
        first = os.fsdecode(file.tags.get(self._first_fault, b""))
        if not first or first == outcome.reason:
            return outcome
        return replace(outcome, reason=f"{first}; then {outcome.reason}")

    @property
    def _first_fault(self) -> str:
        return f"latest.{self.plugin}.{self.name}.first_fault"

    def _look_after_soon(self) -> None:
        if not self._look_after_at:
            self._look_after_at = time.monotonic() + self._look_after_wait

    def _connected(self) -> F:
        session = super()._connected()
        self._remove_left(session)
        return session

    def _remove_left(self, session: F) -> None:
        """Remove what transfers that were broken off have left there; files go on where that cannot be done."""
        if time.monotonic() < self._leave_alone_until:
            return
        self._look_after_at = 0.0
        for name, mark in self._begun.left():
            try:
                session.remove(name)
            except self.faults as error:
                self._look_after_soon()
                self._leave_alone_until = self._look_after_at
                if self.is_broken(error):
                    raise
            else:
                mark.is_kept = False
                self.log.info("what a broken transfer had left is removed", machine=self.machine, name=name)
        if not self._look_after_at:
            self._look_after_wait = _LOOK_AFTER_S

    def idle(self) -> float | None:
        """Something was left there and no file comes: it is looked after now and then, until it is gone."""
        ends = super().idle()
        if not self._look_after_at:
            return ends
        left = self._look_after_at - time.monotonic()
        if left <= 0:
            self._look_after()
            return self.idle()
        return left if ends is None else min(left, ends)

    def _look_after(self) -> None:
        self._leave_alone_until = 0.0
        self._look_after_wait = min(2 * self._look_after_wait, _LONGEST_LOOK_AFTER_S)
        try:
            self._connected()
            self._last_used = time.monotonic()
        except self.faults as error:
            self.leave(politely=False)
            self._look_after_at = time.monotonic() + self._look_after_wait
            self.log.info("what a broken transfer has left cannot be removed yet", reason=self.outcome_of(error).reason)
