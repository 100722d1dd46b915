"""FTP login: who a client of the FTP receiver is, and how long it may take to say so."""

from __future__ import annotations

import socket
import time
from concurrent.futures import Future
from functools import partial
from typing import Any

from mfdata.receivers.ftp.background import Background
from mfdata.receivers.ftp.tls import WANT, TlsControl
from mfext.log import get_logger
from mfext.net.users import User

log = get_logger(__name__)


class LoginControl(TlsControl):
    """A mixin over FTPHandler: logging in holds up nobody, and who does not do it is left."""

    #: Seconds that a client has to log in.
    login_timeout: float
    #: Where passwords are looked at.
    background: Background
    #: Seconds after which a wrong password is answered.
    auth_failed_timeout = 1

    _is_on_hold = False
    #: What has been read and is to be looked at after the hold, or when its turn comes.
    _held = b""
    _login_is_due_at = 0.0

    # What FTPHandler gives.
    authenticated: bool
    username: str
    attempted_logins: int
    max_login_attempts: int
    remote_ip: str
    authorizer: Any
    call_later: Any
    close_when_done: Any
    handle_auth_success: Any
    ac_in_buffer: bytes
    ac_in_buffer_size: int

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.begun = time.monotonic()
        super().__init__(*arguments, **options)

    def flush_account(self) -> None:
        self._await_login()
        super().flush_account()

    def handle(self) -> None:
        self._await_login()
        super().handle()

    def _await_login(self) -> None:
        self._login_is_due_at = time.monotonic() + self.login_timeout
        self.call_later(self.login_timeout, self._look_at_login)

    def _look_at_login(self) -> None:
        if self._is_on_hold:
            self.call_later(1, self._look_at_login)
        elif not self.authenticated and time.monotonic() >= self._login_is_due_at:
            self.handle_timeout()

    def make_room(self) -> None:
        """Leave for somebody else."""
        if not self._handshaking:
            self.respond("421 Others are waiting: log in as soon as you are connected.")
        self.close()

    def ftp_PASS(self, password: str) -> None:  # noqa: N802 - pyftpdlib looks for this name
        """Log in. The look at a password that is not known takes long: meanwhile others are served."""
        if self.authenticated or not self.username:
            super().ftp_PASS(password)  # type: ignore[misc]
            return
        user = self.authorizer.recalled(self.username, password)
        if user is not None:
            self._log_in(user, password)
            return
        self._hold()

        def looked(future: Future[User | None]) -> None:
            fault = future.exception()
            if fault:
                log.error("a password cannot be looked at", user=self.username, reason=str(fault))
            if not self._closed:
                self._log_in(None if fault else future.result(), password)

        self.background.run(partial(self.authorizer.known, self.username, password), looked)

    def _log_in(self, user: User | None, password: str) -> None:
        if user is None or not self.authorizer.admitted(user):
            why = "Authentication failed." if user is None else "The directory is not there."
            log.warning("a login failed", user=self.username, address=self.remote_ip)
            self.username = ""
            self._hold()
            self.call_later(self.auth_failed_timeout, self._refuse_login, why)
        else:
            self.handle_auth_success(self.authorizer.get_home_dir(user.name), password, "Welcome.")
            self._go_on()

    def _refuse_login(self, why: str) -> None:
        self.attempted_logins += 1
        self.respond(f"530 {why}")
        if self.attempted_logins >= self.max_login_attempts:
            self.close_when_done()
        else:
            self._go_on()

    def _hold(self) -> None:
        """Look at nothing more that the client says, until ``_go_on``."""
        self._is_on_hold = True
        self._held += self.ac_in_buffer
        self.ac_in_buffer = b""
        self._wait_for(0)

    def _go_on(self) -> None:
        if self._is_on_hold and not self._closed:
            self._is_on_hold = False
            self._wait_for(self._wanted_io_events)
            self.handle_read_event()

    def readable(self) -> bool:
        return not self._is_on_hold and super().readable()

    def recv(self, size: int) -> bytes:
        held, self._held = self._held, b""
        return held or super().recv(size)

    def heard_meanwhile(self) -> bytes | None:
        """What the client has said that we have not looked at yet, in capitals; None when it has left."""
        if self._closed:
            return None
        try:
            said = (
                self._read_ahead() if self._is_secure else self.socket.recv(64, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            )
        except (BlockingIOError, *WANT):
            return self._held.upper()
        except OSError:
            return None
        return (self._held + said).upper() if said else None

    def _read_ahead(self) -> bytes:
        """What has come over TLS, which cannot look ahead: it is read, and heeded when its turn comes."""
        said = bytes(self.socket.recv(self.ac_in_buffer_size))
        if said:
            self._held += said
            self.call_later(0, self._heed)
            return b" "
        return b""

    def _heed(self) -> None:
        if self._held and self.readable():
            self.handle_read_event()
