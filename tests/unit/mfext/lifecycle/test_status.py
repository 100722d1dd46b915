from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from mfext.errors import PluginError
from mfext.lifecycle.status import Status, as_json, as_text, differences, notes, plugin_states
from mfext.module import StatusRow
from mfext.plugin.installed import Installed
from mfext.supervision.exits import Exit
from mfext.supervision.process import Process
from mfext.supervision.process_state import ProcessState

RUNNING = ProcessState("observer", "", "running", 1, (10,), (10,), uptime=61.0, rss=25_000_000)
FAILING = ProcessState(
    "step.a.main",
    "a",
    "failing",
    1,
    restarts=4,
    last_exit=Exit(11, 0.0, 0.5, status=1),
    reason="failed 4 times in a row",
)


DEPTH = [StatusRow("depth", "Depth", [{"a": 3}]), StatusRow("nothing", "Nothing")]


def silent(_: ProcessState) -> str:
    return ""


def process(name: str) -> Process:
    return Process(name, ("true",), Path("/"))


def test_nothing_differs_when_all_that_is_configured_runs() -> None:
    assert differences([process("observer")], [RUNNING], silent) == []


def test_a_failing_process_is_named_with_reason_and_last_words() -> None:
    problems = differences([process("step.a.main")], [FAILING], lambda _: "; its last words: no such file")
    assert problems == ["step.a.main is failing: failed 4 times in a row; its last words: no such file"]


def test_a_process_that_is_not_ready_is_named_with_the_time_it_takes() -> None:
    hanging = ProcessState("step.a.main", "a", "starting", 1, (12,), uptime=40.0, reason="not ready yet")
    assert differences([process("step.a.main")], [hanging], silent) == [
        "step.a.main is starting for 40s: not ready yet"
    ]


def test_a_process_that_runs_again_is_worth_a_look() -> None:
    again = replace(FAILING, state="running", restarts=2, reason="")
    assert notes([again, RUNNING], 60.5) == [
        "step.a.main had to be started again 2 time(s): exit status 1, 0.5 s after its start, 1m 0s ago"
    ]
    assert notes([again], 60.5, lambda _: "; its last words: MemoryError")[0].endswith("words: MemoryError")


def test_what_is_configured_but_does_not_run_is_named() -> None:
    problems = differences([process("observer"), process("step.b.main")], [RUNNING], silent)
    assert problems == ["step.b.main is configured, but not put in force yet"]


def test_what_runs_but_is_not_configured_is_named() -> None:
    idle = ProcessState("step.b.main", "b", "running", 1, (12,), (12,))
    assert differences([process("observer")], [RUNNING, idle], silent) == [
        "step.b.main runs, but is not configured any more"
    ]


def test_without_a_readable_configuration_only_the_processes_themselves_are_looked_at() -> None:
    assert differences([], [RUNNING], silent) == []


def broken() -> Installed:
    return Installed("a", Path("/p/a"), dev_link=True, builtin=False, error=PluginError("it is broken"))


def test_a_plugin_does_as_its_worst_process() -> None:
    other = ProcessState("step.a.other", "a", "running", 1)
    assert plugin_states([other, FAILING, RUNNING]) == {"a": "failing", "": "running"}


def test_the_json_holds_processes_plugins_and_problems() -> None:
    found = Status("mfdata", "1.0", "/h", "failing", [RUNNING, FAILING], [broken()], ["something"], ["a note"], DEPTH)
    value = json.loads(json.dumps(as_json(found)))
    assert value["state"] == "failing"
    assert [one["name"] for one in value["processes"]] == ["observer", "step.a.main"]
    assert value["processes"][1]["last_exit"]["status"] == 1
    assert value["plugins"][0]["error"] == "it is broken"
    assert value["problems"] == ["something"]
    assert value["notes"] == ["a note"]
    assert value["more"] == {"depth": [{"a": 3}], "nothing": []}


def test_the_text_has_a_line_for_each_process_and_says_what_is_wrong() -> None:
    text = as_text(Status("mfdata", "1.0", "/h", "failing", [RUNNING, FAILING], (), ["something"], more=DEPTH))
    lines = text.splitlines()
    assert lines[0] == "mfdata 1.0 in /h: failing"
    assert any("observer" in line and "1m 1s" in line and "25.0 MB" in line for line in lines)
    assert any("step.a.main" in line and "exit status 1" in line for line in lines)
    assert lines[lines.index("Depth:") + 1] == "  a: 3"
    assert lines[-2:] == ["Not as configured:", "- something"]


def test_the_text_of_a_stopped_module_says_so() -> None:
    text = as_text(Status("mfdata", "1.0", "/h", "stopped", problems=["mfdata is not running"]))
    assert text == "mfdata 1.0 in /h: stopped\n\nmfdata is not running"


def test_on_a_narrow_terminal_each_thing_is_said_once_and_no_table_is_broken() -> None:
    sentence = f"step.a.main is failing: {FAILING.reason}"
    found = Status("mfdata", "1.0", "/h", "failing", [RUNNING, FAILING], (), [sentence], more=DEPTH)
    text = as_text(found, 80)
    assert max(map(len, text.splitlines())) <= 80
    assert text.count(FAILING.reason) == 1
    assert as_text(found).count(FAILING.reason) == 2


def test_what_somebody_has_to_look_at_is_told_apart() -> None:
    found = Status("mfdata", "1.0", "/h", "running", more=DEPTH)
    assert not found.has_trouble
    assert replace(found, more=[StatusRow("lost", "Lost", ["x"], is_trouble=True)]).has_trouble
    assert not replace(found, more=[StatusRow("lost", "Lost", is_trouble=True)]).has_trouble
    assert replace(found, problems=["x"]).has_trouble
