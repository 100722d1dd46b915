"""How apps do, for operators: their workers slot by slot, what they have in hand, what failed last and what it said."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from mfext.environment import Home
from mfext.errors import MetworkError, ServiceUnavailable
from mfext.supervision.output import last_lines
from mfext.supervision.process_state import ProcessState
from mfext.supervision.supervisor import Supervisor
from mfserv.app import App
from mfserv.processes import worker_name
from mfserv.router.access_log import Traffic, traffic, traffic_of
from mfserv.router.admin_socket import RouterLink
from mfserv.router.names import server

#: What the router counts, by backend and server.
Counts = Mapping[tuple[str, str], Mapping[str, str]]


def app_states(home: Home, apps: Sequence[App]) -> list[dict[str, Any]]:
    """All that is known of each of *apps*, as JSON values."""
    counts, asked = router_counts(RouterLink(home)), traffic(home.log / "access.log", time.time())
    try:
        processes = {one.name: one for one in Supervisor(home).states()}
    except MetworkError:
        processes = {}
    return [_app(home, app, counts, processes, traffic_of(app.id, asked)) for app in apps]


def summary(state: Mapping[str, Any]) -> dict[str, Any]:
    """The line of an app in a listing."""
    return {key: value for key, value in state.items() if key != "slots"}


def failures(state: Mapping[str, Any]) -> list[str]:
    """What to tell of the workers of an app that are not as they should be (pure)."""
    lines = []
    for one in state["slots"]:
        if one["reason"]:
            lines.append(f"{state['app']} worker {one['slot']}: {one['state']}: {one['reason']}")
            lines += [f"    | {line}" for line in one["said"]]
    return lines


def router_counts(link: RouterLink) -> dict[tuple[str, str], dict[str, str]]:
    """What the router counts; nothing when it does not run."""
    try:
        return {(row["pxname"], row["svname"]): row for row in link.statistics()}
    except ServiceUnavailable:
        return {}


def _app(home: Home, app: App, counts: Counts, processes: Mapping[str, ProcessState], asked: Traffic) -> dict[str, Any]:
    total = counts.get((f"app.{app.id}", "BACKEND"), {})
    slots = [_slot(home, app, slot, counts, processes.get(worker_name(app, slot))) for slot in app.slots]
    versions = sorted({one["version"] for one in slots if one["version"]})
    return {
        "app": app.id,
        "kind": app.kind,
        "version": " and ".join(versions) or app.version,
        "state": _state(slots, total),
        "workers": len(slots),
        "ready": sum(1 for one in slots if one["state"] == "running"),
        "in_router": sum(1 for one in slots if one["in_router"]),
        "in_hand": int(total.get("scur") or 0),
        "waiting": int(total.get("qcur") or 0),
        "rate": asked.rate,
        "p95_ms": asked.p95_ms,
        "failed": asked.failed,
        "answered": {code: int(total.get(f"hrsp_{code}") or 0) for code in ("2xx", "3xx", "4xx", "5xx")},
        "slots": slots,
    }


def _slot(home: Home, app: App, slot: int, counts: Counts, process: ProcessState | None) -> dict[str, Any]:
    name = server(app.id, slot).partition("/")[2]
    known = counts.get((f"app.{app.id}", name), {})
    last = process.last_exit if process else None
    facts = next(iter(process.facts.values()), {}) if process else {}
    reason = process.reason if process else "it does not run"
    return {
        "slot": slot,
        "state": process.state if process else "stopped",
        "in_router": known.get("status", "").startswith(("UP", "no check")),
        "in_hand": int(known.get("scur") or 0),
        "pids": list(process.pids) if process else [],
        "version": str(facts.get("version", "")),
        "restarts": process.restarts if process else 0,
        "uptime_s": round(process.uptime, 1) if process else 0.0,
        "memory": process.rss if process else 0,
        "last_failure": str(last) if last and process and process.restarts else "",
        "reason": reason,
        "said": last_lines(home, process.name, last.pid if last else None) if process and reason else [],
    }


def _state(slots: Sequence[Mapping[str, Any]], total: Mapping[str, str]) -> str:
    """running: as it should be; degraded: some workers are not; failing: none is; stopped: none shall run or can."""
    if not slots:
        return "elsewhere" if total else "stopped"
    if all(one["state"] == "stopped" for one in slots):
        return "stopped"
    well = sum(1 for one in slots if not one["reason"])
    return "running" if well == len(slots) else "degraded" if well else "failing"
