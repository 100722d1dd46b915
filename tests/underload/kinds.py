"""One plugin of each template, in two versions that can be told apart by what they answer."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mfext.testing import wait_until
from tests.integration.mfserv.serv import Serv, free_port

#: The file of each template that says what is answered, and the words in it that the version replaces.
SOURCES = {
    "tornado": ("main.py", "world"),
    "asgi": ("main.py", "world"),
    "wsgi": ("main.py", "world"),
    "static": ("static/index.html", "A folder of files"),
    "command": ("serve.py", "world"),
    "proxy": ("config.ini", ""),
}


@dataclass(frozen=True)
class Elsewhere:
    """Two services that are none of MetWork's, and answer ``version 1`` and ``version 2``."""

    ports: tuple[int, int]

    def upstream(self, version: int) -> str:
        """The address of one of them."""
        return f"http://127.0.0.1:{self.ports[version - 1]}"


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """Both, while the block runs."""
    ports = free_port(), free_port()
    words = [sys.executable, "-m", "tests.underload.elsewhere"]
    running = [subprocess.Popen([*words, str(port), f"version {ports.index(port) + 1}"]) for port in ports]
    try:
        for port in ports:
            wait_until(lambda port=port: _listens(port), what="the service elsewhere listens")  # type: ignore[misc]
        yield Elsewhere(ports)
    finally:
        for one in running:
            one.terminate()
            one.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def made(serv: Serv, template: str, others: Elsewhere) -> Path:
    """A plugin ``hello_TEMPLATE`` as its author has it after a minute: made, tested, dev-linked; it answers."""
    name = f"hello_{template}"
    values = {"upstream": others.upstream(1)} if template == "proxy" else {}
    folder = serv.plugin(name, template, **values)
    serv.run("make", "test", folder=folder)
    serv.run("make", "develop", folder=folder)
    answer = serv.service.get(f"/{name}/")
    assert answer.status == 200, answer
    return folder


def released(serv: Serv, template: str, folder: Path, version: int, others: Elsewhere) -> Path:
    """The archive of this version."""
    file, words = SOURCES[template]
    source = folder / file
    pattern = r"http://127\.0\.0\.1:\d+(?=$)" if template == "proxy" else rf"version \d|{words}"
    says = others.upstream(version) if template == "proxy" else f"version {version}"
    source.write_text(re.sub(pattern, says, source.read_text("utf-8"), flags=re.MULTILINE), "utf-8")
    config = folder / "config.ini"
    text = re.sub(r"(?m)^#? ?version ?=.*$", "", config.read_text("utf-8"))
    config.write_text(text.replace("[general]\n", f"[general]\nversion = {version}.0\n", 1), "utf-8")
    serv.run("make", "release", folder=folder)
    (archive,) = folder.glob(f"{folder.name}-{version}.0-*.plugin")
    return archive
