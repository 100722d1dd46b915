"""The other machine: an FTP server of its own, which knows nothing of MetWork.

``python -m demo.other_machine FOLDER USER`` reads the password from standard input, prints the port that it
listens on and serves until it is ended.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer


class Handler(FTPHandler):  # type: ignore[misc]  # pyftpdlib has no types
    """An ordinary FTP server, but one that takes file names of any bytes, as most in C do."""

    unicode_errors = "surrogateescape"


def serve(folder: Path, user: str, password: str) -> None:
    """Serve *folder* to *user* on a free port of loopback, for ever."""
    logging.basicConfig(level=logging.WARNING)
    authorizer = DummyAuthorizer()
    authorizer.add_user(user, password, str(folder), perm="elradfmw")
    Handler.authorizer = authorizer
    server = FTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2], sys.stdin.readline().rstrip("\n"))
