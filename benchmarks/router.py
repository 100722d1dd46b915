"""What the router costs in front of workers, and what it does for interactive requests while batch overloads.

First wrk asks one worker directly, through the router and through nginx, by turns: one that computes for a millisecond
and one for five, as services do, one that runs the smallest service, and one that does nothing at all. The router and
the clients share the cores with the worker: what an app of some 30 microseconds loses is the router's part of them,
which is printed beside it. nginx does the least that a router must: it logs each request as JSON, gives it an id, and
keeps its connections to the same worker; it knows no client, class, limit, rate or queue.

Then an app with eight places serves an even flow of interactive requests, alone and while batch clients ask for four
times what it can do: without classes, with priority in the queue, and with priority and a lane.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import nginx
from mfserv.app import SOCKETS
from mfserv.worker_spec import Spec

#: The least that a service of the template ``asgi`` does, and the least that any app can do.
STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def hello(request):
    return JSONResponse({"hello": request.query_params.get("name", "world")})

app = Starlette(routes=[Route("/", hello)])
"""
#: What services do: compute. So many milliseconds of it in each request.
WORKING = """
import time

async def app(scope, receive, send):
    end = time.thread_time() + {milliseconds} / 1000
    while time.thread_time() < end:
        sum(range(100))
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]}})
    await send({{"type": "http.response.body", "body": b"hello\\n"}})
"""
BARE = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
    await send({"type": "http.response.body", "body": b"hello\\n"})
"""
#: Sleeps as many milliseconds as the query says: what it has is places, not work.
SLEEPER = """
import asyncio

async def app(scope, receive, send):
    await asyncio.sleep(int(scope["query_string"]) / 1000)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"done\\n"})
"""
#: By name, in the order in which they are asked.
APPS = {
    "work1": WORKING.format(milliseconds=1),
    "work5": WORKING.format(milliseconds=5),
    "starlette": STARLETTE,
    "bare": BARE,
}
WORKERS, CONCURRENCY = 2, 4
#: Milliseconds of an interactive request, and how many a second there are.
INTERACTIVE, FLOW = 50, 20
#: Clients that ask for batch without a pause: four times the places.
OVERLOAD = 4 * WORKERS * CONCURRENCY
CLIENTS = "[client_batch]\nkeys = batch\nclass = {name}\n"
SETTINGS = {
    "no classes": CLIENTS.format(name="interactive"),
    "priority": f"[class_batch]\norder = 20\nshare = 100\n{CLIENTS.format(name='batch')}",
    "priority and lane": f"[class_batch]\norder = 20\nshare = 75\n{CLIENTS.format(name='batch')}",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns, of which the median counts (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=4, help="length of a turn (default %(default)s)")
    parser.add_argument("apps", nargs="*", default=[*APPS], metavar="APP", help=f"of {', '.join(APPS)}; by default all")
    options = parser.parse_args()
    if unknown := set(options.apps) - set(APPS):
        parser.error(f"there is no app {', '.join(sorted(unknown))}")
    for program in ("haproxy", "wrk", "nginx"):
        if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin"):
            sys.exit(f"{program} is not installed: tools/system-packages serv load")
    with tempfile.TemporaryDirectory(prefix="mfserv") as folder, running(Path(folder)) as site:
        port, workers = free_port(), {name: site.socket(name) for name in APPS}
        with nginx.running(Path(folder) / "nginx", port, workers) as master:
            for name in options.apps:
                cost(site, name, options.rounds, options.seconds, port, master)
        priorities(site, options.seconds)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")


@dataclass
class Site:
    """A home with mfserv in it."""

    folder: Path
    port: int
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str) -> None:
        """Run a command of mfserv."""
        subprocess.run(command, env=self.environment, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)

    def pid(self, process: str) -> int:
        """The pid of a process of the module that is ready."""
        return next(
            int(path.name) for path in (self.folder / "mfserv" / "var" / "run" / "ready" / process).glob("[0-9]*")
        )

    def socket(self, name: str) -> Path:
        """The socket of the one worker of an app."""
        (found,) = (self.folder / "mfserv" / "var" / "run" / SOCKETS).glob(f"{name}.*")
        return found

    def configure(self, text: str) -> None:
        """Put a configuration in force."""
        place = self.folder / "mfserv" / "config"
        place.mkdir(parents=True, exist_ok=True)
        (place / "config.ini").write_text(f"[http]\nport = {self.port}\n{text}")

    def plugin(self, name: str, code: str, **settings: object) -> None:
        """Make a plugin and install it."""
        place = self.folder / "mfserv" / "var" / "plugins" / name
        place.mkdir(parents=True)
        lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
        (place / "config.ini").write_text(
            f"[general]\nname = {name}\n[app_main]\napp = main:app\ninterface = asgi\nmax_queue = 100000\n"
            f"queue_timeout = 60\n{lines}"
        )
        (place / "main.py").write_text(code)


@contextmanager
def running(folder: Path) -> Iterator[Site]:
    """A module that runs."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    site = Site(folder, free_port(), {**os.environ, "METWORK_HOME": str(folder), "MFMODULE": "MFSERV", "PATH": path})
    site.environment["METWORK_CONFIG_D"] = str(folder / "etc")
    site.configure("")
    for name, code in APPS.items():
        site.plugin(name, code, workers=1)
    site.plugin("sleeper", SLEEPER, workers=WORKERS, concurrency=CONCURRENCY)
    site.run("mfserv.start")
    try:
        yield site
    finally:
        site.run("mfserv.stop")


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cost(site: Site, name: str, rounds: int, seconds: float, nginx_port: int, nginx_master: int) -> None:
    """One worker directly, through the router, and through nginx."""
    found: dict[str, list[float]] = {"direct": [], "router": [], "nginx": []}
    used: dict[str, list[float]] = {"worker, direct": [], "worker": [], "router": [], "its keeper": [], "nginx": []}
    with direct(site, name) as (port, pid):
        for _ in range(rounds):
            rate, (alone,) = wrk(f"http://127.0.0.1:{port}/", seconds, [pid])
            found["direct"].append(rate)
            worker, keeper = site.pid(f"app.{name}.main.0"), site.pid("router")
            pids = [worker, *haproxy(keeper), keeper]
            rate, parts = wrk(f"http://127.0.0.1:{site.port}/{name}/", seconds, pids)
            found["router"].append(rate)
            rate, (_, *others) = wrk(f"http://127.0.0.1:{nginx_port}/{name}/", seconds, [worker, *tree(nginx_master)])
            found["nginx"].append(rate)
            for who, part in zip(used, [alone, parts[0], sum(parts[1:-1]), parts[-1], sum(others)], strict=True):
                used[who].append(part)
    print(f"requests/s of one worker ({name}), wrk -t1 -c32, by turns")
    for place, rates in found.items():
        print(f"  {place:14}" + "".join(f"{rate:9.0f}" for rate in rates))
    for one, other in (("router", "direct"), ("nginx", "direct"), ("router", "nginx")):
        ratios = [upper / lower for upper, lower in zip(found[one], found[other], strict=True)]
        line = "".join(f"{ratio:9.2f}" for ratio in ratios)
        print(f"  {one + '/' + other:14}{line}   median {statistics.median(ratios):.2f}")
    parts_of_core = ", ".join(f"{who} {statistics.median(times):.1f}" for who, times in used.items())
    print(f"  microseconds of a core for each request: {parts_of_core}\n")


def haproxy(keeper: int) -> list[int]:
    """Pids of HAProxy below the process that keeps it: the master and its worker."""
    return tree(keeper)[1:]


def tree(pid: int) -> list[int]:
    """*pid*, and the pids of all processes below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(below for child in children for below in tree(int(child)))]


def core_time(pid: int) -> float:
    """Seconds that a process ran."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


@contextmanager
def direct(site: Site, name: str) -> Iterator[tuple[int, int]]:
    """The same worker on a port of its own: port and pid."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    spec = Spec(name, 0, "asgi", "main:app", "none", 32, 10_000_000, "", 5, 0, False)
    process = subprocess.Popen(
        [sys.executable, "-m", "mfserv.workers.worker", spec.as_text(), str(listening.fileno())],
        cwd=site.folder / "mfserv" / "var" / "plugins" / name,
        env=site.environment,
        pass_fds=(listening.fileno(),),
    )
    try:
        yield int(listening.getsockname()[1]), process.pid
    finally:
        process.terminate()
        process.wait()


def wrk(url: str, seconds: float, pids: Sequence[int]) -> tuple[float, list[float]]:
    """Requests a second, and the microseconds that each of *pids* ran for one of them."""
    before = [core_time(pid) for pid in pids]
    done = subprocess.run(
        ["wrk", "-t1", "-c32", f"-d{seconds:g}s", url], capture_output=True, text=True, check=True
    ).stdout
    if "Non-2xx" in done or "Socket errors" in done:
        sys.exit(f"requests failed:\n{done}")
    rate, number = re.search(r"Requests/sec:\s+([0-9.]+)", done), re.search(r"([0-9]+) requests in", done)
    if not rate or not number:
        sys.exit(f"wrk says something else:\n{done}")
    times = [core_time(pid) - was for pid, was in zip(pids, before, strict=True)]
    return float(rate[1]), [1e6 * one / int(number[1]) for one in times]


def priorities(site: Site, seconds: float) -> None:
    """Interactive requests, alone and under overload."""
    print(f"interactive, {INTERACTIVE} ms, {FLOW}/s, at {WORKERS * CONCURRENCY} places; {OVERLOAD} batch clients")
    print(f"  {'':34}{'p50 ms':>9}{'p99 ms':>9}{'p99 ratio':>11}{'batch/s':>9}")
    alone = None
    for length in (0, 50, 2000):
        for name, text in SETTINGS.items() if length else [("no batch", SETTINGS["priority and lane"])]:
            site.configure(text)
            site.run("metwork", "apply", "mfserv")
            found = asyncio.run(overloaded(site.port, length, max(seconds * 3, 10)))
            alone = alone or found.p99
            what = f"batch of {length} ms, {name}" if length else name
            print(f"  {what:34}{found.p50:9.0f}{found.p99:9.0f}{found.p99 / alone:11.2f}{found.batch_rate:9.1f}")
    print()


@dataclass(frozen=True)
class Found:
    """What the interactive clients saw."""

    p50: float
    p99: float
    batch_rate: float


async def overloaded(port: int, length: int, seconds: float) -> Found:
    """An even flow of interactive requests while batch clients ask, if *length* is not 0."""
    end = time.monotonic() + seconds
    batches = [asyncio.create_task(batch(port, length, end)) for _ in range(OVERLOAD if length else 0)]
    await asyncio.sleep(1 if length else 0)
    asked, moment = [], time.monotonic()
    while moment < end:
        asked.append(asyncio.create_task(timed(port, INTERACTIVE, "")))
        moment += 1 / FLOW
        await asyncio.sleep(max(0, moment - time.monotonic()))
    times = sorted(await asyncio.gather(*asked))
    done = sum(await asyncio.gather(*batches))
    return Found(
        1000 * times[len(times) // 2], 1000 * times[min(len(times) - 1, int(len(times) * 0.99))], done / seconds
    )


async def batch(port: int, length: int, end: float) -> int:
    """Ask until *end*; how often."""
    number = 0
    while time.monotonic() < end:
        await timed(port, length, "X-API-Key: batch\r\n")
        number += 1
    return number


async def timed(port: int, length: int, headers: str) -> float:
    """Seconds that a request took."""
    begin = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /sleeper/?{length} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n".encode())
    answer = await reader.read()
    writer.close()
    if b" 200 " not in answer.partition(b"\r\n")[0]:
        sys.exit(f"a request failed: {answer[:200]!r}")
    return time.monotonic() - begin


if __name__ == "__main__":
    main()
