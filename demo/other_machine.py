"""The other machine: an FTP server of its own, which knows nothing of MetWork.

``python -m demo.other_machine FOLDER USER`` reads the password from standard input, prints the port that it
listens on and serves until it is ended.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "demo.other_machine"


@dataclass(frozen=True)
class OtherMachine:
    """The server, running, and how to log in to it."""

    folder: Path
    port: int
    user: str
    password: str

    def received(self) -> list[str]:
        """Names of the whole files that it has."""
        names = (path.name for path in self.folder.iterdir())
        return [name for name in names if not name.startswith(".") and not name.endswith(".tmp")]


def start(place: Path, user: str) -> OtherMachine:
    """Start the server; what it receives lies in ``incoming`` below *place*."""
    folder = place / "incoming"
    folder.mkdir(parents=True)
    password = secrets.token_urlsafe(12)
    command = [sys.executable, "-m", PROGRAM, str(folder), user]
    with (place / "ftp.log").open("wb") as log:
        # A session of its own, so that it may stay when the demo ends.
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True, text=True
        )
    (place / "pid").write_text(f"{process.pid}\n")
    assert process.stdin is not None  # noqa: S101  # both were asked for
    assert process.stdout is not None  # noqa: S101
    with process.stdin, process.stdout:
        process.stdin.write(f"{password}\n")
        process.stdin.flush()
        return OtherMachine(folder, int(process.stdout.readline()), user, password)


def stop(place: Path) -> None:
    """End the server that was started at *place*, if it still runs."""
    with suppress(FileNotFoundError, ProcessLookupError):
        pid = int((place / "pid").read_text())
        # The number may belong to somebody else by now.
        if PROGRAM.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            os.kill(pid, signal.SIGTERM)
        (place / "pid").unlink()


def serve(folder: Path, user: str, password: str) -> None:
    """Serve *folder* to *user* on a free port of loopback, for ever."""
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.servers import FTPServer

    authorizer = DummyAuthorizer()
    authorizer.add_user(user, password, str(folder), perm="elradfmw")
    # File names of any bytes, as most servers take them.
    handler = type("Handler", (FTPHandler,), {"authorizer": authorizer, "unicode_errors": "surrogateescape"})
    server = FTPServer(("127.0.0.1", 0), handler)
    sys.stdout.write(f"{server.address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2], sys.stdin.readline().rstrip("\n"))
