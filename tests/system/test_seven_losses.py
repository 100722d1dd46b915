"""The seven ways in which the original loses, doubles or loops files: none is one here."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from mfext.testing import wait_until
from tests.system.conftest import Flow

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10\x08\x02\0\0\0\x90\x91h6"
ALL = "True"


def archive(flow: Flow, name: str = "keep", condition: str = ALL, **values: str) -> Path:
    """A plugin that archives what its condition wants; its folder of files."""
    folder = flow.folder / "out" / name
    values = {"dest_dir": str(folder), "dest_basename": "{ORIGINAL_UID}", "keep_tags_suffix": ""} | values
    flow.plugin(name, "archive", switch_logical_condition=condition, **values)
    return folder


def contents(folder: Path) -> list[bytes]:
    found = []
    for path in folder.rglob("*") if folder.is_dir() else []:
        with suppress(FileNotFoundError):  # gone while we look
            found += [path.read_bytes()] if path.is_file() else []
    return sorted(found)


SLOW = """
import time
from mfdata import Done, Step

class Slow(Step):
    def process(self, file):
        mark = self.home.path / "began"
        first = not mark.exists()
        mark.touch()
        if first:
            time.sleep(60)
        return Done(to="keep/main")

if __name__ == "__main__":
    Slow.main()
"""


def test_1_a_crash_while_a_file_is_processed_gives_it_back(flow: Flow) -> None:
    folder = archive(flow, condition="False")
    flow.plugin("slow", code=SLOW, switch_logical_condition=ALL)
    flow.drop("file", b"content")
    wait_until((flow.home.path / "began").exists, what="the step began")
    os.kill(flow.pids()["step.slow.main"][0], signal.SIGKILL)
    wait_until(lambda: contents(folder) == [b"content"], what="the file in the archive")
    events = [event["event"] for event in flow.ask("mfdata.trace", "file")["events"]]
    assert "recovered" in events


def test_2_an_old_file_is_a_file_like_any_other(flow: Flow) -> None:
    folder = archive(flow)
    part = flow.incoming / ".old"
    part.write_bytes(b"of the year 2001")
    os.utime(part, (1_000_000_000, 1_000_000_000))
    part.rename(flow.incoming / "old")
    wait_until(lambda: contents(folder) == [b"of the year 2001"], what="the file in the archive")


def test_3_a_rule_that_raises_keeps_the_file_and_is_named(flow: Flow) -> None:
    archive(flow, "bad", condition="x['latest.core.no_such_tag'][5] == 1")
    flow.drop("file", b"content")
    wait_until(lambda: flow.quarantine("switch/main"), what="the file in quarantine")
    (reason,) = flow.quarantine("switch/main")
    assert reason["kind"] == "rule_error"
    assert "bad" in reason["reason"]
    assert "config.ini:" in reason["reason"]


def test_4_a_half_written_file_is_left_until_it_is_whole(flow: Flow) -> None:
    folder = archive(flow)
    with (flow.incoming / "growing").open("wb") as stream:
        stream.write(b"first half, ")
        stream.flush()
        flow.drop("other", b"whole")
        wait_until(lambda: contents(folder) == [b"whole"], what="the other file in the archive")
        time.sleep(1.2)  # longer than any timer that could look at it
        assert contents(folder) == [b"whole"]
        stream.write(b"second half")
    wait_until(lambda: len(contents(folder)) == 2, what="the file in the archive")
    assert contents(folder) == [b"first half, second half", b"whole"]


def test_5_two_rules_for_one_step_deliver_once(flow: Flow) -> None:
    folder = flow.folder / "out"
    made = flow.plugin("twice", "archive", dest_dir=str(folder), keep_tags_suffix="")
    with (made / "config.ini").open("a") as stream:
        stream.write("\n[switch_rules:fnmatch:first.core.original_basename]\nA* = main\nAB* = main, twice/main\n")
    flow.run("plugins.develop", ".", folder=made)
    flow.drop("ABfoo", b"content")
    wait_until(lambda: contents(folder), what="the file in the archive")
    wait_until(flow.is_idle, what="nothing on its way")
    assert contents(folder) == [b"content"]


def test_6_a_name_of_any_bytes_passes_and_so_does_the_file_behind_it(flow: Flow) -> None:
    folder = archive(flow, dest_basename="{ORIGINAL_BASENAME}")
    names = [b"caf\xe9.grib", b"-rf *", b"two\nlines", b"n" * 240, "météo ☂.txt".encode()]
    for name in names:
        flow.drop(name, name)
    wait_until(lambda: len(contents(folder)) == len(names), what="all files in the archive")
    assert {entry.name: Path(os.fsdecode(entry.path)).read_bytes() for entry in os.scandir(os.fsencode(folder))} == {
        name: name for name in names
    }


def test_7_an_exhausted_retry_ends_in_quarantine_and_stays_there(flow: Flow) -> None:
    code = SLOW.replace("mark.touch()", "raise ValueError('never')")
    settings = {"retry_total": "3", "retry_min_wait": "0", "switch_logical_condition": ALL}
    flow.plugin("never", code=code, **settings)
    flow.drop("file", b"content")
    wait_until(lambda: flow.quarantine("never/main"), what="the file in quarantine")
    time.sleep(1.5)  # a timer that would bring it back has had its turn
    assert flow.is_idle()
    (reason,) = flow.quarantine("never/main")
    assert reason["reason"] == "ValueError: never (after 4 tries)"
