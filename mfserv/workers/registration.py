"""Swap: how a worker comes into the router and leaves it, so that another takes its place without a request lost."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress

from mfext import log
from mfext.environment import Home
from mfext.mainloop import ready_facts
from mfserv.router.admin_socket import RouterLink
from mfserv.router.names import server

#: Seconds between two looks while a worker is leaving.
_LOOK = 0.05
#: Seconds in which the router, asked to stop, says so.
_HEAR = 0.1
#: Seconds that a worker which leaves waits for another one, which has left, to be replaced.
_PATIENCE = 10.0
#: Part of the time to leave in which a worker waits for its turn: what it has in hand needs the rest.
_TURN = 0.4


_log = log.get_logger(__name__)


class Registration:
    """The place of one worker of an app in the router."""

    def __init__(self, home: Home, app: str, slot: int) -> None:
        self.home = home
        self.app = app
        self.slot = slot
        self.router = RouterLink(home)
        self.server = server(app, slot)
        self._turn = home.run / "turns" / app

    def join(self) -> None:
        """Take requests from now on, and let the next worker of the app take its turn to leave."""
        self.router.set_state(self.server, "ready")
        with suppress(OSError):
            if self._turn.read_text() == str(self.slot):
                self._turn.unlink()

    async def leave(self, timeout: float, standing: Callable[[], int] = lambda: 0) -> None:
        """Come back when the router has no request here and sends none; after *timeout* seconds anyway.

        When the whole module stops, the router is served until it has none; otherwise the workers of an app leave one
        after the other, as far as time allows. *standing* tells how many connections here are no requests: nobody waits
        for those.
        """
        begin = time.monotonic()
        deadline = begin + timeout
        await asyncio.sleep(_HEAR)
        if self._router_leaves():
            while self._router_leaves() and time.monotonic() < deadline:
                await asyncio.sleep(_LOOK)
            return
        turn = begin
        # In a thread, since requests go on here.
        if await asyncio.to_thread(
            self.router.set_state, self.server, "ready"
        ):  # else there is no such worker any more
            await self._wait_for_turn(begin + timeout * _TURN)
            turn = time.monotonic()
            await asyncio.to_thread(self.router.set_state, self.server, "maint")
        while await asyncio.to_thread(self.router.sessions, self.server) > standing() and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK)
        _log.info("left the router", turn_s=round(turn - begin, 2), left_s=round(time.monotonic() - turn, 2))

    def _router_leaves(self) -> bool:
        """Whether the router finishes its work, too, and has still some."""
        for facts in ready_facts(self.home, "router").values():
            return bool(facts.get("draining")) and not facts.get("drained")
        return False

    async def _wait_for_turn(self, deadline: float) -> None:
        """Come back when no other worker of the app is leaving, or the one that is has no successor so far.

        While a plugin is upgraded all its workers must have left before the first new one comes: then none waits long.
        """
        self._turn.parent.mkdir(exist_ok=True)
        holder, since = "", time.monotonic()
        while time.monotonic() < min(since + _PATIENCE, deadline):
            with suppress(FileExistsError):
                file = os.open(self._turn, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                os.write(file, str(self.slot).encode())
                os.close(file)
                return
            with suppress(OSError):
                if (now := self._turn.read_text()) != holder:
                    holder, since = now, time.monotonic()
            await asyncio.sleep(_LOOK)
        self._turn.unlink(missing_ok=True)
