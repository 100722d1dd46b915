"""TLS for pyftpdlib's connections with the standard library's ssl (RFC 4217), strict about how an upload ends."""

from __future__ import annotations

import errno
import socket
import ssl
from contextlib import suppress
from typing import Any, ClassVar

import pyftpdlib.ioloop  # noqa: F401 - first: it silences what importing asyncore says
from pyftpdlib.exceptions import _RetryError
from pyftpdlib.handlers.ftp.control import proto_cmds

#: Raised when TLS has to wait for the network.
WANT = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
#: The state of a connection that was reset.
_TCP_CLOSE = 7


def _command(argument: str, what: str) -> dict[str, Any]:
    return {"perm": None, "auth": False, "arg": True, "help": f"Syntax: {argument} ({what})."}


#: The commands of a server, with those of RFC 4217.
TLS_COMMANDS: dict[str, dict[str, Any]] = {
    **proto_cmds,
    "AUTH": _command("AUTH <SP> TLS", "protect this connection"),
    "PBSZ": _command("PBSZ <SP> 0", "size of protected blocks"),
    "PROT": _command("PROT <SP> C|P", "protect data connections or not"),
}


def _lacks_end_mark(error: OSError) -> bool:
    # Python 3.11.2 has no class of its own for what OpenSSL 3 says.
    return isinstance(error, ssl.SSLEOFError) or getattr(error, "reason", "") == "UNEXPECTED_EOF_WHILE_READING"


def _is_reset(connection: socket.socket) -> bool:
    """Whether the connection was reset before the other side ended its data.

    The ssl of Python before 3.12.3 calls that an end without end mark. So the kernel is asked: after an end the
    connection is in CLOSE_WAIT; when OpenSSL's alert was answered with a reset since then, the fault is EPIPE.
    """
    try:
        fault = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        state = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    except OSError:
        return True
    return fault != errno.EPIPE if fault else state == _TCP_CLOSE


class TlsConnection:
    """A mixin over pyftpdlib's AsyncChat, whose connection may become protected.

    Until the handshake is over, nothing is sent or received; the loop is asked for what the handshake waits for.
    """

    _handshaking = False
    _is_secure = False
    #: Tickets for new sessions that the other side gets with TLS 1.3; None = as many as usual.
    session_tickets: int | None = None
    #: How the other side ended its data: "" = it did not; "well"; "open" = over TLS, but without its end mark; "reset".
    ended = ""

    # What AsyncChat gives.
    socket: Any
    ioloop: Any
    _closed: bool
    _fileno: int
    _wanted_io_events: int
    _current_io_events: int

    def secure(self, context: ssl.SSLContext) -> None:
        """Protect the connection from now on."""
        usual = context.num_tickets
        # Each connection takes the number over when it is made; nothing else runs meanwhile.
        context.num_tickets = usual if self.session_tickets is None else self.session_tickets
        try:
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
        finally:
            context.num_tickets = usual
        self._handshaking = self._is_secure = True
        self._wait_for(self.ioloop.READ)

    def readable(self) -> bool:
        return self._handshaking or bool(super().readable())  # type: ignore[misc]

    def writable(self) -> bool:
        return self._handshaking or bool(super().writable())  # type: ignore[misc]

    def handle_read_event(self) -> None:
        if self._handshaking:
            self._shake_hands()
            return
        super().handle_read_event()  # type: ignore[misc]
        # What is decrypted already makes no socket readable.
        while self._is_secure and not self._closed and self.readable() and self.socket.pending():
            super().handle_read_event()  # type: ignore[misc]

    def handle_write_event(self) -> None:
        if self._handshaking:
            self._shake_hands()
        else:
            super().handle_write_event()  # type: ignore[misc]

    def _shake_hands(self) -> None:
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            self._wait_for(self.ioloop.READ)
        except ssl.SSLWantWriteError:
            self._wait_for(self.ioloop.WRITE)
        except OSError as error:
            self._handshaking = False
            self.handle_no_handshake(error)
        else:
            self._handshaking = False
            self._wait_for(self._wanted_io_events)

    def handle_no_handshake(self, _error: OSError) -> None:
        """The two sides found no way to protect the connection."""
        self._is_secure = False
        self.close()

    def send(self, data: bytes) -> int:
        if not self._is_secure:
            return int(super().send(data))  # type: ignore[misc]
        if self._handshaking:
            return 0
        try:
            return int(self.socket.send(data))
        except WANT:
            return 0
        except OSError:
            self._is_secure = False  # no good-bye is possible
            self.handle_close()
            return 0

    def recv(self, size: int) -> bytes:
        try:
            data = bytes(self.socket.recv(size))
        except (BlockingIOError, *WANT):
            raise _RetryError from None
        except OSError as error:
            self.ended = "open" if _lacks_end_mark(error) and not _is_reset(self.socket) else "reset"
            self._is_secure = False  # no good-bye is possible
            data = b""
        if not data:
            self.ended = self.ended or "well"
            self.handle_close()
        return data

    def close(self) -> None:
        if self._is_secure and not self._handshaking:
            # Our end mark; whether the other side still listens is its affair.
            with suppress(OSError, ValueError):
                self.socket.unwrap()
        self._is_secure = self._handshaking = False
        super().close()  # type: ignore[misc]

    def _wait_for(self, events: int) -> None:
        # Not by modify_ioloop_events, which knows nothing of what initiate_send has asked for.
        if not self._closed and self._fileno in self.ioloop.socket_map:
            self.ioloop.modify(self._fileno, events)
            self._current_io_events = events

    def handle_close(self) -> None:
        super().handle_close()  # type: ignore[misc]


class TlsControl(TlsConnection):
    """A mixin over FTPHandler: AUTH, PBSZ and PROT."""

    proto_cmds: ClassVar[dict[str, dict[str, Any]]] = TLS_COMMANDS
    #: How connections are protected; None = there is no TLS.
    context: ssl.SSLContext | None = None
    #: TLS from the start, before the first word.
    implicit = False
    #: Nobody logs in, and no data is sent, without TLS.
    required = True

    protects_data = False

    # What FTPHandler gives.
    respond: Any
    flush_account: Any

    def handle(self) -> None:
        self._extra_feats = ["AUTH TLS", "PBSZ", "PROT"] if self.context else []
        if self.context and self.implicit:
            self.secure(self.context)
        super().handle()  # type: ignore[misc]

    def process_command(self, cmd: str, *arguments: Any, **options: Any) -> None:
        if cmd in ("AUTH", "PBSZ", "PROT") and self.context is None:
            self.respond("502 TLS is not set up here.")
        elif self.context and self.required and cmd in ("USER", "PASS") and not self._is_secure:
            self.respond("530 Log in over TLS only: use AUTH TLS first.")
        elif self.context and self.required and cmd in ("PASV", "EPSV", "PORT", "EPRT") and not self.protects_data:
            self.respond("521 Data goes over TLS only: use PROT P first.")
        else:
            super().process_command(cmd, *arguments, **options)  # type: ignore[misc]

    def handle_timeout(self) -> None:
        if self._handshaking:
            self.close()  # nothing can be said
        else:
            super().handle_timeout()  # type: ignore[misc]

    def ftp_AUTH(self, line: str) -> None:  # noqa: N802 - pyftpdlib looks for this name
        if self._is_secure:
            self.respond("503 TLS is in use already.")
        elif line.upper() not in ("TLS", "TLS-C", "SSL", "TLS-P"):
            self.respond("504 Only TLS is known.")
        elif self.context:
            # What was said before, or right behind AUTH, may come from somebody in between.
            self.flush_account()
            self.ac_in_buffer = b""
            self.respond("234 Begin with TLS.")
            self.secure(self.context)

    def ftp_PBSZ(self, _line: str) -> None:  # noqa: N802 - pyftpdlib looks for this name
        self.respond("200 PBSZ=0" if self._is_secure else "503 Use AUTH TLS first.")

    def ftp_PROT(self, line: str) -> None:  # noqa: N802 - pyftpdlib looks for this name
        if not self._is_secure:
            self.respond("503 Use AUTH TLS first.")
        elif line.upper() not in ("C", "P"):
            self.respond("536 Only C and P are known.")
        else:
            self.protects_data = line.upper() == "P"
            self.respond("200 Data is protected." if self.protects_data else "200 Data is not protected.")


class TlsData(TlsConnection):
    """A mixin over DTPHandler: data connections of a ``TlsControl``."""

    # Who only sends never reads them: then its close is a reset, and what it sent last is dropped on the way.
    session_tickets = 0

    def __init__(self, sock: Any, cmd_channel: Any) -> None:
        super().__init__(sock, cmd_channel)  # type: ignore[call-arg]
        if cmd_channel.protects_data and not self._closed:
            try:
                self.secure(cmd_channel.context)
            except OSError:  # it was reset already
                self.close()

    def use_sendfile(self) -> bool:
        return not self._is_secure and bool(super().use_sendfile())  # type: ignore[misc]

    def handle_no_handshake(self, error: OSError) -> None:
        # Answered when the connection is closed and nothing of the file is left.
        self._resp = ("522 TLS could not be agreed upon for the data connection.", lambda *_: None)
        super().handle_no_handshake(error)
