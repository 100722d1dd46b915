"""What the gateway says of itself in OpenAPI is true: tried out by schemathesis, where that is installed.

``make conformance`` brings it.
"""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.integration.mfserv.jobs.job_site import Site

SCHEMATHESIS = Path(__file__).parents[4] / ".venv" / "conformance" / "bin" / "schemathesis"
#: A dismissed job goes on to be told as dismissed, and its result as gone, as OGC has it: nothing is freed.
ON_PURPOSE = "use_after_free"
#: What may be answered to a request that is right by itself: a key was used twice, jobs have gone or failed.
SETTINGS = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 404, 410, 422, 429, 500, 503]
"""


@pytest.mark.skipif(not SCHEMATHESIS.exists(), reason="schemathesis is not installed: make conformance brings it")
def test_the_openapi_document_is_true(tmp_path: Path) -> None:
    site = Site(tmp_path, max_queue=100_000, max_queue_client=100_000, sync_wait=2.0)
    try:
        site.start("gateway")
        site.start("runner")
        (tmp_path / "openapi.json").write_bytes(site.ask("GET", "/__api").body)
        (tmp_path / "schemathesis.toml").write_text(SETTINGS)
        with port_of(site) as port:
            words = ["run", "openapi.json", "--url", f"http://127.0.0.1:{port}", "-n", "30", "--no-color"]
            more = ["--phases", "examples,coverage,fuzzing,stateful", "--exclude-checks", ON_PURPOSE]
            done = subprocess.run(
                [str(SCHEMATHESIS), *words, *more], cwd=tmp_path, capture_output=True, text=True, timeout=100
            )
        assert done.returncode == 0, done.stdout
        print(done.stdout[-1500:])
    finally:
        site.stop()


@contextmanager
def port_of(site: Site) -> Iterator[int]:
    """A port of loopback that leads to the gateway's socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, site.home.run / "gateway.sock"), daemon=True).start()
        yield int(server.getsockname()[1])


def _serve(server: socket.socket, path: Path) -> None:
    with suppress(OSError):
        while True:
            client, _ = server.accept()
            threading.Thread(target=_connect, args=(client, path), daemon=True).start()


def _connect(client: socket.socket, path: Path) -> None:
    with client, socket.socket(socket.AF_UNIX) as gateway:
        gateway.connect(str(path))
        back = threading.Thread(target=_pass_on, args=(gateway, client), daemon=True)
        back.start()
        _pass_on(client, gateway)
        back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
