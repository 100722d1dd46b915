"""How long a client waits until its job is accepted: recorded, queued and on disk.

A gateway and a runner as processes, a service that answers at once, clients that submit over the unix socket of the
gateway. Beside it, by turns, the least that makes a request durable: a row with its body committed in SQLite and
brought to disk, once after the other, and at the same rate. The second engine keeps records in redis (every write
brought to disk) and permits in RabbitMQ, where those are installed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import shutil
import socketserver
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from mfext.environment import Home
from mfext.testing import temporary_home, wait_until
from mfserv.jobs.config import JobsConfig
from mfserv.jobs.execution.attempt import UnixConnection
from mfserv.jobs.execution.runner import ROUTER
from mfserv.jobs.route import ONLY, JobRoute, Published, publish_routes
from mfserv.jobs.stores.engines import open_store
from tests.servers import RABBITMQ, rabbitmq_server, redis_server

GOAL_MS = 20
#: Title, goal, clients, jobs a second of all of them (0 = as fast as it goes), whether the jobs are done.
_TURNS = (
    ("50 jobs/s, jobs are done", f"p99 <= {GOAL_MS}", 4, 50.0, True),
    ("200 jobs/s, jobs are done", f"p99 <= {GOAL_MS}", 16, 200.0, True),
    ("200 jobs/s, nobody does them", f"p99 <= {GOAL_MS}", 16, 200.0, False),
    ("1 client, jobs are done", f"p99 <= {GOAL_MS}", 1, 0.0, True),
    ("8 clients without a pause", "", 8, 0.0, True),
)
_LIMITS: dict[str, Any] = {"max_queue": 1_000_000, "max_queue_client": 1_000_000}
_PROCESS = """
import json, sys
from pathlib import Path
from mfext.environment import Home
from mfserv.jobs.execution import runner
from mfserv.jobs.http import gateway
from mfserv.jobs.config import JobsConfig
{0}.serve(Home("mfserv", Path(sys.argv[1])), JobsConfig(**json.loads(sys.argv[2])))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1000, help="jobs of each turn (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns, of which the median counts (default %(default)s)")
    parser.add_argument("--size", type=int, default=1000, help="bytes of each body (default %(default)s)")
    parser.add_argument("--folder", type=Path, help="where jobs are kept (default: the system's for such)")
    parser.add_argument("--engine", choices=("sqlite", "rabbitmq"), help="this one only (default: all that can be had)")
    options = parser.parse_args()
    body = os.urandom(options.size)
    print(f"jobs with {options.size:,} bytes, accepted durably; ms\n")
    print(f"{'':34}{'p50':>8}{'p99':>8}{'most':>8}{'1/mean':>9}{'p99 / ref':>11}   goal")
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="jobs-") as name:
        folder = Path(name)
        for engine in [options.engine] if options.engine else engines():
            with servers(engine) as settings:
                for title, goal, clients, rate, with_runner in _TURNS:
                    turns = [
                        (
                            bare(folder, options.jobs, body, rate),
                            ours(folder, options.jobs, body, clients, rate, with_runner, settings),
                        )
                        for _ in range(options.rounds)
                    ]
                    reference = _median([one for one, _ in turns])
                    if rate and engine == "sqlite":
                        _show(f"a bare commit, {rate:g}/s", reference, reference)
                    _show(f"{engine}: {title}", _median([one for _, one in turns]), reference, goal)
    print(f"\n{os.cpu_count()} processors, Linux {platform.release()}, Python {platform.python_version()}")


def engines() -> list[str]:
    """Those whose servers are here."""
    has_servers = RABBITMQ.exists() and shutil.which("redis-server")
    return ["sqlite", "rabbitmq"] if has_servers else ["sqlite"]


@contextmanager
def servers(engine: str) -> Iterator[dict[str, Any]]:
    """What must run for *engine*; gives the settings for it."""
    with ExitStack() as stack:
        if engine == "sqlite":
            yield {}
            return
        rabbitmq, redis = stack.enter_context(rabbitmq_server()), stack.enter_context(redis_server())
        yield {"engine": engine, "rabbitmq_url": rabbitmq.url, "redis_url": redis.url}


def bare(folder: Path, count: int, body: bytes, rate: float) -> list[float]:
    """Seconds of each job when nothing else is done than what durability needs; *rate* 0 = as fast as it goes."""
    place = Path(tempfile.mkdtemp(dir=folder))
    database = sqlite3.connect(place / "jobs.sqlite", isolation_level=None)
    database.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE job (id TEXT, text TEXT, body BLOB)"
    )
    taken = []
    start = time.perf_counter()
    for number in range(count):
        begun = start + number / rate if rate else time.perf_counter()
        time.sleep(max(0.0, begun - time.perf_counter()))
        database.execute("INSERT INTO job VALUES (?, ?, ?)", (str(number), "x" * 500, body))
        taken.append(time.perf_counter() - begun)
    database.close()
    return taken


def ours(
    folder: Path,
    count: int,
    body: bytes,
    clients: int,
    rate: float,
    with_runner: bool,
    servers: Mapping[str, Any],
) -> list[float]:
    """Seconds of each job, as the clients see them; *rate* of all of them together, 0 = as fast as it goes."""
    home = temporary_home(Path(tempfile.mkdtemp(dir=folder)), "mfserv")
    publish_routes(home, Published((JobRoute("service", "/service", ONLY),), ("interactive",)))
    # Each turn begins with an empty queue.
    settings = JobsConfig(queue=f"jobs-{secrets.token_hex(4)}", **_LIMITS, **servers)
    taken: list[float] = []

    def client() -> None:
        connection = UnixConnection(home.run / "gateway.sock", timeout=60)
        headers = {"Prefer": "respond-async", "X-Metwork-Client": threading.current_thread().name}
        start = time.perf_counter()
        for number in range(count // clients):
            # From when it should have been sent, so that a jam is not hidden.
            begun = start + number * clients / rate if rate else time.perf_counter()
            time.sleep(max(0.0, begun - time.perf_counter()))
            connection.request("POST", "/service", body, headers)
            answer = connection.getresponse()
            answer.read()
            taken.append(time.perf_counter() - begun)
            if answer.status != 202:
                raise RuntimeError(f"the gateway answered {answer.status}")
        connection.close()

    with service(home), process(home, "gateway", settings), process(home, "runner" if with_runner else "", settings):
        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if with_runner:
            _check_all_done(home, settings, len(taken))
    return taken


@contextmanager
def process(home: Home, name: str, settings: JobsConfig) -> Iterator[None]:
    """The process *name* runs; '' = none."""
    if not name:
        yield
        return
    environment = {**os.environ, "METWORK_PROCESS": name, "METWORK_HOME": str(home.path.parent), "MFMODULE": "MFSERV"}
    words = [sys.executable, "-c", _PROCESS.format(name), str(home.path), json.dumps(asdict(settings))]
    with subprocess.Popen(words, env=environment) as started:
        try:
            wait_until(lambda: any(home.run.glob(f"ready/{name}/*")), what=f"{name} ready")
            yield
        finally:
            started.terminate()


@contextmanager
def service(home: Home) -> Iterator[None]:
    """Something answers at the router's place."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def address_string(self) -> str:
            return "unix"

        log_message: Callable[..., None] = lambda *_: None

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True
        request_queue_size = 100

    with Server(str(home.run / ROUTER), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def _check_all_done(home: Home, settings: JobsConfig, count: int) -> None:
    store = open_store(home, settings)
    wait_until(lambda: store.counts()["successful"] == count, 120, what="every job done")
    store.close()


def _median(turns: list[list[float]]) -> tuple[float, float, float, float]:
    """p50, p99 and the longest in milliseconds, and jobs a second of one client."""
    columns = zip(
        *(
            (
                statistics.median(taken) * 1000,
                sorted(taken)[int(len(taken) * 0.99)] * 1000,
                max(taken) * 1000,
                len(taken) / sum(taken),
            )
            for taken in turns
        ),
        strict=True,
    )
    p50, p99, most, rate = (statistics.median(column) for column in columns)
    return p50, p99, most, rate


def _show(
    title: str, own: tuple[float, float, float, float], reference: tuple[float, float, float, float], goal: str = ""
) -> None:
    p50, p99, most, rate = own
    print(f"{title:34}{p50:8.2f}{p99:8.2f}{most:8.1f}{rate:9.0f}{p99 / reference[1]:11.1f}   {goal}")


if __name__ == "__main__":
    main()
