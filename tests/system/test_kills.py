"""kill -9 of every kind of process while files flow: the inventory equation holds."""

from __future__ import annotations

import os
import random
import signal
import threading
from contextlib import suppress
from pathlib import Path

from mfext.testing import wait_until
from tests.system.conftest import Flow

FILES, KILLS = 3000, 30
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10\x08\x02\0\0\0\x90\x91h6"
CONDITION = "( x['latest.switch.main.system_magic'].startswith(b'PNG image') )"


def test_thirty_kills_lose_nothing_and_double_nothing(flow: Flow) -> None:
    flow.plugin("pngs", "move", dest_dir=str(flow.folder / "out" / "pngs"), switch_logical_condition=CONDITION)
    archive = {"dest_dir": str(flow.folder / "out" / "all"), "dest_basename": "{ORIGINAL_UID}"}
    flow.plugin("all", "archive", switch_logical_condition="True", **archive)
    sent: list[str] = []
    sender = threading.Thread(target=send, args=(flow, sent))
    sender.start()
    killed = kill_at_random(flow, sender)
    sender.join()
    wait_until(flow.is_idle, what="all files at their end")

    pngs, archived = files(flow.folder / "out" / "pngs"), files(flow.folder / "out" / "all")
    kept = flow.count()["quarantined"]
    print(f"{len(killed)} kills; accepted {len(sent)} = moved {len(pngs)}, archived {len(archived)}, kept {kept}")
    assert len(killed) == KILLS
    assert {name.partition(".")[0] for name in killed} == {"observer", "step"}
    assert sorted(archived) == sorted(sent)
    assert sorted(pngs) == sorted(content for content in sent if content.endswith("0"))
    assert kept == 0
    wait_until(lambda: flow.try_to("mfdata.status").returncode == 0, what="all processes well again")


def send(flow: Flow, sent: list[str]) -> None:
    for number in range(FILES):
        is_png = number % 3 == 0
        text = f"{number:06d}{0 if is_png else 1}"
        sent.append(text)
        flow.drop(f"file{number}", (PNG if is_png else b"text ") + text.encode())
        if number % 30 == 0:
            threading.Event().wait(0.1)


def kill_at_random(flow: Flow, sender: threading.Thread) -> list[str]:
    chance = random.Random(3)
    killed: list[str] = []
    while len(killed) < KILLS:
        name, pid = chance.choice([(name, pid) for name, pids in flow.pids().items() for pid in pids] or [("", 0)])
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed.append(name)
        threading.Event().wait(0.25 if sender.is_alive() else 0.1)
    return killed


def files(folder: Path) -> list[str]:
    """The text in which each file ends."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".tags"] if folder.is_dir() else []
    return [path.read_bytes()[-7:].decode() for path in found]
