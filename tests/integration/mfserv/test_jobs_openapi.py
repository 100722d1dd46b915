"""What the gateway says of itself in OpenAPI is true: tried out by schemathesis, where that is installed.

``pip install metwork[conformance]`` brings it.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.integration.mfserv.job_site import Site

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
#: A dismissed job goes on to be told as dismissed and its result as gone, as OGC has it; a key used twice is refused.
ON_PURPOSE = "use_after_free,positive_data_acceptance"


@pytest.mark.skipif(not SCHEMATHESIS.exists(), reason="schemathesis is not installed: pip install metwork[conformance]")
def test_the_openapi_document_is_true(tmp_path: Path) -> None:
    site = Site(tmp_path, max_queue=100_000, max_queue_client=100_000, sync_wait=2.0)
    try:
        site.start("gateway")
        site.start("runner")
        (tmp_path / "openapi.json").write_bytes(site.ask("GET", "/__api").body)
        with port_of(site) as port:
            words = ["run", "openapi.json", "--url", f"http://127.0.0.1:{port}", "-n", "30", "--no-color"]
            more = ["--phases", "examples,coverage,fuzzing,stateful", "--exclude-checks", ON_PURPOSE]
            done = subprocess.run(
                [str(SCHEMATHESIS), *words, *more], cwd=tmp_path, capture_output=True, text=True, timeout=100
            )
        assert done.returncode == 0, done.stdout
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
