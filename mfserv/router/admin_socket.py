"""RouterLink: asks the running router, by its sockets of administration."""

from __future__ import annotations

import csv
import io
import re
import socket
from collections.abc import Iterator
from contextlib import suppress

from mfext.environment import Home
from mfext.errors import ServiceUnavailable
from mfext.net.unix import connect_to
from mfserv.router.names import ADMIN, MASTER

#: Seconds that the router may take for an answer.
_ANSWER = 5.0


class RouterLink:
    """The router of a home; it may be running or not."""

    def __init__(self, home: Home) -> None:
        self.home = home

    def ask(self, command: str, at: str = ADMIN) -> str:
        """What the router answers to *command*.

        Raises:
            ServiceUnavailable: it does not answer.
        """
        try:
            return self._ask(command, at)
        except OSError as error:
            raise ServiceUnavailable(f"the router does not answer: {error}", where=str(self.home.run / at)) from None

    def try_to(self, command: str) -> str:
        """The same, '' when it does not answer."""
        try:
            return self._ask(command, ADMIN)
        except OSError:
            return ""

    def _ask(self, command: str, at: str) -> str:
        with connect_to(self.home.run / at, timeout=_ANSWER) as connection:
            connection.sendall(command.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)  # or the answer of a process behind the master does not end
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
            return b"".join(parts).decode(errors="replace")

    def digest(self) -> str:
        """Which configuration is in force; '' when the router does not run."""
        match = re.search(r"^description: (\S+)$", self.try_to("show info"), re.MULTILINE)
        return match[1] if match else ""

    def reload(self) -> None:
        """Let the router read its configuration anew; when it is in force, ``digest`` tells."""
        with suppress(ServiceUnavailable, ConnectionError):  # it may hang up rather than answer
            self.ask("reload", MASTER)

    def set_state(self, server: str, state: str) -> bool:
        """Bring ``backend/server`` into *state*; False when there is no such server, or no router."""
        with suppress(OSError):
            return not self._ask(f"set server {server} state {state}", ADMIN).strip()
        return False

    def sessions(self, server: str) -> int:
        """Requests that ``backend/server`` has in hand, from this router and from former ones that still live."""
        backend, _, name = server.partition("/")
        return self._sum(f"show stat {backend} 4 -1", name)

    def requests(self) -> int:
        """Requests that the router has in hand, this one and former ones that still live."""
        return self._sum("show stat -1 2 -1", "BACKEND")

    def _sum(self, command: str, name: str) -> int:
        total = 0
        for process in self._processes():
            with suppress(OSError):
                answer = self._ask(f"@!{process} {command}", MASTER)
                total += sum(int(row["scur"]) for row in rows(answer) if row["svname"] == name)
        return total

    def _processes(self) -> list[int]:
        """Pids of the router's workers, former ones as well."""
        with suppress(OSError):
            lines = self._ask("show proc", MASTER).splitlines()
            return [int(words[0]) for line in lines if len(words := line.split()) > 1 and words[1] == "worker"]
        return []

    def statistics(self) -> list[dict[str, str]]:
        """All that the router counts, one record for each frontend, backend and server."""
        return list(rows(self.ask("show stat")))

    def table(self, name: str) -> list[dict[str, str]]:
        """The entries of a table of counters."""
        found = []
        for line in self.try_to(f"show table {name}").splitlines():
            if "key=" in line:
                found.append(dict(pair.split("=", 1) for pair in line.split(" ") if "=" in pair))
        return found


def rows(answer: str) -> Iterator[dict[str, str]]:
    """The records of a CSV answer (pure)."""
    yield from csv.DictReader(io.StringIO(answer.lstrip("# ").strip() + "\n"))
