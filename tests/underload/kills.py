"""Workers that are killed while wrk asks, beside services that crash, hang or answer rubbish."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mfext.testing import wait_until
from tests.integration.mfserv.serv import Serv
from tests.underload.wrk import Figures, wrk

_APP = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""
#: What may be wrong with a service: its code, and settings besides.
BROKEN = {
    "crashing": ("raise SystemExit('no such model')\n", {}),
    "unready": (
        _APP.replace('"status": 200', '"status": 503'),
        {"health": "/health"},
    ),
    "rubbish": ("import sys, socket\nwhile True:\n    socket.socket(fileno=3).accept()[0].sendall(b'rubbish')\n", None),
}


def written(serv: Serv, name: str, code: str, **settings: object) -> Path:
    """A plugin with this code."""
    folder = serv.folder / name
    folder.mkdir()
    given = {"app": "main:app", "interface": "asgi"} if "cmd" not in settings else {}
    lines = [f"{key} = {value}" for key, value in {**given, **settings}.items()]
    (folder / "config.ini").write_text(
        f"[general]\nname = {name}\nsummary = {name}\n\n[app_main]\n" + "\n".join(lines) + "\n"
    )
    (folder / "main.py").write_text(code)
    return folder


def kills(serv: Serv, seconds: float, workers: int) -> Iterator[tuple[str, Figures]]:
    """kill -9 of workers, one after the other, for *seconds*: what came of it for this service, and for another."""
    name, other = f"killed_{workers}", f"beside_{workers}"
    for one, number in ((name, workers), (other, 1)):
        serv.develop(written(serv, one, _APP, workers=number))
    count = 0
    at = f"http://127.0.0.1:{serv.port}"
    with wrk(f"{at}/{name}/") as load, wrk(f"{at}/{other}/", 2) as beside:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            process = f"app.{name}.main.{count % workers}"
            (pid, *_) = wait_until(lambda process=process: serv.pids(process), what=process)  # type: ignore[misc]
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda process=process, pid=pid: set(serv.pids(process)) - {pid}, what=process)  # type: ignore[misc]
            count += 1
    yield f"{count} kills, {workers} worker(s)", load.figures
    yield "  another service", beside.figures
    for one in (name, other):
        serv.run("plugins.uninstall", one)


def broken(serv: Serv, seconds: float) -> Iterator[tuple[str, Figures]]:
    """Services that crash, are never ready, answer rubbish: what came of it for another one."""
    serv.develop(written(serv, "healthy", _APP, workers=2))
    for name, (code, settings) in BROKEN.items():
        folder = written(serv, name, code, **({"cmd": "{PYTHON} main.py"} if settings is None else settings))
        with wrk(f"http://127.0.0.1:{serv.port}/healthy/") as load:
            serv.try_to("plugins.develop", ".", folder=folder)
            end = time.monotonic() + seconds
            statuses = set()
            while time.monotonic() < end:
                statuses.add(serv.service.get(f"/{name}/").status)
        yield f"beside one that is {name} ({', '.join(map(str, sorted(statuses)))})", load.figures
        serv.run("plugins.uninstall", name)
    serv.run("plugins.uninstall", "healthy")
