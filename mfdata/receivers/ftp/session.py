"""FTP session: one client of the FTP receiver: what it may do, and when it is told that a file is received.

A file is written under a hidden name, brought to disk and renamed; only then comes 226. A name that the observer
ignores (``x.tmp``) belongs to the session that uploaded it until it is renamed. Under any other name a file appears
without ever replacing one that waits: the observer takes that within milliseconds, and then the name is free.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyftpdlib.ioloop import AsyncChat  # first: it silences what importing asyncore says

# isort: split
from pyftpdlib.handlers.ftp.control import FTPHandler

from mfdata.receivers.ftp.data_channel import BROKE_OFF, UploadChannel, answer_for
from mfdata.receivers.ftp.folder import Folder
from mfdata.receivers.ftp.login import LoginControl
from mfdata.receivers.ftp.offer import Offer
from mfdata.receivers.ftp.received import Memories, Memory
from mfdata.receivers.upload import PREFIX, Upload
from mfdata.storage.file_names import LONGEST, marked
from mfdata.storage.placement import rename_new
from mfdata.storage.tags import discard
from mfext.fs.sync import sync_folder
from mfext.log import get_logger

log = get_logger(__name__)

#: Seconds to wait for a taken name to become free, and between two looks.
PATIENCE, LOOK_AGAIN = 1.0, 0.02
#: Uploads of a session after which it looks which of them are still there.
LOOK_AFTER = 100


@dataclass(frozen=True)
class Placing:
    """A file on disk that is to get a name in its folder, and what follows."""

    #: The path that the client gave.
    wanted: str
    #: Makes another name for it unique.
    identity: str
    #: Give it a name unless that is taken; whether it was done.
    rename: Callable[[Path], bool]
    #: Give it a name, in place of what is there.
    replace: Callable[[Path], object]
    #: Called at the end, however it ends.
    ended: Callable[[], None]
    #: What the client is told when it has a name.
    answer: str
    #: Until when to wait for the name.
    deadline: float


class Session(Offer, LoginControl, FTPHandler):  # type: ignore[misc]
    """One client. What is the same for all is set as attributes of a subclass, see ``receiver.py``."""

    dtp_handler = UploadChannel
    abstracted_fs = Folder
    banner = "MetWork FTP receiver."
    use_sendfile = False
    # Names are bytes: what comes is what is written.
    encoding = sys.getfilesystemencoding()
    unicode_errors = "surrogateescape"

    #: Bytes that a file may have.
    max_size: int
    sidecars: Path
    #: Whether the observer leaves a name alone.
    is_ignored: Callable[[str], bool]
    #: An upload over TLS counts only with TLS's end mark.
    strict_end: bool
    #: Files that wait may be removed.
    may_delete: bool
    #: Why nothing is received at present; '' = files are.
    pressure: Callable[[], str]
    #: Bytes that must come of an upload in a second.
    min_rate: int
    memories: Memories
    # What FTPHandler gives.
    username: str
    _restart_position: int
    _rnfr: str | None
    _in_dtp_queue: tuple[Upload, str] | None
    _out_dtp_queue: Any
    data_channel: Any

    #: By the path of a file with an ignored name: the session to which it belongs.
    owners: dict[str, Session]
    #: By the path where a file lies: the session that uploaded it, and the user that it had then.
    uploaders: dict[str, tuple[Session, str]]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        #: We are about to leave: no new upload.
        self.is_leaving = False
        self._is_placing = False
        #: Where a file really lies that this session knows by another path.
        self._real: dict[str, str] = {}
        #: What this client has sent a moment ago.
        self.received = Memory()
        self._uploaded: set[str] = set()
        self._look_at = LOOK_AFTER
        super().__init__(*arguments, **options)

    def push(self, text: str) -> None:
        AsyncChat.push(self, text.encode(self.encoding, self.unicode_errors))

    # --- files

    def on_login(self, username: str) -> None:
        self.received = self.memories.join(username, self.remote_ip)

    def ftp_STOR(self, path: str) -> None:  # noqa: N802 - pyftpdlib looks for this name
        """Begin to receive a file; ``UploadChannel`` sees its end."""
        resumed = bool(self._restart_position)
        self._restart_position = 0
        refusal = "554 An upload cannot be resumed: send the whole file." if resumed else self._refusal(path)
        refusal = refusal or self._refusal_for_now()
        if not refusal and {self.data_channel, self._dtp_acceptor, self._dtp_connector} == {None}:
            refusal = "425 There is no data connection: use PASV first."
        if refusal:
            self.respond(refusal)
            return
        self._drop_pending()
        try:
            upload = Upload(path, self.max_size, self.sidecars)
        except OSError as error:
            log.error("an upload cannot begin", name=path, user=self.username, reason=str(error))
            self.respond(answer_for(error))
            return
        if self.data_channel is not None:
            self.respond("125 Send the file.")
            self.data_channel.file_obj = upload
            self.data_channel.enable_receiving(self._current_type, "STOR")
        else:
            self.respond("150 Send the file.")
            self._in_dtp_queue = (upload, "STOR")

    def ftp_ALLO(self, line: str) -> None:  # noqa: N802
        """Refuse early what is too large."""
        size = line.strip().partition(" ")[0]
        if size.isdecimal() and int(size) > self.max_size:
            self.respond(f"552 The file is larger than {self.max_size} bytes.")
        else:
            self.respond("202 Send the file.")

    def ftp_LIST(self, path: str) -> None:  # noqa: N802
        """As for MLSD; NLST, which is used to see what still waits, has only what is there."""
        with self._listing():
            super().ftp_LIST(path)

    def ftp_MLSD(self, path: str) -> None:  # noqa: N802
        """With what was received a moment ago: clients look in there whether it has arrived."""
        with self._listing():
            super().ftp_MLSD(path)

    @contextmanager
    def _listing(self) -> Iterator[None]:
        folder = self.fs
        folder.lists_received = True
        try:
            yield
        finally:
            folder.lists_received = False

    def ftp_MFMT(self, path: str, timeval: str) -> None:  # noqa: N802
        """Note when a file was changed last: the client is told so if it asks; the file itself goes its way."""
        try:
            changed = datetime.strptime(timeval[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
        except ValueError:
            self.respond("501 This is no time: YYYYMMDDHHMMSS is.")
            return
        if self._is_of_another(path) or not self.received.set_changed(path, changed):
            self.respond("550 You have not sent this file a moment ago.")
        else:
            self.respond(f"213 Modify={timeval[:14]}; {self.fs.fs2ftp(path)}")

    def ftp_RNFR(self, path: str) -> None:  # noqa: N802
        if os.path.basename(path).startswith(PREFIX) or not os.path.isfile(self.real(path)):
            self.respond("550 There is no such file.")
        elif self._is_of_another(path):
            self.respond("550 Permission denied.")
        else:
            self._rnfr = path
            self.respond("350 Say the new name.")

    def ftp_RNTO(self, path: str) -> None:  # noqa: N802
        source, self._rnfr = self._rnfr, None
        refusal = self._refusal(path)
        if source is None or refusal:
            self.respond(refusal or "503 Use RNFR first.")
        elif self._is_of_another(source):  # it came under the name since then
            self.respond("550 Permission denied.")
        else:
            self._rename(source, path)

    def ftp_DELE(self, path: str) -> None:  # noqa: N802
        """Remove what this session has uploaded under an ignored name; other files only when that is configured."""
        real = self.real(path)
        is_own = path in self._real or self.owners.get(path) is self
        if not (is_own or self.may_delete) or self._is_of_another(path):
            self.respond("550 Permission denied.")
        elif os.path.basename(path).startswith(PREFIX) or not os.path.isfile(real):
            self.respond("550 There is no such file.")
        else:
            discard(real, self.sidecars)
            self._disown(path)
            self.received.forget(path)
            self.respond("250 The file is removed.")

    def _refusal_for_now(self) -> str:
        """Why no file at all is received now; '' when files are."""
        reason = self.pressure()
        return f"452 Try again later: intake pauses, {reason}." if reason else ""

    def _refusal(self, path: str) -> str:
        """Why no file can be called *path*; '' when one can."""
        name = os.path.basename(path)
        if self.is_leaving:
            return "421 The service is closing."
        if os.path.dirname(path) != self.fs.root or name.startswith(PREFIX) or len(os.fsencode(name)) > LONGEST:
            return "553 This is no name for a file here."
        return "553 There is a folder of that name." if os.path.isdir(path) else ""

    # --- names

    def publish(self, upload: Upload) -> None:
        """Let a complete upload appear, and then answer."""

        def ended() -> None:
            upload.close()
            self.received.remember(upload.name, upload.size)

        answer = "226 The file is received."
        deadline = time.monotonic() + PATIENCE
        self._place(Placing(upload.name, upload.uid, upload.publish, upload.replace, ended, answer, deadline))

    def _rename(self, source: str, wanted: str) -> None:
        real = Path(self.real(source))
        try:
            size, identity = real.stat().st_size, f"{source}{time.time_ns()}"
        except OSError:
            self.respond("550 There is no such file any more.")
            return

        def rename(target: Path) -> bool:
            if not rename_new(real, target):
                return False
            discard(real, self.sidecars)  # where the file system had to give it a second name
            sync_folder(target.parent)
            return True

        def replace(target: Path) -> None:
            real.replace(target)
            sync_folder(target.parent)

        def ended() -> None:
            self._disown(source)
            self.received.rename(source, wanted, size)

        answer = "250 The file is renamed."
        self._place(Placing(wanted, identity, rename, replace, ended, answer, time.monotonic() + PATIENCE))

    def _place(self, placing: Placing) -> None:
        """Give a file its name, now or a little later, and then answer."""
        self._is_placing = True
        try:
            if not self._closed and not self._has_place(placing):
                self.ioloop.call_later(LOOK_AGAIN, self._place, placing)
                return
            answer = placing.answer
        except OSError as error:
            log.error("a file cannot get its name", name=placing.wanted, user=self.username, reason=str(error))
            answer = answer_for(error)
        self._is_placing = False
        placing.ended()
        if not self._closed:
            self.respond(answer)
            self._leave_in_time()

    def _has_place(self, placing: Placing) -> bool:
        """Whether the file has a name now; False = the name may become free."""
        wanted = Path(placing.wanted)
        other = wanted.with_name(marked(wanted.name, placing.identity))
        if self.is_ignored(wanted.name):
            return self._has_temporary_place(placing, wanted, other)
        if placing.rename(wanted):
            self._own(str(wanted))
            return True
        if time.monotonic() < placing.deadline and not self._quit_pending:
            return False
        if not placing.rename(other):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(other))
        self._own(str(other))
        return True

    def _has_temporary_place(self, placing: Placing, wanted: Path, other: Path) -> bool:
        """A name that nobody takes away: another client may be using it, an upload that was given up may lie there."""
        owner = self.owners.get(placing.wanted)
        if placing.wanted in self._real:
            placing.replace(Path(self._real[placing.wanted]))
        elif owner is None or owner is self or owner._closed:
            placing.replace(wanted)
            self.owners[placing.wanted] = self
        else:
            placing.replace(other)
            self._real[placing.wanted] = str(other)
        self._own(self.real(placing.wanted))
        return True

    def real(self, path: str) -> str:
        """Where the file really lies that this session knows as *path*."""
        return self._real.get(path, path)

    def _is_of_another(self, path: str) -> bool:
        """Whether another user, who is still here, has uploaded what lies at *path*."""
        uploader = self.uploaders.get(self.real(path))
        return uploader is not None and uploader[1] != self.username and not uploader[0]._closed

    def _own(self, real: str) -> None:
        self.uploaders[real] = (self, self.username)
        self._uploaded.add(real)
        if len(self._uploaded) >= self._look_at:  # seldom enough to cost nothing
            self._forget({path for path in self._uploaded if not os.path.lexists(path)})
            self._look_at = max(LOOK_AFTER, 2 * len(self._uploaded))

    def _forget(self, paths: set[str]) -> None:
        self._uploaded -= paths
        for path in paths:
            if path in self.uploaders and self.uploaders[path][0] is self:
                del self.uploaders[path]

    def _disown(self, path: str) -> None:
        """What this session has removed or renamed is nobody's any more."""
        real = self._real.pop(path, path)
        if real == path:
            self.owners.pop(path, None)
        self.uploaders.pop(real, None)
        self._uploaded.discard(real)

    # --- the end

    @property
    def is_busy(self) -> bool:
        """Whether an upload has begun that is not answered yet."""
        waiting = self._in_dtp_queue is not None and (self._dtp_acceptor is not None or self._dtp_connector is not None)
        return self._is_placing or waiting or self.data_channel is not None

    def leave(self) -> None:
        """End the session, once the upload that has begun is answered."""
        self.is_leaving = True
        if self._handshaking:
            self.close()  # nothing can be said
        self._leave_in_time()

    def _leave_in_time(self) -> None:
        if self.is_leaving and not self._closed and not self.is_busy:
            self.respond("421 The service is closing.")
            self.close_when_done()

    def lost_data_connection(self) -> None:
        """The data connection ended before anything could come over it."""
        self._shutdown_connecting_dtp()
        if self._in_dtp_queue is not None or self._out_dtp_queue is not None:
            self._drop_pending()
            self._out_dtp_queue = None
            self.respond(BROKE_OFF)
        self._leave_in_time()

    def _on_dtp_connection(self) -> None:
        if self.data_channel._closed:
            self.data_channel = None
        else:
            super()._on_dtp_connection()

    def _on_dtp_close(self) -> None:
        super()._on_dtp_close()
        if not self._closed:
            self._leave_in_time()

    def flush_account(self) -> None:
        self._drop_pending()
        self._forget_client()
        super().flush_account()

    def on_disconnect(self) -> None:
        for path in [path for path, owner in self.owners.items() if owner is self]:
            del self.owners[path]
        self._forget(set(self._uploaded))
        self._forget_client()

    def _forget_client(self) -> None:
        self.memories.leave(self.received)
        self.received = Memory()

    def _drop_pending(self) -> None:
        """Forget an upload to which no data connection came."""
        if self._in_dtp_queue is not None:
            self._in_dtp_queue[0].close()
            self._in_dtp_queue = None
