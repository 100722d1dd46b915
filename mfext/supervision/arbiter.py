"""Arbiter: the program that keeps a module's processes running; circus with our own commands.

Started by the supervisor as ``python -m mfext.supervision.arbiter MODULE HOME LOCK``, with its settings on standard
input. *LOCK* is the number of an open file on which it holds a lock for as long as it lives: that, and no pid file,
tells that it runs.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from mfext import log
from mfext.environment import Home
from mfext.metrics.listener import SOCKET as METRICS_SOCKET
from mfext.metrics.listener import MetricsListener
from mfext.supervision.endpoint import SOCKET, address
from mfext.supervision.output import cut
from mfext.supervision.process import Process

#: Seconds between two looks at what no signal tells: sizes of output files, a process that could not be started.
_HOUSEKEEPING = 2.0
#: Seconds in which children that end together are looked at once.
_GATHER = 0.01

_log = log.get_logger("mfext.supervision.arbiter")


def main() -> None:
    """Leave the caller and run until told to stop."""
    module, path, lock = sys.argv[1:4]
    settings = json.loads(sys.stdin.read())
    if os.fork():
        os._exit(0)  # so that the arbiter is nobody's child, and no zombie when it ends
    os.setsid()
    os.set_inheritable(int(lock), False)
    os.ftruncate(int(lock), 0)
    os.pwrite(int(lock), str(os.getpid()).encode(), 0)
    home = Home(module, Path(path))
    os.chdir(home.path)
    log.set_up(home, "arbiter", **settings["log"])
    log.adopt_standard_logging("warning")
    try:
        Service(home, settings).run()
    except BaseException:
        _log.exception("the arbiter ends by a fault")
        raise
    _log.info("stopped")


def _privately(act: Callable[[], None]) -> Callable[[], None]:
    """*act*, with what it makes being for nobody else."""

    def acted() -> None:
        before = os.umask(0o077)
        try:
            act()
        finally:
            os.umask(before)  # processes are started with it

    return acted


class Service:
    """circus' arbiter, the process_set and the dev-links in one loop."""

    def __init__(self, home: Home, settings: dict[str, Any]) -> None:
        from circus.arbiter import Arbiter

        from mfext.supervision.dev_reload import DevLinks
        from mfext.supervision.process_set import ProcessSet

        _add_commands()
        self.home = home
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.arbiter = Arbiter(
            [],
            endpoint=address(os.open(home.run, os.O_RDONLY)),
            pubsub_endpoint="inproc://events",
            check_delay=-1,  # a signal tells when there is something to do
        )
        self.arbiter.service = self
        self.arbiter.ctrl.initialize = _privately(self.arbiter.ctrl.initialize)
        self.process_set = ProcessSet(home, self.arbiter, settings["max_backoff"])
        self.metrics = MetricsListener(home, self.loop)
        self.devlinks = DevLinks(home) if settings["watch_dev_links"] else None
        self.output_size = settings["log"]["max_size"]
        self._looking = False
        self._stopping = False
        self._tasks: set[asyncio.Task[Any]] = set()

    def run(self) -> None:
        """Serve until stopped."""
        self.loop.add_signal_handler(signal.SIGCHLD, self._child_ended)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            self.loop.add_signal_handler(number, lambda: self.start_task(self.stop()))
        self.loop.add_signal_handler(signal.SIGHUP, lambda: None)
        self.loop.call_later(_HOUSEKEEPING, self._keep_house)
        _log.info("started", home=self.home.path)
        self.arbiter.start()
        self.metrics.close()
        for name in (SOCKET, METRICS_SOCKET, "metrics", "processes", "ready"):
            _remove(self.home.run / name)

    async def apply(self, processes: list[dict[str, Any]]) -> dict[str, Any]:
        """Make *processes* run and nothing else."""
        if self._stopping:
            return {"refused": "the module is being stopped"}
        started = await self.process_set.apply([Process.from_json(fields) for fields in processes])
        if self.devlinks:
            self.devlinks.refresh()
        return {"started": started}

    async def stop(self, timeout: float | None = None) -> dict[str, Any]:
        """End all processes, then the arbiter."""
        first, self._stopping = not self._stopping, True
        await self.process_set.clear(timeout)
        if first:
            self.loop.call_later(
                0.02, lambda: self.start_task(self.process_set.end_arbiter())
            )  # after the answer is out
        return {}

    def start_task(self, act: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Let *act* go on in the loop; what it raises is logged."""
        task = self.loop.create_task(act)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("a task of the arbiter failed", error=repr(error))

    def _child_ended(self) -> None:
        if not self._looking:
            self._looking = True
            self.loop.call_later(_GATHER, self._look)

    def _look(self) -> None:
        self._looking = False
        self.process_set.children.look()
        self.start_task(self.process_set.manage())

    def _keep_house(self) -> None:
        self.loop.call_later(_HOUSEKEEPING, self._keep_house)
        self.process_set.children.forget_lost()
        self.process_set.look_after()
        if not self._stopping:
            self.start_task(self.process_set.restart_ended())
        for name in self.process_set.members:
            try:
                cut(self.home.log / f"{name}.out", self.output_size)
            except OSError as error:
                _log.error("an output file cannot be cut", child=name, error=error)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _add_commands() -> None:
    """Teach circus our commands: it takes every subclass that was declared before the arbiter is made."""
    from circus.commands.base import Command

    class States(Command):  # type: ignore[misc]
        """What is known of processes, by default of all."""

        name = "metwork_states"

        def execute(self, arbiter: Any, properties: dict[str, Any]) -> dict[str, Any]:
            return {"states": arbiter.service.process_set.states(properties.get("names"))}

    class Apply(Command):  # type: ignore[misc]
        """Make the given processes run and nothing else."""

        name = "metwork_apply"

        def execute(self, arbiter: Any, properties: dict[str, Any]) -> asyncio.Task[Any]:
            return arbiter.service.start_task(arbiter.service.apply(properties["processes"]))  # type: ignore[no-any-return]

    class Stop(Command):  # type: ignore[misc]
        """End all processes and the arbiter."""

        name = "metwork_stop"

        def execute(self, arbiter: Any, properties: dict[str, Any]) -> asyncio.Task[Any]:
            return arbiter.service.start_task(arbiter.service.stop(properties["drain"]))  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
