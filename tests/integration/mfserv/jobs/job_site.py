"""A gateway and runners as processes, a service that answers as it is told, and a client, all on unix sockets."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from mfext.environment import Home
from mfext.testing import temporary_home, wait_until
from mfserv.jobs.config import JobsConfig
from mfserv.jobs.execution.attempt import UnixConnection
from mfserv.jobs.execution.runner import ROUTER
from mfserv.jobs.route import ALLOW, ONLY, JobRoute, Published, publish_routes
from mfserv.jobs.stores.engines import open_store
from mfserv.jobs.stores.store import JobStore

_SERVE = "import json, sys; from mfserv.jobs.execution import runner; \
from mfserv.jobs.http import gateway; from mfserv.jobs.config import JobsConfig; \
from mfext.environment import Home; from pathlib import Path; \
{0}.serve(Home('mfserv', Path(sys.argv[1])), JobsConfig(**json.loads(sys.argv[2])))"

ROUTES = (
    JobRoute("allowed", "/allowed", ALLOW, title="Allowed"),
    JobRoute("only", "/only", ONLY, inputs={"a": {"schema": {"type": "integer"}}}),
    JobRoute("small", "/small", ONLY, max_body=1000),
    JobRoute("fetch", "/fetch", ALLOW, method="GET", output_type="text/plain"),
    JobRoute("strict", "/strict", ONLY, attempts=1, max_result=100_000, max_queue=2, timeout=4.0),
    JobRoute("brief", "/brief", ONLY, result_ttl=1.0),
)


@dataclass
class Answer:
    """What the gateway said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def job(self) -> str:
        """The path of the job."""
        assert self.status in (201, 202), (self.status, self.body)
        return self.headers["Location"]


class Service(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The router and a service behind it: what it is asked in the query, it does."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self, path: Path) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        #: Requests wait for this.
        self.gate = threading.Event()
        self.gate.set()
        self.sizes: list[int] = []
        # The path may be longer than the 107 bytes of an address.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        super().__init__(f"/proc/self/fd/{folder}/{path.name}", _Handler)
        os.close(folder)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, _request: object, _client_address: object) -> None:
        """A runner that was killed, or broke off: that is what the tests are about."""

    def jobs(self) -> list[str]:
        """Which jobs were done, in order."""
        return [headers["X-Metwork-Job"] for _, _, headers, _ in self.requests]


class _Handler(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def _do(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        body = b""
        received = 0
        while received < size and (data := self.rfile.read(min(size - received, 1 << 20))):
            received += len(data)
            body = (body + data)[:100_000]
        self.server.sizes.append(received)
        self.server.requests.append((self.command, self.path, dict(self.headers.items()), body))
        self.server.gate.wait(60)
        how = dict(part.split("=") for part in self.path.partition("?")[2].split("&") if "=" in part)
        time.sleep(float(how.get("sleep", 0)))
        times = sum(
            headers["X-Metwork-Job"] == self.headers["X-Metwork-Job"] for _, _, headers, _ in self.server.requests
        )
        if "break" in how and times <= int(how["break"]):
            self.close_connection = True
            return
        if "interim" in how:
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" * int(how["interim"]))
        status = int(how.get("status", 200)) if times <= int(how.get("times", 1_000)) else 200
        self.send_response(status)
        self.send_header("Content-Type", how.get("type", "text/plain"))
        self.send_header("X-Own", "kept")
        if "retry" in how:
            self.send_header("Retry-After", how["retry"])
        if "big" in how:
            self._send_much(int(how["big"]), int(how.get("cut", how["big"])))
            return
        answer = body if "echo" in how else b'{"n": 1}' if "json" in how.get("type", "") else b"hello"
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _send_much(self, size: int, cut: int) -> None:
        self.send_header("Content-Length", str(size))
        self.end_headers()
        part = bytes(1 << 20)
        while cut > 0:
            self.wfile.write(part[:cut])
            cut -= len(part)
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _do  # noqa: N815


class Site:
    """A home with its processes."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.home: Home = temporary_home(folder, "mfserv")
        self.settings: dict[str, Any] = {
            "retry_min_wait": 0.1,
            "lease": 20.0,
            "graceful_timeout": 2.0,
            "attempts": 3,
            **settings,
        }
        self.service = Service(self.home.run / ROUTER)
        self.processes: list[subprocess.Popen[bytes]] = []
        #: Who asks when nothing else is said.
        self.client = "ann"
        publish_routes(self.home, Published(ROUTES, ("interactive", "batch")))

    @property
    def config(self) -> JobsConfig:
        return JobsConfig(**self.settings)

    @cached_property
    def store(self) -> JobStore:
        """The store as a command has it."""
        return open_store(self.home, self.config)

    def start(self, process: str) -> subprocess.Popen[bytes]:
        """Start ``gateway`` or ``runner``; done when it is ready."""
        name = f"{process}{len(self.processes)}"
        variables = {"METWORK_PROCESS": name, "METWORK_HOME": str(self.home.path.parent), "MFMODULE": "MFSERV"}
        with (self.home.log / f"{name}.out").open("wb") as output:
            made = subprocess.Popen(
                [sys.executable, "-c", _SERVE.format(process), str(self.home.path), json.dumps(self.settings)],
                env={**os.environ, **variables},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(made)

        def is_ready() -> bool:
            assert made.poll() is None, (self.home.log / f"{name}.out").read_text()
            return any(self.home.run.glob(f"ready/{name}/*"))

        wait_until(is_ready, what=f"{process} ready")
        return made

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End it as a crash would."""
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        *,
        client: str = "",
        **headers: str,
    ) -> Answer:
        """Ask the gateway as the router would."""
        connection = UnixConnection(self.home.run / "gateway.sock", timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            with suppress(BrokenPipeError, ConnectionResetError):  # refused before all was sent
                connection.request(
                    method, path, body=body, headers={"X-Metwork-Client": client or self.client, **named}
                )
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def submit(self, path: str = "/only", body: bytes | None = b"body", **headers: str) -> Answer:
        return self.ask("POST", path, body, **{"Prefer": "respond-async", **headers})

    def job(self, path: str, client: str = "") -> Any:
        return self.ask("GET", path, client=client).json

    def ended(self, path: str, timeout: float = 60.0, client: str = "") -> Any:
        """The job once nothing more happens to it."""
        last: dict[str, Any] = {}

        def is_final() -> bool:
            last.update(self.job(path, client))
            return last["status"] in ("successful", "failed", "dismissed")

        wait_until(is_final, timeout, what=f"the end of {path}")
        return last

    def renew(self) -> None:
        """As if nothing had been done before: another client, and nothing remembered."""
        self.client = f"client-{secrets.token_hex(4)}"
        self.service.gate.set()
        self.service.requests.clear()
        self.service.sizes.clear()

    def kept(self, job: str = "") -> list[str]:
        """Names of bodies and results in the spool, of one job or of all."""
        name = job.rpartition("/")[2]
        return [path.name for path in (self.home.var / "jobs").glob(f"*/{name}*")]

    def stop(self) -> None:
        self.service.gate.set()
        self.store.close()
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.service.shutdown()
        self.service.server_close()
