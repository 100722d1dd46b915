"""Names that the router and those who talk to it share: its files, its sockets, an app's places in it."""

from __future__ import annotations

from pathlib import Path

from mfext.environment import Home

#: The configuration and the certificate, in the router's folder; the maps lie beside them.
CONFIG, CERTIFICATE = "haproxy.cfg", "certificate.pem"
#: Sockets of the router, in the home's folder of run-time state.
ADMIN, MASTER, INTERNAL, PEERS, GATEWAY, METRICS, BODIES, SIZED = (
    "router-admin.sock",
    "router-master.sock",
    "router-internal.sock",
    "router-peers.sock",
    "gateway.sock",
    "router-metrics.sock",
    "bodies.sock",
    "router-sized.sock",
)


def folder(home: Home) -> Path:
    """Where the router's files lie."""
    return home.var / "router"


def server(app: str, slot: int) -> str:
    """What the router calls a worker of the app with the id *app*."""
    return f"app.{app}/s{slot}"
