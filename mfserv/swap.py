"""Swap: how a worker comes into the router and leaves it, so that another takes its place without a request lost."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import suppress

from mfext.environment import Home
from mfserv.haproxynames import server
from mfserv.routerlink import RouterLink

#: Seconds between two looks while a worker is leaving.
_LOOK = 0.05
#: Seconds in which the router, asked to stop, says so.
_HEAR = 0.1
#: Part of the time to leave that a worker waits for its turn.
_PATIENCE = 0.4


class Place:
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

    async def leave(self, timeout: float) -> None:
        """Come back when the router has no request here and sends none; after *timeout* seconds anyway.

        When the whole module stops, the router is served until it has none; otherwise the workers of an app leave one
        after the other, as far as time allows.
        """
        deadline = time.monotonic() + timeout
        await asyncio.sleep(_HEAR)
        if self._router_leaves():
            while self._router_leaves() and time.monotonic() < deadline:
                await asyncio.sleep(_LOOK)
            return
        # In a thread, since requests go on here.
        if await asyncio.to_thread(
            self.router.set_state, self.server, "ready"
        ):  # else there is no such worker any more
            await self._wait_for_turn(time.monotonic() + timeout * _PATIENCE)
            await asyncio.to_thread(self.router.set_state, self.server, "maint")
        while await asyncio.to_thread(self.router.sessions, self.server) and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK)

    def _router_leaves(self) -> bool:
        """Whether the router finishes its work, too, and has still some."""
        for file in (self.home.run / "ready" / "router").glob("[0-9]*"):
            with suppress(OSError, ValueError):
                facts = json.loads(file.read_bytes())
                return bool(facts.get("draining")) and not facts.get("drained")
        return False

    async def _wait_for_turn(self, deadline: float) -> None:
        self._turn.parent.mkdir(exist_ok=True)
        while time.monotonic() < deadline:
            with suppress(FileExistsError):
                file = os.open(self._turn, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                os.write(file, str(self.slot).encode())
                os.close(file)
                return
            await asyncio.sleep(_LOOK)
        self._turn.unlink(missing_ok=True)  # whoever had it does not come back
