"""Real redis and RabbitMQ servers on loopback, for tests: each in a folder of its own, killed and started at will."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from random import SystemRandom

import pytest

from mfext.testing import wait_until

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_EPMD = "epmd"
#: How many ports a process that runs tests takes for itself at once.
_BLOCK = 100
_claims: list[socket.socket] = []


class Server:
    """One server process."""

    url = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it; done when it answers."""
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                self.command(),
                env={**os.environ, **self.variables()},
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._is_ready, 150, what=f"{type(self).__name__} ready")

    def kill(self) -> None:
        """End it and its children as a crash would."""
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def command(self) -> list[str]:
        return []

    def variables(self) -> dict[str, str]:
        return {}

    def answers(self) -> bool:
        return False

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "output").read_text(errors="replace")[-3000:]
        return self.answers()


class Redis(Server):
    """A redis that keeps every write, at a unix socket."""

    @property
    def socket(self) -> Path:
        return self.folder / "redis.sock"

    def command(self) -> list[str]:
        self.url = f"unix://{self.socket}"
        keep = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        return ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder), *keep]

    def answers(self) -> bool:
        import redis

        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class RabbitMQ(Server):
    """A broker on loopback, with the port mapper that it needs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port, self.dist_port, self.epmd_port = free_ports(3)
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"
        self.mapper: subprocess.Popen[bytes] | None = None
        (folder / "rabbitmq.conf").write_text("loopback_users.guest = true\nlog.console.level = warning\n")
        (folder / "plugins").write_text("[].\n")

    def start(self) -> None:
        if self.mapper is None:
            # Otherwise the broker starts one that outlives it.
            words = [_EPMD, "-port", str(self.epmd_port), "-address", "127.0.0.1"]
            self.mapper = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_until(lambda: is_open(self.epmd_port), what="epmd")
        super().start()

    def stop(self) -> None:
        """End all of it."""
        self.kill()
        if self.mapper:
            self.mapper.kill()
            self.mapper.wait()
            self.mapper = None

    def command(self) -> list[str]:
        return [str(RABBITMQ)]

    def variables(self) -> dict[str, str]:
        files = {
            "CONFIG_FILE": "rabbitmq.conf",
            "ADVANCED_CONFIG_FILE": "advanced.config",
            "ENABLED_PLUGINS_FILE": "plugins",
            "MNESIA_BASE": "mnesia",
            "LOG_BASE": "log",
            "PID_FILE": "pid",
        }
        return {
            **{f"RABBITMQ_{name}": str(self.folder / file) for name, file in files.items()},
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def answers(self) -> bool:
        import pika
        import pika.exceptions

        if not is_open(self.port):
            return False
        try:
            pika.BlockingConnection(pika.URLParameters(self.url)).close()
        except (pika.exceptions.AMQPError, OSError):
            return False
        return True


@contextmanager
def redis_server() -> Iterator[Redis]:
    """A running redis."""
    _need(shutil.which("redis-server"), "redis-server")
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:  # the path of a socket is short
        server = Redis(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def rabbitmq_server() -> Iterator[RabbitMQ]:
    """A running RabbitMQ."""
    _need(RABBITMQ.exists() and shutil.which(_EPMD), "rabbitmq-server")
    with tempfile.TemporaryDirectory(prefix="rabbitmq-", ignore_cleanup_errors=True) as folder:
        server = RabbitMQ(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


def is_open(port: int) -> bool:
    """Whether somebody listens at *port* of loopback."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def free_ports(count: int) -> list[int]:
    """Ports of loopback at which nobody listens, each given once to one of all processes that run tests here."""
    return [next(port for port in _own_ports() if _may_be_bound(port)) for _ in range(count)]


@cache
def _own_ports() -> Iterator[int]:
    """Ports that the kernel gives to no client, so that none is taken before its server binds it or while it is away.

    A client that tries a port of the kernel's own again and again may even be connected to itself.
    """
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    blocks = range(10_000, (first if first > 12_000 else 65_536) - _BLOCK, _BLOCK)
    start = SystemRandom().randrange(len(blocks))
    return (
        port
        for block in [*blocks[start:], *blocks[:start]]
        if _is_claimed(block)
        for port in range(block, block + _BLOCK)
    )


def _is_claimed(block: int) -> bool:
    """Whether the ports from *block* on are this process's till its end: only one can have the socket of that name."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0metwork-tests-ports-{block}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


def _may_be_bound(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _need(found: object, package: str) -> None:
    """Without a server a test is left out, but not where everything must be tested."""
    if not found:
        reason = f"{package} is not installed: tools/system-packages brings it"
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)


def hear_interrupts() -> None:
    """For ``preexec_fn``: what a shell has started in the background ignores SIGINT, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
