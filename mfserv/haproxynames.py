"""Names that the router and those who talk to it share: its sockets, and an app's places in it."""

from __future__ import annotations

#: The configuration, in the router's folder; the maps lie beside it.
CONFIG = "haproxy.cfg"
#: Sockets of the router, in the home's folder of run-time state.
ADMIN, MASTER, INTERNAL, PEERS, GATEWAY = (
    "router-admin.sock",
    "router-master.sock",
    "router-internal.sock",
    "router-peers.sock",
    "gateway.sock",
)


def server(app: str, slot: int) -> str:
    """What the router calls a worker of the app with the id *app*."""
    return f"app.{app}/s{slot}"
