"""Kills gateways, runners, RabbitMQ and redis while clients submit jobs, and accounts for every job that was accepted.

Usage: ``python -m tests.matrix.job_kills [--seconds 40] [--engine sqlite|rabbitmq]``
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path

from mfext.testing import wait_until
from tests.integration.mfserv.jobs.job_site import Site
from tests.servers import Server, rabbitmq_server, redis_server

_CLIENTS, _PAUSE_S = 4, 0.02
#: Seconds for what waits at the end; an attempt whose runner died takes a while.
_END_S = 120.0


class Clients:
    """Submit without a pause to speak of, and remember what was accepted."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.accepted: list[str] = []
        self.refused: Counter[int] = Counter()
        self.broken = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(f"client{n}",)) for n in range(_CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, name: str) -> None:
        while not self._stop.wait(_PAUSE_S):
            try:
                answer = self.site.ask("POST", "/only?sleep=0.01", b"body", client=name)
            except (OSError, HTTPException):
                self.broken += 1  # killed in the middle: the client cannot know, and would ask again
                continue
            if answer.status == 202:
                self.accepted.append(answer.job.rpartition("/")[2])
            else:
                self.refused[answer.status] += 1


def main() -> int:
    """Kill, count and print; 1 when a job is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=40.0, help="of each engine (default %(default)s)")
    parser.add_argument("--engine", choices=("sqlite", "rabbitmq"), help="this one only")
    options = parser.parse_args()
    engines = [options.engine] if options.engine else ["sqlite", "rabbitmq"]
    outcomes = [run(engine, options.seconds) for engine in engines]
    return 0 if all(outcomes) else 1


def run(engine: str, seconds: float) -> bool:
    """Whether every job of *seconds* of kills is accounted for."""
    with site_of(engine) as (site, servers):
        clients = Clients(site)
        kills = _kills(site, servers)
        clients.start()
        killed: Counter[str] = Counter()
        end = time.monotonic() + seconds
        try:
            for name, kill in kills:
                _more(clients, 20)
                if time.monotonic() > end:
                    break
                kill()
                killed[name] += 1
        finally:
            clients.stop()
        return _account(engine, site, clients, killed)


@contextmanager
def site_of(engine: str) -> Iterator[tuple[Site, dict[str, Server]]]:
    """A gateway, two runners and the servers that they need."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="job-kills-")))
        servers: dict[str, Server] = {}
        settings: dict[str, str] = {}
        if engine == "rabbitmq":
            rabbitmq = stack.enter_context(rabbitmq_server())
            redis = stack.enter_context(redis_server())
            servers = {"RabbitMQ": rabbitmq, "redis": redis}
            settings = {"engine": engine, "rabbitmq_url": rabbitmq.url, "redis_url": redis.url}
        site = Site(folder, **settings)
        stack.callback(site.stop)
        yield site, servers


def _kills(site: Site, servers: dict[str, Server]) -> Iterator[tuple[str, Callable[[], None]]]:
    """Who is killed and started anew, over and over."""
    running = {name: site.start(name.partition(" ")[0]) for name in ("gateway", "runner 1", "runner 2")}

    def process(name: str) -> None:
        site.kill(running[name])
        running[name] = site.start(name.partition(" ")[0])

    def server(name: str) -> None:
        servers[name].kill()
        servers[name].start()

    order = ["gateway", "runner 1", "redis", "runner 2", "gateway", "RabbitMQ"]
    for name in itertools.cycle([one for one in order if one in running or one in servers]):
        yield name, lambda name=name: (process if name in running else server)(name)  # type: ignore[misc]


def _more(clients: Clients, count: int) -> None:
    before = len(clients.accepted)
    wait_until(lambda: len(clients.accepted) >= before + count, 60, what="more jobs accepted")


def _account(engine: str, site: Site, clients: Clients, killed: Counter[str]) -> bool:
    store = site.store
    wait_until(lambda: store.counts()["accepted"] + store.counts()["running"] == 0, _END_S, what="the end of all jobs")
    kept = {job.id: job for job in store.listed(limit=1_000_000)}
    called = set(site.service.jobs())
    states = Counter(str(kept[job].status) if job in kept else "LOST" for job in clients.accepted)
    silent = [job for job in clients.accepted if job in kept and kept[job].status == "failed" and not kept[job].message]
    undone = [job.id for job in kept.values() if job.status == "successful" and job.id not in called]
    counts = dict(store.counts())
    submitted, total = counts.pop("submitted"), sum(counts.values())
    again = sum(tally.ever.get("again", 0) for tally in store.job_counts().values())
    print(f"{engine}: killed {', '.join(f'{name} {count}x' for name, count in sorted(killed.items()))}")
    print(
        f"  refused: {dict(clients.refused) or 'none'}; answers cut off: {clients.broken}; attempts given back: {again}"
    )
    print(f"  accepted {len(clients.accepted)} = {' + '.join(f'{count} {name}' for name, count in states.items())}")
    print(f"  the store: submitted {submitted} = {' + '.join(f'{count} {name}' for name, count in counts.items())}")
    is_right = not states["LOST"] and not silent and not undone and submitted == total
    print(f"  failed without a reason: {len(silent)}; successful but never at the service: {len(undone)}")
    print(f"  {'every job is accounted for' if is_right else 'WRONG'}", flush=True)
    return is_right


if __name__ == "__main__":
    sys.exit(main())
