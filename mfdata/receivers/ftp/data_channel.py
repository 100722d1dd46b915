"""FTP channel: a data connection of the FTP receiver, which decides at its end whether the file counts."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pyftpdlib.ioloop  # noqa: F401 - first: it silences what importing asyncore says
from pyftpdlib.handlers.ftp.data import DTPHandler

from mfdata.receivers.ftp.tls import TlsData
from mfdata.receivers.upload import TooLarge, Upload
from mfext.disk import is_no_room
from mfext.log import get_logger

if TYPE_CHECKING:
    from mfdata.receivers.ftp.session import Session

log = get_logger(__name__)

#: The answer when a reset ended the data.
BROKE_OFF = "426 The data connection broke off: the file is not kept."
_NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)


class UploadChannel(TlsData, DTPHandler):  # type: ignore[misc]
    """FTP has no end mark: a connection that ends is a file that ends, unless something speaks against it."""

    _is_settled = False
    #: What is answered once the connection is closed, and how that is logged.
    _resp: tuple[Any, ...]

    def __init__(self, sock: Any, cmd_channel: Any) -> None:
        super().__init__(sock, cmd_channel)
        if self._closed:  # it was reset before we looked
            cmd_channel.lost_data_connection()

    def handle_timeout(self) -> None:
        """Called each ``timeout``: leave a client that sends too little."""
        came, least = self.tot_bytes_received - self._lastdata, self.cmd_channel.min_rate
        if 0 < came < least * self.timeout:
            self._resp = (f"426 Less than {least} bytes came in a second: the file is not kept.", _say_nothing)
            self.close()
        else:
            super().handle_timeout()

    def close(self) -> None:
        if not self._closed and not self._is_settled and isinstance(self.file_obj, Upload):
            self._is_settled = True
            self._settle(self.file_obj)
        super().close()

    def _settle(self, upload: Upload) -> None:
        session: Session = self.cmd_channel
        self.file_obj = None  # from here on it is not the channel's to close
        refusal = self._refusal(upload, session)
        if refusal is None:
            self._resp = ()
            session.publish(upload)
        else:
            self.transfer_finished = False
            self._resp = (refusal, _say_nothing) if refusal else ()
            upload.close()
            log.warning(
                "an upload was not kept",
                name=upload.name,
                user=session.username,
                address=session.remote_ip,
                bytes=upload.size,
                reason=refusal or "the client took it back or left",
            )

    def _refusal(self, upload: Upload, session: Session) -> str | None:
        """What is answered to a file that does not count, '' = nothing; None when it counts and is on disk."""
        if upload.fault:
            return answer_for(upload.fault)
        if not self.transfer_finished:
            return str(self._resp[0]) if self._resp else ""
        if self.ended not in ("well", "open"):
            return BROKE_OFF
        if self.ended == "open" and session.strict_end:
            return "426 The data ended without the end mark of TLS: the file is not kept."
        try:
            if self._data_wrapper and self._had_cr:  # held back in case that a LF followed
                upload.write(b"\r")
            upload.complete()
        except OSError as error:
            return answer_for(error)
        # Who dies in the middle closes both connections; who aborts may close the data connection first.
        heard = session.heard_meanwhile()
        if heard is None:
            return ""
        return "426 The upload is aborted." if b"ABOR" in heard else None


def answer_for(error: OSError) -> str:
    """What a client is told when a file cannot be taken."""
    if isinstance(error, TooLarge):
        return f"552 The file is {error.strerror}."
    if is_no_room(error):
        return "452 There is no room left."
    if error.errno in _NO_RIGHT:
        return "550 Permission denied."
    return f"451 {error.strerror or 'Not possible now'}."


def _say_nothing(*_: Any) -> None:
    return None
