"""Names that the router and those who talk to it share: its files, its sockets, an app's places in it."""

from __future__ import annotations

from pathlib import Path

from mfext.environment import Home

#: The configuration and the certificate, in the router's folder; the maps lie beside them.
CONFIG, CERTIFICATE = "haproxy.cfg", "certificate.pem"
#: Sockets of the router, in the home's folder of run-time state.
ADMIN, MASTER, INTERNAL, PEERS, GATEWAY, BODIES, SIZED, EXPORTER = (
    "router-admin.sock",
    "router-master.sock",
    "router-internal.sock",
    "router-peers.sock",
    "gateway.sock",
    "bodies.sock",
    "router-sized.sock",
    "router-exporter.sock",
)

#: Headers by which a proxy says who asks, from where, by which scheme, host or path: those of this router and those of
#: others, which servers and frameworks believe. ``*`` stands for the rest of a name.
PROXY_HEADERS = (
    *("x-metwork-*", "x-request-id", "x-forwarded*", "forwarded*", "x-original-*", "x-rewrite-*", "proxy"),
    *("x-real-*", "real-ip", "client-ip", "true-client-*", "x-true-client-*", "x-client-ip", "x-client-addr*"),
    *("remote-*", "x-remote-*", "x-originating-*", "x-source-ip", "x-proxyuser-*", "proxy-client-*", "wl-proxy-*"),
    *("x-scheme", "x-url-scheme", "x-proto", "x-protocol", "x-https", "front-end-https", "x-ssl*", "ssl-client-*"),
    *("x-host", "x-http-host-override", "x-script-name", "script-name", "x-path-info", "path-info"),
    *("cf-*", "fastly-*", "cloudfront-*", "cdn-*", "ali-cdn-*", "fly-*", "incap-*", "do-connecting-*", "x-sucuri-*"),
    *("x-azure-*", "x-arr-*", "x-appengine-*", "x-envoy-*", "x-nf-*", "x-vercel-*", "x-akamai-*", "x-amzn-oidc-*"),
    "x-cluster-client-*",
)


def forgeable() -> str:
    """What the small letters of the names of those headers match: WSGI and others know no ``-`` from ``_``."""
    names = "|".join(PROXY_HEADERS).replace("-", "[-_]").replace("*", ".*")
    return f"^({names}|x_api[-_]key|x-api_key)$"


def folder(home: Home) -> Path:
    """Where the router's files lie."""
    return home.var / "router"


def server(app: str, slot: int) -> str:
    """What the router calls a worker of the app with the id *app*."""
    return f"app.{app}/s{slot}"
