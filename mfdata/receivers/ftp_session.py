"""FTP session: one client of the FTP receiver: what it may do, and when it is told that a file is received.

A file is written under a hidden name, brought to disk and renamed; only then comes 226. A name that the observer
ignores (``x.tmp``) belongs to the session that uploaded it until it is renamed. Under any other name a file appears
without ever replacing one that waits: the observer takes that within milliseconds, and then the name is free.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pyftpdlib.ioloop import AsyncChat  # first: it silences what importing asyncore says

# isort: split
from pyftpdlib.handlers.ftp.control import FTPHandler

from mfdata.file import discard
from mfdata.placing import rename_new
from mfdata.receivers.ftp_background import Background
from mfdata.receivers.ftp_channel import BROKE_OFF, UploadChannel, answer_for
from mfdata.receivers.ftp_folder import Folder
from mfdata.receivers.ftp_tls import TLS_COMMANDS, WANT, TlsControl
from mfdata.receivers.received import Memories, Memory
from mfdata.receivers.upload import PREFIX, Upload
from mfdata.receivers.users import User
from mfdata.steps.naming import LONGEST, marked
from mfext.fs.sync import sync_folder
from mfext.log import get_logger

log = get_logger(__name__)

#: Seconds to wait for a taken name to become free, and between two looks.
PATIENCE, LOOK_AGAIN = 1.0, 0.02
#: Uploads of a session after which it looks which of them are still there.
LOOK_AFTER = 100
#: What an incoming directory is not for, or would not do what the client thinks, and why.
_FOLDERS = "Folders are not kept here: send the files alone, without their folders."
_WHOLE = "is not offered: send each file whole, with STOR."
NOT_OFFERED = {
    **dict.fromkeys(("MKD", "XMKD", "RMD", "XRMD"), _FOLDERS),
    **{command: f"{command} {_WHOLE}" for command in ("APPE", "STOU")},
    "SITE CHMOD": "Rights are not changed here.",
}
#: What a client may do with its own files; pyftpdlib asks for it anew at each.
_OWN = ("DELE", "MFMT")


def commands(*, download: bool, tls: bool) -> dict[str, dict[str, Any]]:
    """The commands that work, as pyftpdlib describes them."""
    offered = {name: what for name, what in TLS_COMMANDS.items() if name not in NOT_OFFERED}
    for name in _OWN:
        offered[name] = {**offered[name], "perm": "w"}
    left_out = (*(() if download else ("RETR", "REST")), *(() if tls else ("AUTH", "PBSZ", "PROT")))
    return {name: what for name, what in offered.items() if name not in left_out}


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


class Session(TlsControl, FTPHandler):  # type: ignore[misc]
    """One client. What is the same for all is set as attributes of a subclass, see ``ftp.py``."""

    dtp_handler = UploadChannel
    abstracted_fs = Folder
    # Overridden by those that work with the keys that are set, see ``commands``.
    proto_cmds: ClassVar[dict[str, dict[str, Any]]] = TLS_COMMANDS
    banner = "MetWork FTP receiver."
    use_sendfile = False
    #: Seconds after which a wrong password is answered.
    auth_failed_timeout = 1
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
    #: Seconds that a client has to log in.
    login_timeout: float
    #: Bytes that must come of an upload in a second.
    min_rate: int
    background: Background
    memories: Memories
    # What FTPHandler gives.
    username: str
    _current_facts: list[str]
    _available_facts: list[str]
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
        self.begun = time.monotonic()
        #: We are about to leave: no new upload.
        self.is_leaving = False
        self._is_on_hold = False
        #: What has been read and is to be looked at after the hold.
        self._held = b""
        self._is_placing = False
        #: Where a file really lies that this session knows by another path.
        self._real: dict[str, str] = {}
        #: What this client has sent a moment ago.
        self.received = Memory()
        self._uploaded: set[str] = set()
        self._look_at = LOOK_AFTER
        super().__init__(*arguments, **options)

    # --- what is offered

    def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
        full = f"{cmd} {arg.split(' ')[0].upper()}" if cmd == "SITE" else cmd
        if "\0" in line:
            self.respond("501 There is a NUL in it.")
        elif cmd in ("MKD", "XMKD") and self.fs is not None and self.fs.ftp2fs(arg) == self.fs.root:
            self.respond("550 It is there already.")
        elif full in NOT_OFFERED:
            self.respond(f"502 {NOT_OFFERED[full]}")
        elif cmd == "REST" and self.authenticated and arg:
            self.ftp_REST(arg)  # whether downloads are offered or not: STOR says why it does not help
        elif cmd in TLS_COMMANDS and cmd not in self.proto_cmds:
            self._refuse(cmd)
        else:
            super().pre_process_command(line, cmd, arg)

    def _refuse(self, cmd: str) -> None:
        if cmd == "RETR":
            self.respond("550 Files are not given out here.")
        else:
            self.respond(f"502 {'TLS is not set up here' if cmd in ('AUTH', 'PBSZ', 'PROT') else 'Not offered here'}.")

    def ftp_FEAT(self, _line: str) -> None:  # noqa: N802 - pyftpdlib looks for this name
        """What of the later RFCs works here (RFC 2389)."""
        facts = "".join(f"{fact}{'*' if fact in self._current_facts else ''};" for fact in self._available_facts)
        words = ["EPRT", "EPSV", "MDTM", "MFMT", f"MLST {facts}", "SIZE", "TVFS", *self._extra_feats]
        words += ["UTF8"] if self.encoding.lower() in ("utf8", "utf-8") else []
        words += ["REST STREAM"] if "REST" in self.proto_cmds else []
        self.push("211-These work:\r\n" + "".join(f" {word}\r\n" for word in sorted(words)))
        self.respond("211 End.")

    def ftp_TYPE(self, line: str) -> None:  # noqa: N802
        """Text or bytes; "non-print" (RFC 959) is what there is, with and without saying it."""
        words = line.upper().split()
        super().ftp_TYPE(words[0] if words[1:] == ["N"] else line)

    def push(self, text: str) -> None:
        AsyncChat.push(self, text.encode(self.encoding, self.unicode_errors))

    # --- who it is

    def handle(self) -> None:
        self._await_login()
        super().handle()

    def on_login(self, username: str) -> None:
        self.received = self.memories.join(username, self.remote_ip)

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
            super().ftp_PASS(password)
            return
        user = self.authorizer.recalled(self.username, password)
        if user is not None:
            self._log_in(user, password)
            return
        self._hold()

        def looked(future: Future[User | None]) -> None:
            if not self._closed:
                self._log_in(future.result(), password)

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

    # --- files

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
        size = line.split()[0]
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

    def ftp_CWD(self, path: str) -> None:  # noqa: N802
        """There is one folder; what clients show when they cannot go to another one is this answer."""
        if self.fs.isdir(path):
            super().ftp_CWD(path)
        else:
            self.respond(f"550 {_FOLDERS}")

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
        self._await_login()
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
