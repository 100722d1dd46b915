"""A Python package as small as can be, as a wheel, and an index on loopback that has it."""

from __future__ import annotations

import base64
import hashlib
import ssl
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.certificates import certificate_pem, new_key, private_pem

#: What a wheel of *greetings* is called.
WHEEL = "greetings-{}-py3-none-any.whl"


def make_wheel(folder: Path, version: str = "1.5") -> Path:
    """Write the wheel of the package *greetings* into *folder*; it says its *version*."""
    info = f"greetings-{version}.dist-info"
    files = {
        "greetings.py": f"VERSION = '{version}'\n\n\ndef hello() -> str:\n    return 'hello'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: greetings\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\ngreet = greetings:hello\n",
    }
    record = [f"{name},sha256={_record_digest(text)},{len(text)}\n" for name, text in files.items()]
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / WHEEL.format(version), "w") as wheel:
        for name, text in {**files, f"{info}/RECORD": f"{''.join(record)}{info}/RECORD,,\n"}.items():
            wheel.writestr(name, text)
    return folder / WHEEL.format(version)


def _record_digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@contextmanager
def index(folder: Path, *, tls: Path | None = None) -> Iterator[tuple[str, list[str]]]:
    """An index of the wheels in *folder* on loopback: its address, and the paths that it was asked for.

    With *tls*, a folder, it speaks TLS with a certificate of its own, which is written there as ``ca.pem``.
    """
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            name = self.path.rstrip("/").rpartition("/")[2]
            wheel = folder / name
            if name == "greetings":
                links = "".join(f'<a href="/files/{one.name}">{one.name}</a>' for one in sorted(folder.glob("*.whl")))
                self._answer(200, f"<html><body>{links}</body></html>".encode(), "text/html")
            elif wheel.is_file():
                self._answer(200, wheel.read_bytes(), "application/octet-stream")
            else:
                self._answer(404, b"not here", "text/plain")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        key = new_key()
        certificate = certificate_pem(key)
        (tls / "ca.pem").write_text(certificate)
        (tls / "server.pem").write_text(certificate + private_pem(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "server.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://localhost:{server.server_port}/simple", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
