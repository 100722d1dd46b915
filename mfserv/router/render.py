"""haproxy: routing table, clients and limits -> the router's configuration and its maps, as files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any

from mfext.errors import ConfigError
from mfext.metrics.listener import SOCKET as METRICS_SOCKET
from mfext.section import Config
from mfserv.app import App
from mfserv.config import Http, Tls
from mfserv.jobs.config import MAX_EXECUTE
from mfserv.router import tokens
from mfserv.router.clients import Clients, clients
from mfserv.router.index_page import page
from mfserv.router.limits import Rate, lane, passing, rate
from mfserv.router.names import ADMIN, BODIES, CERTIFICATE, CONFIG, EXPORTER, GATEWAY, INTERNAL, PEERS, SIZED, forgeable
from mfserv.router.routes import Route, routing_table

#: Bytes that address and headers of a request may have, and those that the router may hold of one: a head that does
#: not fit into them, less what it adds, is answered by HAProxy in its own words.
#: Those that may be sent again are copied whole: each kilobyte costs every request.
LONGEST_HEAD, BUFFER = 14_336, 32_768
#: Bytes of it that are left free for what the router adds.
REWRITE = 2048
#: Milliseconds that a request is put back in the queue for each request of its client in the last ten seconds.
FAIRNESS = 10
#: Looks at one page of one job that use up no rate: four times as many as the gateway asks for.
LOOKS = Rate(40, 10)


@dataclass(frozen=True)
class Lane:
    """The places of an app that one class may have."""

    app: App
    name: str
    order: int
    places: int

    @property
    def id(self) -> str:
        """Its name in the router."""
        return f"lane.{self.name}.{self.app.id}"

    @property
    def socket(self) -> str:
        """Where the router comes back to itself, relative to the home's folder of run-time state."""
        return f"s/lane.{hashlib.sha256(self.id.encode()).hexdigest()[:24]}"


@dataclass(frozen=True)
class Rendered:
    """The router's files by name."""

    files: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Differs when anything does; the configuration carries it, so that the running router can be asked."""
        return hashlib.sha256(repr(sorted(self.files.items())).encode()).hexdigest()[:16]

    def complete(self, folder: Path, certificate: Path | None = None) -> dict[str, str]:
        """The files as they are written into *folder*, where the certificate lies, too, unless it is said."""
        names = {
            "@DIGEST@": self.digest,
            "@FOLDER@": str(folder),
            "@CERTIFICATE@": str(certificate or folder / CERTIFICATE),
        }
        config = self.files[CONFIG]
        for name, value in names.items():
            config = config.replace(name, value)
        return {**self.files, CONFIG: config}


def render(config: Config, apps: Sequence[App]) -> Rendered:
    """The router's files for the module's *config* and *apps*.

    Raises:
        ConfigError: routes overlap, or clients are not right.
    """
    table, known, signers = routing_table(apps), clients(config), tokens.issuers(config)
    lanes = [
        Lane(app, name, one.order, lane(app.places, one.share))
        for app in apps
        for name, one in known.classes.items()
        if one.share < 100 and app.kind != "proxy"
    ]
    maps = _maps(apps, table, known, lanes, config)
    facts = {
        **_settings(config),
        "apps": apps,
        "routes": table,
        "lanes": lanes,
        "clients": known,
        "issuers": signers,
        "jobs": any(app.settings.async_ != "off" for app in apps),
        "client_periods": sorted(_periods([known.others.rate, *(one.rate for one in known.named)])),
        "app_periods": sorted(_periods(rate(app.settings.rate) for app in apps)),
        "address_rate": known.address_rate,
        "longest": max([30.0, *(app.settings.timeout + app.settings.queue_timeout for app in apps)]),
        "fairness": FAIRNESS,
        "looks": LOOKS,
        # Rules for what nobody uses are left out: each costs every request some tenths of a microsecond.
        "used": {name: bool(maps[f"{name}.map"]) for name in ("addresses", "auth", "cors", "keys")}
        | {
            "hosts": any(route.host != "*" for route in table),
            "named": bool(known.named),
            "ipv6": config.section("http", Http).accept_proxy or any(":" in one for one in addresses(config)),
        },
        "buffer": BUFFER,
        "rewrite": REWRITE,
        "longest_head": LONGEST_HEAD,
        "longest_execute": MAX_EXECUTE,
        "forgeable": forgeable(),
        "claims": tokens,
    }
    keys = {name: text for one in signers for name, text in one.files.items()}
    return Rendered({**maps, **keys, "index.html": page(table), CONFIG: _text(facts)})


def _settings(config: Config) -> dict[str, Any]:
    return {
        "http": config.section("http", Http),
        "addresses": addresses(config),
        "tls": config.section("tls", Tls),
        "sockets": {
            "admin": ADMIN,
            "internal": INTERNAL,
            "peers": PEERS,
            "gateway": GATEWAY,
            "metrics": METRICS_SOCKET,
            "bodies": BODIES,
            "sized": SIZED,
            "exporter": EXPORTER,
        },
    }


def addresses(config: Config) -> list[str]:
    """The addresses on which the router listens; ``::`` is all of IPv4, too, with addresses of clients as they are.

    Raises:
        ConfigError: what is configured is none.
    """
    found = []
    for text in config.section("http", Http).address:
        try:
            found.append(str(ip_address(text.strip("[]"))))
        except ValueError as error:
            where = f"{config.origin('http', 'address')} [http] address"
            raise ConfigError(str(error), where=where, expected="an IPv4 or IPv6 address") from None
    everywhere = [str(IPv4Address(0))] if "::" in found else []
    return [*dict.fromkeys([*found, *everywhere])]


def _periods(rates: Iterable[Rate | None]) -> set[int]:
    return {one.period for one in rates if one}


def _maps(
    apps: Sequence[App], table: Sequence[Route], known: Clients, lanes: Sequence[Lane], config: Config
) -> dict[str, str]:
    """The maps in which the router looks things up: their size, and not the number of rules, grows with the apps."""
    named = known.named
    limited = [(client.name, client.rate) for client in named if client.rate]
    app_rates = [(app.id, one) for app in apps if (one := rate(app.settings.rate))]
    places = {(one.app.id, one.name): one.id for one in lanes}
    maps: dict[str, list[tuple[str, object]]] = {
        "routes": [
            (f"{'' if route.host == '*' else route.host}{route.path}/", f"{route.app.id}|{route.path}")
            for route in table
        ],
        "keys": [(key, client.name) for client in named for key in client.keys],
        "subjects": [(subject, client.name) for client in named for subject in client.subjects],
        "addresses": [(address, client.name) for client in named for address in client.addresses],
        "classes": [(client.name, client.class_) for client in named],
        "orders": [(name, one.order) for name, one in known.classes.items()],
        "rates": [(name, one.requests) for name, one in limited],
        "periods": [(name, one.period) for name, one in limited],
        "waits": [(name, one.wait) for name, one in limited],
        "app_rates": [(name, one.requests) for name, one in app_rates],
        "app_periods": [(name, one.period) for name, one in app_rates],
        "app_waits": [(name, one.wait) for name, one in app_rates],
        "bodies": [(app.id, app.settings.max_body) for app in apps],
        "passing": [(app.id, passing(app.places)) for app in apps],
        "auth": [(app.id, "named" if app.settings.clients else "known") for app in apps if app.settings.auth != "none"],
        "allowed": [(f"{app.id}|{client}", 1) for app in apps for client in app.settings.clients],
        "cors": [(f"{app.id}|{origin}", 1) for app in apps for origin in app.settings.cors_origins],
        "cors_apps": [(app.id, 1) for app in apps if app.settings.cors_origins],
        "async": [(app.id, app.settings.async_) for app in apps if app.settings.async_ != "off"],
        "backends": [
            (f"{app.id}|{name}", places.get((app.id, name), f"app.{app.id}")) for app in apps for name in known.classes
        ],
        "admins": [(address, 1) for address in config.section("http", Http).admin_addresses],
    }
    return {f"{name}.map": "".join(f"{key} {value}\n" for key, value in pairs) for name, pairs in maps.items()}


def _text(facts: Mapping[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Nothing of this is HTML; what goes in is checked where it is declared.
    jinja = Environment(  # nosec B701
        loader=PackageLoader("mfserv.router", "."),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters["zip"] = zip
    jinja.filters["ms"] = lambda seconds: f"{round(seconds * 1000)}ms"
    return jinja.get_template("haproxy.cfg.j2").render(facts)
