"""Put a router configuration in force: check it with HAProxy itself, write it, let the running router take it."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path

from mfext.environment import Home
from mfext.errors import Conflict, PluginError, ServiceUnavailable
from mfext.fs.atomic import replacing_file
from mfext.section import Config
from mfserv.app import App
from mfserv.config import Http, Tls
from mfserv.router.admin_socket import RouterLink
from mfserv.router.certificate import checked_certificate, in_force, refresh
from mfserv.router.names import CERTIFICATE, CONFIG, folder, server
from mfserv.router.render import Rendered, addresses, render
from mfserv.workers.socket_holder import require_sockets

#: Seconds in which a running router must have taken a new configuration.
_TAKE = 15.0


def check(home: Home, config: Config, apps: Sequence[App]) -> None:
    """Raise what HAProxy says against *apps*, by the name of the plugin where one is to blame.

    Raises:
        PluginError: one plugin is to blame.
        ConfigError: the certificate or a key is not right.
        ServiceUnavailable: the router cannot be configured so, and it is nobody's fault but the module's.
    """
    certificate = folder(home) / CERTIFICATE
    if not certificate.exists():
        certificate = checked_certificate(config)
    wrong = _said(render(config, apps), certificate)
    if not wrong:
        return
    for name in sorted({app.plugin for app in apps}):
        own = [app for app in apps if app.plugin == name]
        if (mine := _said(render(config, own), certificate)) and not _said(render(config, []), certificate):
            raise PluginError(f"the router refuses it: {mine}", where=str(own[0].folder / "config.ini"))
    raise ServiceUnavailable(f"the router refuses its configuration: {wrong}", where=str(home.config / "config.ini"))


@lru_cache(maxsize=64)
def _said_of(files: tuple[tuple[str, str], ...], certificate: Path) -> str:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place)
        for name, text in Rendered(dict(files)).complete(path, certificate).items():
            (path / name).write_text(text, "utf-8")
        return refusal(None, path / CONFIG)


def _said(rendered: Rendered, certificate: Path) -> str:
    return _said_of(tuple(sorted(rendered.files.items())), certificate)


def refusal(home: Home | None, file: Path) -> str:
    """What HAProxy says against the configuration in *file*; '' when it takes it."""
    from mfserv.router.keeper import program

    done = subprocess.run(
        [program(), "-c", "-f", str(file)],
        cwd=home.run if home else file.parent,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return ""
    lines = [line.partition(" : ")[2] for line in done.stderr.splitlines() if "[ALERT]" in line]
    return "; ".join(lines[:3]) or done.stderr.strip() or f"exit status {done.returncode}"


def put_in_force(home: Home, config: Config, apps: Sequence[App]) -> None:
    """Write the router's files, and return when the running router works by them.

    The sockets of new workers are made first, so that requests for them wait rather than fail.

    Raises:
        Conflict: a port is in use.
        ConfigError: the certificate is bad; what was in force still is.
        ServiceUnavailable: the router has not taken it; what was in force still is.
    """
    rendered = render(config, apps)
    link = RouterLink(home)
    before = link.digest()
    _bring_certificate(home, config, starts=not before)
    require_sockets(home, {app.socket(slot): server(app.id, slot) for app in apps for slot in app.slots})
    if before == rendered.digest:
        return
    _check_ports(config, _ports_in(folder(home)) if before else ())
    _write(rendered, folder(home))
    if not before:
        return
    link.reload()
    deadline = time.monotonic() + _TAKE
    while link.digest() != rendered.digest:
        if time.monotonic() > deadline:
            raise ServiceUnavailable(
                "the router has not taken its new configuration, and works by the former one",
                where=str(home.log / "router.out"),
            )
        time.sleep(0.02)


def _bring_certificate(home: Home, config: Config, starts: bool) -> None:
    """Put the certificate where the router reads it.

    Raises:
        ConfigError: it is bad, and there is no former one with which a router that *starts* could go on.
    """
    certificate = config.section("tls", Tls).certificate
    there = folder(home) / CERTIFICATE
    if not certificate:
        there.unlink(missing_ok=True)
    elif not in_force(home, Path(certificate)) and not (starts and there.exists()):
        refresh(home, checked_certificate(config))


def _write(rendered: Rendered, place: Path) -> None:
    """Put all files into *place*: none of them before the last one is written.

    Raises:
        ServiceUnavailable: they cannot be written; the former ones are there as they were.
    """
    files = rendered.complete(place)
    try:
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o700)  # it holds secrets
        with ExitStack() as written:
            for name, text in files.items():
                unfinished = written.enter_context(replacing_file(place / name, mode=0o600))
                unfinished.write_text(text, "utf-8")
    except OSError as error:
        raise ServiceUnavailable(
            f"the router's configuration cannot be written: {error.strerror}; the former one stays", where=str(place)
        ) from None
    for former in place.glob("jwt.*.pem"):
        if former.name not in files:
            former.unlink()


def ports(config: Config) -> list[tuple[str, int]]:
    """Addresses and ports on which the router listens."""
    http, tls = config.section("http", Http), config.section("tls", Tls)
    wanted = [*([http.port] if http.port else []), *([tls.port] if tls.certificate else [])]
    return [(address, port) for address in addresses(config) for port in wanted]


def _ports_in(place: Path) -> list[str]:
    try:
        lines = (place / CONFIG).read_text("utf-8").splitlines()
    except OSError:
        return []
    return [line.split()[1] for line in lines if line.startswith("  bind ")]


def _check_ports(config: Config, own: Sequence[str]) -> None:
    """Make sure that ports that the router does not have yet are free."""
    for address, port in ports(config):
        if f"{address}:{port}" in own:
            continue
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                found = (
                    "is in use"
                    if error.errno == errno.EADDRINUSE
                    else f"cannot be had: {os.strerror(error.errno or 0)}"
                )
                raise Conflict(
                    f"port {port} of {address} {found}",
                    where="[http] port",
                    mend="Stop what listens there, or take another.",
                ) from None


def remove(home: Home) -> None:
    """Remove the router's files."""
    shutil.rmtree(folder(home), ignore_errors=True)
