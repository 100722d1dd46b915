"""The story, from the first command to the verdict: read ``main`` from top to bottom."""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from demo import other_machine
from demo.inputs import Input, inputs
from demo.lives import Life, life
from demo.progress import Counts, Progress
from demo.shell import Shell
from demo.upload import upload
from demo.verdict import faults, lives_text
from mfdata.quarantine.quarantine import REASON
from mfext.commands.output import Form

HOMES = Path(__file__).resolve().parent.parent / "run" / "demo"
OTHER_MACHINE = HOMES / "other_machine"
USER = "producer"
IS_PNG = "( x['latest.switch.main.system_magic'].startswith(b'PNG image') )"
IS_GZIP = "( x['latest.switch.main.system_magic'].startswith(b'gzip compressed') )"
#: Seconds in which all files must have come to their ends, and of standstill after which no more is expected.
PATIENCE_S, STANDSTILL_S = 300.0, 60.0
#: So many looks in a row must find nothing on its way, since one misses a file that changes hands meanwhile.
LOOKS = 4


def main() -> int:
    """Run the demo; 0 = every file ended where it should."""
    options = _options()
    shell = Shell(HOMES)
    _end_earlier_run(shell)
    if options.stop:
        return 0
    started, files = time.monotonic(), inputs()
    try:
        machine = other_machine.start(OTHER_MACHINE, "mybox")
        port, password = _start(shell)
        names = _make_plugins(shell, machine)
        _deploy(shell, names)
        _work(shell, files, machine, port, password)
        found = _report(shell, files, machine)
    except subprocess.CalledProcessError as error:
        found = [f"{error.cmd} failed"]
    except KeyboardInterrupt:
        found = ["it was interrupted"]
    finally:
        if not options.keep:
            _stop(shell)
    seconds = time.monotonic() - started
    if found:
        _say("NOT as it should be:")
        print("\n".join(f"  {fault}" for fault in found))
    else:
        _say(f"All {len(files)} files ended where they should, in {seconds:.0f} s.")
    if options.keep:
        _say_how_to_get_in()
    return 1 if found else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo", description="The main job of MetWork, end to end, on real input.")
    parser.add_argument("--keep", action="store_true", help="leave all running and say how to get in")
    parser.add_argument("--stop", action="store_true", help="only end what an earlier --keep left running")
    return parser.parse_args()


def _end_earlier_run(shell: Shell) -> None:
    if shell.home.is_dir():
        _say("Ending an earlier run")
        _stop(shell)
        shutil.rmtree(HOMES)


def _stop(shell: Shell) -> None:
    if shell.home.is_dir():
        shell.run("mfdata.stop")
    other_machine.stop(OTHER_MACHINE)


def _start(shell: Shell) -> tuple[int, str]:
    """The port and the password of the FTP receiver that producers send to."""
    _say("A module home, with the FTP receiver switched on")
    port, password = _free_port(), secrets.token_urlsafe(12)
    shell.write("config/config.ini", "[internal_plugins]", "install_ftp_receiver = 1")
    shell.write(
        "config/plugins/ftp_receiver.ini", "[custom]", f"port = {port}", f"user = {USER}", f"password = {password}"
    )
    shell.run("mfdata.start")
    shell.run("plugins.list")
    return port, password


def _make_plugins(shell: Shell, machine: other_machine.OtherMachine) -> list[str]:
    """Make and dev-link the plugins of the story; their names."""
    _say("PNG images, known by their content, go into the archive")
    _make_plugin(
        shell, "archive", "archive_image", switch_logical_condition=IS_PNG, dest_basename="{ORIGINAL_BASENAME}"
    )
    _say("JPEG images go to the other machine by FTP")
    # A password is no part of a plugin, which others get too.
    shell.write("config/plugins/ftpsend_to_mybox.ini", "[custom]", f"passwd = {machine.password}")
    account = {"machine": "127.0.0.1", "port": str(machine.port), "user": machine.user}
    _make_plugin(shell, "ftpsend", "ftpsend_to_mybox", **account, directory="/")
    _say("PNG images are converted to JPEG, for ftpsend_to_mybox")
    _make_plugin(
        shell, "image_convert", "convert_png", switch_logical_condition=IS_PNG, destination="ftpsend_to_mybox/main"
    )
    _say("Compressed files are uncompressed, and come back to the switch")
    _make_plugin(shell, "ungzip", "ungzip", switch_logical_condition=IS_GZIP)
    shell.run("plugins.list")
    return ["archive_image", "ftpsend_to_mybox", "convert_png", "ungzip"]


def _deploy(shell: Shell, names: Sequence[str]) -> None:
    """Release the plugins, remove the dev-links and install the archives instead."""
    _say("Release! Each plugin becomes one file")
    for name in names:
        shell.run("make", "release", folder=name)
    _say("Deploy! The archives take the place of the working copies")
    for name in names:
        shell.run("plugins.uninstall", name)
    archives = [path.relative_to(shell.home) for name in names for path in (shell.home / name).glob("*.plugin")]
    shell.run("plugins.install", *map(str, archives))
    shell.run("plugins.list")


def _make_plugin(shell: Shell, template: str, name: str, **keys: str) -> None:
    shell.run("bootstrap_plugin.py", "create", "--no-input", f"--template={template}", name)
    shell.edit(name, **keys)
    shell.run("make", "develop", folder=name)


def _work(shell: Shell, files: Sequence[Input], machine: other_machine.OtherMachine, port: int, password: str) -> None:
    """Upload *files* and watch until nothing moves any more."""
    _say(f"{len(files)} files arrive by FTP")
    goal = (sum(bool(file.jpeg) for file in files), sum(end.startswith("kept") for file in files for end in file.ends))
    with Progress(len(files)) as progress:
        upload(files, port, USER, password, lambda count: progress.show(_counts(shell, machine, count)))
        deadline, changed, last, done = time.monotonic() + PATIENCE_S, time.monotonic(), None, 0
        while time.monotonic() < min(deadline, changed + STANDSTILL_S):
            counts = _counts(shell, machine, len(files))
            if counts != last:
                last, changed = counts, time.monotonic()
            done = done + 1 if (counts.sent, counts.kept) == goal and not counts.waiting else 0
            progress.show(counts, last=done == LOOKS)
            if done == LOOKS:
                break
            time.sleep(0.05)


def _counts(shell: Shell, machine: other_machine.OtherMachine, uploaded: int) -> Counts:
    return Counts(
        uploaded=uploaded,
        waiting=_files_below(shell.home / "var" / "in") + _files_below(shell.home / "var" / "work"),
        archived=_files_below(shell.home / "var" / "archive", but=".tags"),
        kept=_files_below(shell.home / "var" / "quarantine", but=REASON),
        sent=len(machine.received()),
    )


def _files_below(folder: Path, but: str = "/") -> int:
    """Number of files below *folder* that are not hidden and whose names do not end with *but*."""
    found = (name for _, _, names in os.walk(folder) for name in names)
    return sum(not name.startswith(".") and not name.endswith(but) for name in found)


def _report(shell: Shell, files: Sequence[Input], machine: other_machine.OtherMachine) -> list[str]:
    """Show what became of every file; what is not as it should be."""
    _say("What became of every file")
    lives: Mapping[str, Life] = {
        file.name: life(shell.ask("mfdata.trace", "--json", "--", file.name)["events"]) for file in files
    }
    print(lives_text(files, lives, Form().width))
    is_balanced = shell.succeeds("mfdata.inventory")
    return [*faults(files, lives, machine), *([] if is_balanced else ["the inventory is not balanced"])]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def _say_how_to_get_in() -> None:
    _say("It is still running")
    bin_folder = Path(sys.executable).parent
    print(f"  to look at it:  METWORK_HOME={HOMES} {bin_folder}/metwork shell mfdata")
    print(f"  the JPEGs:      {OTHER_MACHINE / 'incoming'}")
    print(f"  to end it:      {sys.executable} -m demo --stop")


if __name__ == "__main__":
    sys.exit(main())
