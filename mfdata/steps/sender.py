"""Sender: what all steps that bring files to another machine share: its breaker, and one connection that is kept."""

from __future__ import annotations

import ssl
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar, Generic, Protocol, TypeVar

from mfdata import Failed, File, Hold, Retry, Step
from mfdata.outcome import Outcome
from mfext.circuit_breaker import Breaker, BreakerKeys
from mfext.errors import ConfigError
from mfext.net.tls import client_context


class Session(Protocol):
    """A connection to the other machine."""

    def is_fresh(self) -> bool:
        """Whether it has not ended meanwhile, as far as can be seen without asking."""

    def close(self, *, politely: bool = True) -> None:
        """End it; *politely* = with a good-bye, where there is one."""


S = TypeVar("S", bound=Session)
T = TypeVar("T")


@contextmanager
def asking(command: str) -> Iterator[None]:
    """Whatever goes wrong, :func:`command_of` tells that it was in *command*."""
    try:
        yield
    except Exception as error:
        if not command_of(error):
            error.add_note(command)
        raise


def command_of(error: BaseException) -> str:
    """The command in which *error* arose, ''  when it was none."""
    return next(iter(getattr(error, "__notes__", ())), "")


def with_command(error: BaseException, text: str) -> str:
    """*text*, which is of *error*, with the command before it and what else was noted of it behind."""
    notes: list[str] = getattr(error, "__notes__", [])
    command, *more = [*notes, ""]
    return "; ".join([f"{command}: {text}" if command else text, *filter(None, more)])


class NameTaken(Exception):
    """A file of that name is there, and must stay."""


class MachineFault(Exception):
    """No file could have been sent: it is the other machine's, or the network's."""

    def __init__(self, outcome: Retry | Failed) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class Sender(Step, Generic[S]):
    """A step that sends; what it extends is ``connect`` and ``send``, and ``open`` calls ``begin_with``."""

    #: All that a session may raise.
    faults: ClassVar[tuple[type[Exception], ...]] = (OSError,)

    _session: S | None = None
    _last_used = 0.0

    @abstractmethod
    def connect(self) -> S:
        """A new connection."""

    @abstractmethod
    def send(self, file: File) -> Outcome:
        """Send *file* with ``on_connection``.

        Raises:
            MachineFault: the fault is not the file's.
        """

    def is_broken(self, _error: BaseException) -> bool:
        """Whether *_error*, one of ``faults``, says that the connection itself is of no use."""
        return True

    def begin_with(self, machine: str, keys: BreakerKeys, keep_alive: float) -> None:
        """From now on files go to *machine*, and an idle connection is kept for *keep_alive* seconds."""
        self.machine = machine
        self._keep_alive = keep_alive
        self._breaker = Breaker(self.home, f"{self.plugin}/{self.name}", machine, keys)
        self._breaker.forget_others()

    def process(self, file: File) -> Outcome:
        wait = self._breaker.wait()
        if wait:
            why = "it answers with a fault to be mended" if self._breaker.is_refused else "it does not answer"
            return Hold(f"{self.machine} is left in peace: {why}", wait)
        try:
            outcome = self.send(file)
        except MachineFault as fault:
            return self._failed(fault.outcome)
        if self._breaker.succeeded():
            self.log.info("the other machine answers again", machine=self.machine)
        return outcome

    def on_connection(self, use: Callable[[S], T]) -> T:
        """What *use* gives of the connection that is kept, or of a new one.

        A connection that was idle may have ended in this very moment: that is nobody's fault, and tried once more.
        Not so a machine that is silent: it may have the file, and answer yet.
        """
        kept = self._session if self._session and self._session.is_fresh() else None
        try:
            result = use(kept or self._connected())
        except self.faults as error:
            if kept is None or isinstance(error, TimeoutError) or not self.is_broken(error):
                raise
            result = use(self._connected())
        self._last_used = time.monotonic()
        return result

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._session is not None

    def idle(self) -> float | None:
        if self._session is None:
            return None
        left = self._last_used + self._keep_alive - time.monotonic()
        if left > 0:
            return left
        self.leave()
        return None

    def close(self) -> None:
        self.leave()

    def leave(self, *, politely: bool = True) -> None:
        """End the connection, if there is one."""
        session, self._session = self._session, None
        if session:
            session.close(politely=politely)

    def context(self, ca_file: str, *, verify: bool) -> ssl.SSLContext:
        """How the other machine proves who it is: by the certificates of *ca_file*, or the system's when that is ''.

        Raises:
            ConfigError: *ca_file* cannot be used.
        """
        try:
            return client_context(ca_file, verify=verify)
        except OSError as error:
            where = f"{self.plugin} [custom] ca_file"
            raise ConfigError(f"{ca_file} cannot be used: {error.strerror or error}", where=where) from error

    def _connected(self) -> S:
        self.leave()
        self._session = self.connect()
        return self._session

    def _failed(self, outcome: Retry | Failed) -> Outcome:
        wait = self._breaker.failed(outcome.reason, is_refused=isinstance(outcome, Failed))
        if not wait:
            return outcome
        self.log.error("the other machine is left in peace for a while", reason=outcome.reason, seconds=round(wait, 1))
        return Retry(outcome.reason, after=wait, counts=False)


def plain(text: str, *secrets: str) -> str:
    """*text*, which the other machine may have written, on one line, printable, and without *secrets*."""
    for secret in filter(None, secrets):
        for form in (secret, secret.encode().decode("latin-1")):
            text = text.replace(form, "********")
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
