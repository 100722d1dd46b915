"""A module that runs for a benchmark, with the plugins that it needs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

BIN = Path(sys.executable).parent
FOLDER = Path(__file__).parent.parent / "run" / "benchmarks"


class Running:
    """Module mfdata in a home below *folder*."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "mfdata"
        self.incoming = self.home / "var" / "in" / "incoming"
        self._environment = {**os.environ, "METWORK_HOME": str(folder), "MFMODULE": "MFDATA"}
        self._environment["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"

    def run(self, *command: str, within: Path | None = None) -> None:
        """Run a command of MetWork."""
        subprocess.run(command, cwd=within or self.folder, env=self._environment, check=True, stdout=subprocess.DEVNULL)

    def add_plugin(self, name: str, template: str, settings: Mapping[str, str]) -> None:
        """Make a plugin and let it run."""
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        self.run("bootstrap_plugin.py", "create", "--no-input", f"--template={template}", *words, name)
        self.run("plugins.develop", ".", within=self.folder / name)

    def queue(self, plugin: str) -> Path:
        """The queue of the step ``main`` of *plugin*."""
        return self.home / "var" / "in" / f"step.{plugin}.main"

    def pids(self, process: str) -> list[int]:
        """Of the processes called *process*, once there are some."""
        folder = self.home / "var" / "run" / "ready" / process
        wait_for(lambda: any(folder.glob("[0-9]*")), pause=0.05)
        return [int(path.name) for path in folder.glob("[0-9]*")]

    def processes(self) -> list[psutil.Process]:
        """All that belong to this home."""
        return [process for process in psutil.process_iter() if self._owns(process)]

    def cpu_s(self) -> float:
        """Seconds of processor time that all who live have used so far, by the scheduler's own nanoseconds."""
        return sum(_cpu_ns(process.pid) for process in self.processes()) / 1e9

    def _owns(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            return bool(process.environ().get("METWORK_HOME") == str(self.folder))
        return False

    @contextmanager
    def stopped(self, process: str) -> Iterator[None]:
        """Nothing of *process* runs inside of this."""
        pids = self.pids(process)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def lines(self, process: str) -> Callable[[], int]:
        """Gives how many lines *process* has added to its trace since this call; rotation is not allowed for."""
        path = self.home / "log" / "trace" / f"{process}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        stream, count = path.open("rb"), 0
        stream.seek(0, os.SEEK_END)

        def added() -> int:
            nonlocal count
            while block := stream.read(1 << 20):
                count += block.count(b"\n")
            return count

        return added


def _cpu_ns(pid: int) -> int:
    """Of all threads of a process."""
    used = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):
            used += int(path.read_text().split()[0])
    return used


@contextmanager
def running(config: str = "", folder: Path = FOLDER) -> Iterator[Running]:
    """A started module with *config* as its config.ini; removed in the end with all that it has."""
    folder.mkdir(parents=True, exist_ok=True)
    module = Running(Path(tempfile.mkdtemp(prefix="module_", dir=folder)))
    (module.home / "config").mkdir(parents=True)
    (module.home / "config" / "config.ini").write_text(config)
    try:
        module.run("mfdata.start")
        module.incoming.mkdir(parents=True, exist_ok=True)
        yield module
    finally:
        with suppress(subprocess.CalledProcessError):
            module.run("mfdata.stop")
        shutil.rmtree(module.folder, ignore_errors=True)


def wait_for(condition: Callable[[], bool], pause: float = 0.002) -> float:
    """When *condition* held at last, by the monotonic clock."""
    while not condition():
        time.sleep(pause)
    return time.monotonic()
