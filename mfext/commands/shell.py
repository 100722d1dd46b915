"""The shell of a module: in its home, with its commands on the PATH, its banner and its prompt."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from pathlib import Path
from typing import NoReturn

from mfext.environment import Home, child_variables, current_module, home_of, is_checkout, software_of
from mfext.errors import ServiceUnavailable
from mfext.version import software_build

#: What the interactive shell reads first: prompt and short names.
RC_FILE = Path(__file__).parent.parent / "shell.rc"


def open_shell(home: Home, command: str = "") -> NoReturn:
    """Become a shell in *home*: one that runs *command*, that reads commands from stdin, or that a person types into.

    Raises:
        ServiceUnavailable: there is no bash on this machine.
    """
    program = shutil.which("bash")
    if program is None:
        raise ServiceUnavailable("there is no bash on this machine", mend="Install the package bash.")
    arguments = ["bash", "--noprofile", "--norc"]
    if command:
        arguments += ["-c", command]
    elif sys.stdin.isatty():
        print(banner(home, time.time()), flush=True)
        arguments = ["bash", "--noprofile", "--rcfile", str(RC_FILE), "-i"]
    os.chdir(home.path)
    os.execve(program, arguments, shell_variables(home))  # noqa: S606


def shell_variables(home: Home) -> dict[str, str]:
    """The environment in which *home* is worked in: ``~`` is the home, and our commands come first."""
    environment = child_variables(home)
    commands = [str(folder) for folder in command_folders(home.module)]
    path = environment.get("PATH", os.defpath).split(os.pathsep)
    environment["PATH"] = os.pathsep.join([*commands, *(folder for folder in path if folder not in commands)])
    environment["HOME"] = str(home.path)
    environment["PWD"] = str(home.path)
    return environment


def command_folders(module: str) -> list[Path]:
    """Where commands are: an installed module has a folder of its own, beside those of mfext."""
    own = software_of(module).parent / "bin"
    return [*([] if is_checkout() else [own]), Path(sys.executable).parent]


def banner(home: Home, now: float) -> str:
    """What a person sees when the shell opens."""
    name = home.module.upper()
    full = os.uname().nodename
    short = full.partition(".")[0]
    return (
        f"   {name}\n\n"
        f"Welcome on {short} ({full}, {address()})\n"
        f"(module: {name}, version {software_build()})\n\n"
        f"{load_line(now)}\n"
    )


def address() -> str:
    """The address of this machine in its network; that of the loopback where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing: it only asks which way a packet would go.
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def load_line(now: float) -> str:
    """Time, uptime and load of the machine, as ``uptime`` prints them."""
    up = int(float(Path("/proc/uptime").read_text().split()[0]))
    days = f"{up // 86400} days, " if up >= 2 * 86400 else "1 day, " if up >= 86400 else ""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    clock = time.strftime("%H:%M:%S", time.localtime(now))
    return f"{clock} up {days}{up % 86400 // 3600:2d}:{up % 3600 // 60:02d},  load average: {load}"


if __name__ == "__main__":
    # The login profile of an installed module.
    sys.stdout.write(f"{banner(home_of(current_module()), time.time())}\n")
