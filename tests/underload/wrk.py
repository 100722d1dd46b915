"""wrk: asks without a pause until it is stopped, and tells what came of it."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Seconds after which an answer has not come; longer than any timeout of the router that is met here.
_TIMEOUT = 20
_SCRIPT = """\
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('{"answered":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,"p99_us":%d}\\n',
    summary.requests, e.connect, e.read, e.write, e.status, e.timeout, latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Figures:
    """What came of all requests."""

    sent: int
    #: Statuses from 400 on, broken connections, answers that did not come, by kind.
    failures: dict[str, int]
    p99_ms: float

    @property
    def failed(self) -> int:
        """All that went wrong."""
        return sum(self.failures.values())

    def __str__(self) -> str:
        which = " ".join(f"{kind}:{number}" for kind, number in self.failures.items() if number)
        return f"sent {self.sent:7d}  failed {self.failed}{f' ({which})' if which else ''}  p99 {self.p99_ms:.0f} ms"


class Load:
    """wrk while it runs; its figures once it has ended."""

    figures: Figures


@contextmanager
def wrk(url: str, connections: int = 8) -> Iterator[Load]:
    """Ask *url* on so many connections while the block runs."""
    load = Load()
    with tempfile.TemporaryDirectory() as place:
        script = Path(place) / "report.lua"
        script.write_text(_SCRIPT)
        words = ["wrk", "-t1", f"-c{connections}", "-d1h", f"--timeout={_TIMEOUT}s", "-s", str(script), url]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        try:
            yield load
        finally:
            process.send_signal(signal.SIGINT)  # then it reports
            output = process.communicate()[0]
        load.figures = _figures(output)


def _figures(output: str) -> Figures:
    found = json.loads(output.strip().splitlines()[-1])
    p99, answered = found.pop("p99_us") / 1000, found.pop("answered")
    unanswered = sum(number for kind, number in found.items() if kind != "status")
    return Figures(answered + unanswered, found, p99)
