from __future__ import annotations

from pathlib import Path

from mfdata.operations.crashes import deaths
from mfdata.storage.trace import Trace
from mfext.testing import temporary_home


def test_of_each_step_the_last_death_is_told_and_what_becomes_of_the_file(tmp_path: Path) -> None:
    home = temporary_home(tmp_path)
    trace = Trace(home, "observer")
    stuck = {"plugin": "stuck", "step": "main", "uid": "1", "name": "radar.png"}
    too_long = "it took longer than timeout = 2 s"
    trace.write({"event": "recovered", **stuck, "crashes": 1, "reason": too_long})
    trace.write({"event": "recovered", **stuck, "crashes": 2, "reason": too_long})
    trace.write({"event": "recovered", **stuck, "plugin": "well", "crashes": 0, "reason": "it was told to end"})
    (found,) = deaths(home, 3)
    assert (found["step"], found["deaths"], found["file"], found["reason"]) == ("stuck/main", 2, "radar.png", too_long)
    assert found["next"] == "it was put back to be tried again; death 2 of 3, then it is quarantined"
    trace.write({"event": "quarantined", **stuck, "crashes": 3, "reason": "the worker died 3 times on this file"})
    assert deaths(home, 3)[0]["next"] == "it is in quarantine, see mfdata.quarantine"
