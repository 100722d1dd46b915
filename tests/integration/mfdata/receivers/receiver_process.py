"""A receiver as a process for tests, as the supervisor starts it, without the observer: files stay where they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Self

import mfdata
from mfext.environment import Home
from mfext.testing import temporary_home, wait_until

USER, PASSWORD = "producer", "pässword: of the producer"


class ReceiverProcess:
    """The process of one kind of receiver."""

    #: Of its source file in ``mfdata.receivers``.
    kind: ClassVar[str]

    def __init__(self, folder: Path, module: str = "", before: tuple[str, ...] = (), **keys: Any) -> None:
        """*module*: keys of the module; *before*: words of a command that runs it; *keys*: of its ``[custom]``."""
        plugin = f"{self.kind}_receiver"
        self.name = f"extra_daemon.{plugin}.main"
        self.home: Home = temporary_home(folder)
        given = {"port": 0, "user": USER, "password": PASSWORD, **keys}
        lines = ["[custom]", *(f"{key} = {value}" for key, value in given.items() if value != "")]
        (self.home.config / "plugins").mkdir(exist_ok=True)
        (self.home.config / "plugins" / f"{plugin}.ini").write_text("\n".join(lines), "utf-8")
        (self.home.config / "config.ini").write_text(module, "utf-8")
        self.incoming = self.home.var / "in" / "incoming"
        self.errors = folder / "stderr"
        own = {"METWORK_HOME": str(self.home.path.parent), "MFMODULE": "MFDATA", "METWORK_PROCESS": self.name}
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*before, sys.executable, "-m", f"mfdata.receivers.{self.kind}"],
                cwd=Path(mfdata.__file__).parent / "plugins" / plugin,
                env={**os.environ, **own, "METWORK_CONFIG_D": str(self.home.path / "none")},
                stderr=errors,
            )

    @classmethod
    @contextmanager
    def running(cls, folder: Path, **keys: Any) -> Iterator[Self]:
        """The process, ready; that it still lives at the end is asserted."""
        receiver = cls(folder, **keys)
        try:
            assert receiver.port
            yield receiver
            assert receiver.process.poll() is None, receiver.errors.read_text()
        finally:
            receiver.process.kill()
            receiver.process.wait()

    @property
    def facts(self) -> dict[str, object]:
        """What it tells the supervisor; {} while it is not ready."""
        file = self.home.run / "ready" / self.name / str(self.process.pid)
        found: dict[str, object] = json.loads(file.read_text()) if file.exists() else {}
        return found

    @property
    def port(self) -> int:
        facts = wait_until(lambda: self.facts or self.process.poll() is not None, what="readiness")
        assert isinstance(facts, dict), self.errors.read_text()
        return int(str(facts["port"]))

    @property
    def log(self) -> str:
        return (self.home.log / f"{self.name}.log").read_text()

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(30)

    def files(self) -> dict[bytes, bytes]:
        """Name and content of everything in the incoming directory, hidden or not."""
        found = {}
        for path in self.incoming.iterdir():
            with suppress(FileNotFoundError):  # gone while we look
                found[os.fsencode(path.name)] = path.read_bytes()
        return found

    def put_away(self) -> None:
        """Leave the incoming directory empty for the next test."""
        for path in self.incoming.iterdir():
            path.rename(self.home.tmp / f"{path.name[-100:]}{time.time_ns()}")
