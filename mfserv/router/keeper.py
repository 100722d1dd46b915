"""Router: the process that keeps HAProxy running; ``python -m mfserv.router.keeper``.

HAProxy itself does not tell when it is ready, and writes its access log to a pipe: this process does the one and keeps
the other. When it is told to drain, HAProxy finishes what it has and takes nothing more. It looks at the certificate
now and then, and lets HAProxy read a new one. And it counts what is in the access log, for /__metrics.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from mfext import log
from mfext.configuration.module_config import module_config
from mfext.daemon import Daemon, run_daemon
from mfext.environment import Home
from mfext.errors import MetworkError, ServiceUnavailable
from mfext.fs.rotating_file import AppendFile
from mfext.mainloop import Mainloop
from mfext.metrics.instrument import Instruments, metrics_folder
from mfext.module import load_module
from mfext.supervision.child_server import ChildServer
from mfserv.config import Tls
from mfserv.router.admin_socket import RouterLink
from mfserv.router.certificate import refresh
from mfserv.router.metrics import count_requests
from mfserv.router.names import CERTIFICATE, CONFIG, MASTER, folder

_LOG_SIZE, _LOG_KEEP = 50_000_000, 5
#: Where HAProxy is when it is not among the commands.
_PLACES = (os.defpath, "/usr/sbin", "/usr/local/sbin", "/opt/haproxy/sbin")
#: The oldest version that does all that is asked of it.
OLDEST = (2, 6)
_INSTALL = "Install the package haproxy, 2.6 or later: from a checkout, tools/system-packages serv does it."

_log = log.get_logger(__name__)


class Router(ChildServer):
    """HAProxy as a child."""

    name = "HAProxy"
    drain_signal = signal.SIGUSR1

    def __init__(self, home: Home) -> None:
        """*home* is that of mfserv, whose run folder is the working folder."""
        self.home = home
        self.certificate: Path | None = None
        self.link = RouterLink(home)
        self.access = AppendFile(home.log / "access.log", _LOG_SIZE, _LOG_KEEP)
        self.instruments = Instruments(metrics_folder(home))
        self._seen = (0, 0), (0, 0)
        super().__init__()

    def command(self) -> Sequence[str]:
        """HAProxy with its master."""
        return [program(), "-W", "-S", f"unix@{MASTER},mode,600", "-f", str(folder(self.home) / CONFIG)]

    def is_ready(self) -> bool:
        """Whether it answers on its socket of administration."""
        return bool(self.link.digest())

    def is_busy(self) -> bool:
        """Whether requests are in hand; by itself it would wait for idle connections of clients, too."""
        return bool(self.link.requests())

    def take_output(self, data: bytes) -> None:
        """Write whole lines of access to the access log, all else where output goes."""
        lines = data.splitlines(keepends=True)
        other = b"".join(line for line in lines if not line.startswith(b"{"))
        if other:
            os.write(2, other)
        count_requests(self.instruments, data)
        with suppress(OSError):  # a full disk must not stop the router
            self.access.write(b"".join(line for line in lines if line.startswith(b"{")) if other else data)

    def look(self) -> None:
        """Let HAProxy read a new certificate, if there is one and it is good."""
        state = _state(folder(self.home) / CONFIG), _state(self.certificate)
        if state == self._seen:
            return
        if state[0] != self._seen[0]:
            self.certificate = _configured(self.home) or self.certificate
        self._seen = state[0], _state(self.certificate)
        before = _state(folder(self.home) / CERTIFICATE)
        if self.certificate and (wrong := refresh(self.home, self.certificate)):
            _log.error("the new certificate is not taken, the former one stays", reason=wrong)
        elif _state(folder(self.home) / CERTIFICATE) != before:
            _log.info("the certificate has changed, and is read anew")
            self.link.reload()


def _state(file: Path | None) -> tuple[int, int]:
    """Differs when *file* does."""
    try:
        status = file.stat() if file else None
    except OSError:
        status = None
    return (status.st_mtime_ns, status.st_ino) if status else (0, 0)


def _configured(home: Home) -> Path | None:
    """The certificate that the module's configuration names."""
    with suppress(MetworkError):
        named = module_config(load_module(home.module), home).section("tls", Tls).certificate
        return Path(named) if named else None
    return None


def program() -> str:
    """The HAProxy of this machine.

    Raises:
        ServiceUnavailable: there is none, or it is too old.
    """
    found = shutil.which("haproxy") or shutil.which("haproxy", path=os.pathsep.join(_PLACES))
    if found is None:
        raise ServiceUnavailable("HAProxy is not installed", mend=_INSTALL)
    version = version_of(found)
    if version < OLDEST:
        wanted, there = ".".join(map(str, OLDEST)), ".".join(map(str, version)) or "none that could be told"
        raise ServiceUnavailable(
            f"the version of HAProxy is {there}", where=found, expected=f"{wanted} or later", mend=_INSTALL
        )
    return found


@lru_cache
def version_of(program: str) -> tuple[int, ...]:
    """The version of the HAProxy *program*, as far as it counts; () when it does not tell."""
    try:
        said = subprocess.run([program, "-v"], capture_output=True, text=True, errors="replace", check=False).stdout
    except OSError:
        return ()
    match = re.search(r"^HA-?Proxy version (\d+)\.(\d+)", said, re.MULTILINE)
    return (int(match[1]), int(match[2])) if match else ()


def serve(daemon: Daemon) -> int:
    """Run HAProxy until told to stop; the exit status."""
    os.chdir(daemon.home.run)  # paths of sockets must be short
    with Mainloop(daemon.home) as loop:
        return Router(daemon.home).run(loop)


def main() -> None:
    """Run as the supervised process ``router``."""
    run_daemon(serve, process="router")


if __name__ == "__main__":
    main()
