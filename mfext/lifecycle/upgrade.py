"""Upgrade: what the RPMs call, as root, before and after they exchange the software of modules that run.

``python -m mfext.upgrade stop [MODULE]`` lets what runs finish and end, and remembers it; ``start`` starts that again.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

#: What was stopped and is to be started again: of no worth after a reboot, and for root's eyes.
NOTES = Path("/run/metwork-upgrade")
_PROC = Path("/proc")


@dataclass(frozen=True)
class Running:
    """A module that runs, as it was started."""

    pid: int
    uid: int
    module: str
    home: str
    environment: dict[str, str]
    #: systemd started it.
    service: bool = False


def running() -> list[Running]:
    """Every module that runs with this software, whoever started it and wherever its home is."""
    return list(_arbiters())


def stop(module: str = "", notes: Path = NOTES) -> bool:
    """Stop *module*, by default all that run; files wait where they are. Whether all of it has ended."""
    notes.mkdir(mode=0o700, parents=True, exist_ok=True)
    for one in running():
        if module in {"", one.module}:
            (notes / f"{one.pid}.json").write_text(json.dumps(asdict(one)), "utf-8")
            _tell(one, "stop")
    return not any(module in {"", one.module} for one in running())


def start(notes: Path = NOTES) -> bool:
    """Start what ``stop`` stopped; whether all is well. What is not is tried again after the next upgrade."""
    for note in sorted(notes.glob("*.json")):
        if _tell(Running(**json.loads(note.read_text("utf-8"))), "start"):
            note.unlink()
    with suppress(OSError):
        notes.rmdir()
    return not notes.exists()


#: How an arbiter is started; the second way is that of earlier versions.
_ARBITERS = (["-m", "mfext.supervision.arbiter"], ["-m", "mfext.arbiter"])


def _arbiters() -> Iterator[Running]:
    for folder in _PROC.iterdir():
        if not folder.name.isdecimal():
            continue
        with suppress(OSError, ValueError):  # it has ended, or is another program
            python, *words = (folder / "cmdline").read_bytes().decode(errors="surrogateescape").split("\0")
            if python == sys.executable and words[:2] in _ARBITERS:
                variables = (folder / "environ").read_bytes().decode(errors="surrogateescape").split("\0")
                environment = dict(item.split("=", 1) for item in variables if "=" in item)
                pid, uid = int(folder.name), folder.stat().st_uid
                yield Running(pid, uid, words[2], words[3], environment, _is_service(words[2], pid))


def _is_service(module: str, pid: int) -> bool:
    """Whether *pid* is the main process of the module's unit."""
    if not Path("/run/systemd/system").is_dir():
        return False
    show = ["systemctl", "show", "--property=MainPID", "--value", f"metwork-{module}.service"]
    asked = subprocess.run(show, capture_output=True, text=True, check=False)
    return asked.stdout.strip() == str(pid)


def _tell(one: Running, act: str) -> bool:
    """Let *one* start or stop the way it was started; whether it did."""
    if one.service:
        return not subprocess.run(["systemctl", act, f"metwork-{one.module}.service"], check=False).returncode
    user = pwd.getpwuid(one.uid)
    other = {} if one.uid == os.geteuid() else {"user": one.uid, "group": user.pw_gid}
    groups = {"extra_groups": os.getgrouplist(user.pw_name, user.pw_gid)} if other else {}
    command = [sys.executable, "-m", "mfext", one.module, act]
    print(f"metwork: {act} {one.module} of user {user.pw_name}", flush=True)
    done = subprocess.run(command, cwd=one.home, env=one.environment, check=False, **other, **groups)  # type: ignore[call-overload]
    return not done.returncode


def main() -> int:
    """Do what the first argument says."""
    act, module = sys.argv[1], "".join(sys.argv[2:])
    if act == "stop":
        return 0 if stop(module) else 1
    return 0 if start() else 1


if __name__ == "__main__":
    sys.exit(main())
