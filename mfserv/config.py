"""Every configuration key of mfserv but those of jobs, declared once."""

from __future__ import annotations

from dataclasses import dataclass

from mfext.option import option
from mfext.plugin.daemon import Daemon
from mfext.plugin.process_options import ProcessLimits
from mfext.section import FreeSection, Schema, Section

#: What a rate looks like: requests in a period.
RATE = r"([1-9][0-9]{0,8}/[1-9][0-9]{0,4}s)?"
_RATE_FORM = "requests/seconds and an s"
#: A path that the router can be told of.
FILE = r"(/[A-Za-z0-9._/@+=:~\-]*)?"
#: The default of a class that nobody configured: of the client who is not named, and of jobs.
INTERACTIVE, BATCH = "interactive", "batch"
#: What one worker does in parallel when its app does not say.
CONCURRENCY = {"asgi": 32, "tornado": 32, "static": 32, "wsgi": 4, "command": 1, "proxy": 100}


@dataclass(frozen=True)
class Http(Section):
    """Where the router listens, and what it takes from clients."""

    address: tuple[str, ...] = option(
        ("127.0.0.1",),
        separator=",",
        pattern=r"[0-9A-Fa-f.:]+|\[[0-9A-Fa-f.:]+\]",
        form="an IPv4 or IPv6 address",
        help="Addresses that the router listens on; 0.0.0.0 is all of IPv4, :: all of IPv6 and IPv4.",
        example="127.0.0.1, ::1",
    )
    port: int = option(8080, minimum=0, maximum=65535, help="Port for plain HTTP; 0 = none.")
    accept_proxy: bool = option(
        False, help="Take addresses of clients from the PROXY protocol, which the balancer in front must then speak."
    )
    threads: int = option(1, minimum=1, maximum=64, help="Threads of the router; one serves some 30,000 requests/s.")
    max_connections: int = option(4_000, minimum=10, help="Connections of clients at the same time.")
    address_connections: int = option(
        0, minimum=0, help="Connections of one address at the same time; more are closed; 0 = no limit."
    )
    header_timeout: float = option(10.0, unit="s", minimum=1, help="Time that the headers of a request may take.")
    body_spool: int = option(
        1_000_000_000,
        unit="bytes",
        minimum=0,
        help="Bytes on disk, in var/router, of bodies that are gathered until they are whole, a quarter of them of one "
        "address; beyond, one body of an address takes a worker, and others are refused with 503.",
    )
    body_timeout: float = option(
        30.0, unit="s", minimum=1, help="Time without a byte of a body after which a client is given up."
    )
    idle_timeout: float = option(60.0, unit="s", minimum=1, help="Time that a connection may be without a request.")
    linger: float = option(
        30.0,
        unit="s",
        minimum=0,
        help="Time, beyond that of the longest request, for which websockets and streams go on in a former router.",
    )
    admin_addresses: tuple[str, ...] = option(
        ("127.0.0.0/8", "::1"), separator=",", help="Addresses that may read /__metrics."
    )


@dataclass(frozen=True)
class Tls(Section):
    """HTTPS and HTTP/2."""

    certificate: str = option(
        "", pattern=FILE, form="a full path", help="PEM file with certificate, chain and private key; none = no HTTPS."
    )
    port: int = option(8443, minimum=1, maximum=65535, help="Port for HTTPS.")


@dataclass(frozen=True)
class Limits(Section):
    """What holds for clients that no section [client_*] names, and for addresses."""

    anonymous_class: str = option(INTERACTIVE, help="Class of clients that are not known.")
    anonymous_rate: str = option(
        "", pattern=RATE, form=_RATE_FORM, help="Requests of an unknown client, by address.", example="60/60s"
    )
    address_rate: str = option(
        "", pattern=RATE, form=_RATE_FORM, help="Requests of one address, whoever the client is.", example="600/60s"
    )


@dataclass(frozen=True)
class Jwt(Section):
    """Who signs bearer tokens (JWT) that the router accepts; without any, Authorization is left to the apps."""

    algorithm: str = option(
        "RS256",
        choices=("HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512"),
        help="The one algorithm that is accepted.",
    )
    public_keys: tuple[str, ...] = option(
        (),
        separator=",",
        pattern=rf"(([A-Za-z0-9._~+=@\-]{{1,200}}:)?(?!//){FILE})?",
        form="a full path, or KID: and a full path",
        help="PEM files with public keys, for RS* and ES*. A token whose kid is that of a key must be signed by it, "
        "another one by any key that has no KID; without kid, by any of them.",
        example="2027:/etc/keys/new.pem, 2026:/etc/keys/old.pem",
    )
    secret: str = option(
        "",
        secret=True,
        pattern=r"([A-Za-z0-9._~+/=:@\-]{32,})?",
        form="at least 32 letters, digits or signs of ._~+/=:@-",
        help="The shared secret, for HS*.",
    )
    issuer: str = option("", pattern=r"[^\s\"'\\]*", help="What iss must be; empty = anything.")
    audience: str = option("", pattern=r"[^\s\"'\\]*", help="What aud must be or hold; empty = anything.")


@dataclass(frozen=True)
class ClassConfig(Section):
    """A class of requests: who comes first, and what share it may have."""

    order: int = option(help="Place among the classes: requests of a lower number overtake in the queue.")
    share: int = option(
        100,
        unit="%",
        minimum=1,
        maximum=100,
        help="Share of an app's places that this class may have at once, so that others always find some free.",
    )


@dataclass(frozen=True)
class ClientConfig(Section):
    """A client: how it is known, its class and its limits."""

    keys: tuple[str, ...] = option(
        (),
        separator=",",
        secret=True,
        help="API keys, sent in the header X-API-Key; sha256:HEX stands for a key that is not written here.",
    )
    subjects: tuple[str, ...] = option((), separator=",", help="Subjects (sub) of bearer tokens.")
    issuer: str = option(
        "", help="Whose tokens these subjects are of, as in [jwt_NAME]; needed where there are several issuers."
    )
    addresses: tuple[str, ...] = option(
        (),
        separator=",",
        help="Addresses or networks, for requests without a key.",
        example="192.0.2.0/24, 2001:db8::/32",
    )
    class_: str = option(INTERACTIVE, help="Its class.")
    rate: str = option(
        "", pattern=RATE, form=_RATE_FORM, help="Requests in a period; empty = no limit.", example="600/60s"
    )


@dataclass(frozen=True)
class AppOptions(Section):
    """What an app says of itself, besides the limits of its processes."""

    app: str = option(
        "",
        pattern=r"([A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*)?",
        form="module:object",
        help="A Python app as module:object below the plugin's folder: ASGI, WSGI or tornado.",
        example="main:app",
    )
    interface: str = option(
        "auto", choices=("auto", "asgi", "wsgi", "tornado"), help="What app is; auto looks at the object."
    )
    cmd: str = option(
        "",
        help="A program that serves HTTP. It inherits a listening socket as file 3 (LISTEN_FDS=1; {FD} is 3); or it "
        "listens where {SOCKET}, a path, or {PORT}, of 127.0.0.1, says. {PYTHON} is MetWork's Python; {PLUGIN}, {APP}, "
        "{SLOT} (the number of the worker), {ROUTE} and {VERSION} say who it is.",
        example="{PYTHON} serve.py",
    )
    static: str = option("", help="A folder of files, below the plugin's folder.", example="static")
    upstream: tuple[str, ...] = option(
        (),
        separator=",",
        pattern=r"https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?",
        form="http:// or https://, a host, and perhaps a port, without a path",
        help="A service elsewhere: its addresses, without a path.",
        example="http://192.0.2.7:8000",
    )
    routes: tuple[str, ...] = option(
        (),
        separator=",",
        pattern=r"/[A-Za-z0-9._~/\-]*",
        form="a path that begins with / and has only letters, digits and signs of ._~/-",
        help="Paths below which it answers; by default /PLUGIN. The app sees the path below its route.",
    )
    virtualhosts: tuple[str, ...] = option(
        (),
        separator=",",
        pattern=r"[A-Za-z0-9.\-]+",
        form="the name of a host, without a port",
        help="Host names for which the routes hold; by default all.",
    )
    workers: int = option(1, minimum=1, maximum=256, help="Number of worker processes.")
    concurrency: int = option(
        0,
        minimum=0,
        help="Requests that one worker truly serves in parallel; more wait in the router. 0 = "
        + ", ".join(f"{number} for {kind}" for kind, number in CONCURRENCY.items())
        + ".",
    )
    timeout: float = option(30.0, unit="s", minimum=0.1, help="Time that the app may take to answer.")
    queue_timeout: float = option(10.0, unit="s", minimum=0.1, help="Time that a request may wait for a worker.")
    max_queue: int = option(1000, minimum=0, help="Requests that may wait; more are refused with Retry-After.")
    max_body: int = option(
        10_000_000,
        unit="bytes",
        minimum=0,
        help="Largest body of a request, of any kind of app; a body whose length is not said (chunked) is counted as "
        "it comes, and broken off.",
    )
    retry: str = option(
        "idempotent",
        choices=("none", "idempotent"),
        help="Requests that are sent to a worker again when one dies before it answers.",
    )
    health: str = option(
        "",
        pattern=r"(/[!-~]*)?",
        form="a path that begins with /",
        help="A path of the app that answers below 400 once a new worker is ready.",
    )
    openapi: str = option(
        "",
        pattern=r"(/[!-~]*)?",
        form="a path that begins with /",
        help="The path of its OpenAPI document.",
        example="/openapi.json",
    )
    auth: str = option("none", choices=("none", "required"), help="Whether only known clients are let in.")
    clients: tuple[str, ...] = option(
        (), separator=",", help="Names of the only clients that are let in, as in [client_NAME]."
    )
    rate: str = option("", pattern=RATE, form=_RATE_FORM, help="Requests of one client to this app.", example="60/60s")
    cors_origins: tuple[str, ...] = option(
        (),
        separator=",",
        pattern=r"\*|https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?",
        form="* or http:// or https://, a host, and perhaps a port",
        help="Origins whose pages may call the app from a browser; * = all.",
    )
    async_: str = option(
        "off",
        choices=("off", "allow", "only"),
        help="Whether requests may be jobs: allow = when a client prefers respond-async, only = all of them.",
    )
    async_timeout: float = option(
        0.0, unit="s", minimum=0, help="Time that one attempt at a job may take, whatever timeout says; 0 = as [jobs]."
    )
    async_attempts: int = option(0, minimum=0, help="Attempts after which a job has failed; 0 = as [jobs].")
    async_wait_max: float = option(
        0.0, unit="s", minimum=0, help="Longest time that a client may ask to wait for a result; 0 = as [jobs]."
    )
    async_result_ttl: float = option(
        0.0, unit="s", minimum=0, help="Time that a job and its result are kept once done; 0 = as [jobs]."
    )
    async_max_result: int = option(
        0, unit="bytes", minimum=0, help="Largest result; a larger one is a failure; 0 = as [jobs]."
    )
    async_max_queue: int = option(
        0, minimum=0, help="Jobs of this app that may wait; one more is refused with 503; 0 = as many as of all apps."
    )
    process: str = option(
        "",
        help="A JSON file below the plugin's folder that describes the app for OGC API - Processes: title, "
        "description, version, keywords, inputs, output, media_type, method, path.",
        example="process.json",
    )
    autostart: bool = option(True, help="Start with the module.")
    graceful_timeout: float = option(
        30.0, unit="s", minimum=1, help="Time to finish the requests in hand when asked to stop."
    )
    stalled_after: float = option(
        -1.0,
        unit="s",
        minimum=-1,
        help="Time for which the loop of a worker, or all threads of a WSGI app, may stand still, although there is "
        "something to do, before it is killed and started again; 0 = for ever; -1 = 10 s, or as long as an answer may "
        "take (timeout, the time of a job).",
    )
    max_age: float = option(
        0.0, unit="s", minimum=0, help="Age at which a worker leaves, without losing a request; 0 = never."
    )
    debug: bool = option(False, help="Log at level DEBUG.")


@dataclass(frozen=True)
class AppConfig(ProcessLimits, AppOptions):
    """An app: what it is (by one of app, cmd, static and upstream), where it answers, its workers, its limits.

    Limits of processes, also those of all together, hold for each worker with what it starts.
    """


@dataclass(frozen=True)
class Environment(FreeSection):
    """Variables of the environment of every app and daemon of the plugin; of one, in [environment_NAME], which wins."""


MODULE_SECTIONS = {
    "http": Http,
    "tls": Tls,
    "limits": Limits,
    "jwt_*": Jwt,
    "class_*": ClassConfig,
    "client_*": ClientConfig,
}

PLUGIN_SECTIONS = Schema(
    {"app_*": AppConfig, "extra_daemon_*": Daemon, "environment": Environment, "environment_*": Environment}
)
