"""What the routing benchmark measures: MetWork and the one-process reference, started and stopped alike."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

BIN = Path(sys.executable).parent
PNG_RULE = "( x['latest.switch.main.system_magic'].startswith(b'PNG image') )"


@dataclass(frozen=True)
class Chain:
    """Something that runs and routes."""

    name: str
    #: Where files are renamed in.
    incoming: Path
    #: Where PNG files appear.
    destination: Path
    #: Empty once all is done: no file waits or is worked on.
    busy_folders: tuple[Path, ...]
    #: Its processes.
    processes: tuple[psutil.Process, ...]

    def is_idle(self) -> bool:
        """Whether no file is under way."""
        return not any(_has_file(folder) for folder in self.busy_folders)

    def cpu_s(self) -> float:
        """Seconds of processor time used so far, dead children included."""
        return sum(sum(process.cpu_times()[:4]) for process in self.processes)

    def memory_bytes(self) -> int:
        """Proportional set size of all processes: what they take from the machine."""
        return sum(process.memory_full_info().pss for process in self.processes)


def _has_file(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(_has_file(Path(entry.path)) if entry.is_dir() else _is_claim(entry.name) for entry in entries)


def _is_claim(name: str) -> bool:
    # A worker's folder also holds the file by whose lock it shows that it lives.
    return not name.startswith(".")


@contextmanager
def reference(folder: Path) -> Iterator[Chain]:
    """The one-process reference, running below *folder*."""
    incoming, destination = folder / "in", folder / "png"
    for made in (incoming, destination):
        made.mkdir(parents=True)
    command = [sys.executable, str(Path(__file__).with_name("reference.py")), str(incoming), str(destination)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101  # it was asked for
        process.stdout.readline()
        yield Chain("ref", incoming, destination, (incoming,), (psutil.Process(process.pid),))
        process.kill()


@contextmanager
def metwork(folder: Path) -> Iterator[Chain]:
    """A module home with one ``move`` plugin that wants PNG files; what nobody wants is dropped by the switch."""
    home, destination = folder / "mfdata", folder / "png"
    environment = {**os.environ, "METWORK_HOME": str(folder), "MFMODULE": "MFDATA"}
    environment["PATH"] = f"{BIN}{os.pathsep}{environment['PATH']}"
    destination.mkdir(parents=True)

    def run(*command: str, within: Path = folder) -> None:
        subprocess.run(command, cwd=within, env=environment, check=True, stdout=subprocess.DEVNULL)

    (home / "config").mkdir(parents=True)
    (home / "config" / "config.ini").write_text("[internal_plugins]\nswitch_no_match_policy = drop\n")
    settings = {
        "dest_dir": str(destination),
        "dest_basename": "{ORIGINAL_BASENAME}",
        "switch_logical_condition": PNG_RULE,
    }
    options = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    run("bootstrap_plugin.py", "create", "--no-input", "--template=move", *options, "move_png")
    run("mfdata.start")
    try:
        run("make", "-s", "develop", within=folder / "move_png")
        busy = (home / "var" / "in", home / "var" / "work")
        yield Chain("metwork", home / "var" / "in" / "incoming", destination, busy, tuple(_processes_of(folder)))
    finally:
        run("mfdata.stop")


def _processes_of(folder: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.environ().get("METWORK_HOME") == str(folder):
                yield process
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue


def remove(folder: Path) -> None:
    """Take away what a chain left behind."""
    shutil.rmtree(folder, ignore_errors=True)
