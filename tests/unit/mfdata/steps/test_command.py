"""command: how a program is run, and what its end means."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mfdata import Done, Failed, Retry
from mfdata.steps.child import TAIL, Ended, run
from mfdata.steps.command import Command, outcome_of, replaced
from mfdata.testing import Result, run_step
from mfext.errors import ConfigError
from mfext.testing import wait_until


def run_command(folder: Path, template: str, name: str = "radar 1", **custom: str) -> Result:
    source = folder / "source"
    source.write_bytes(b"content")
    custom["command_template"] = template
    return run_step(Command, source, name=name, custom=custom, folder=folder / "home")


def python(code: str) -> str:
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_exit_status_0_is_done(tmp_path: Path) -> None:
    result = run_command(tmp_path, f"cp {{PATH}} {tmp_path}/copy")
    assert result.outcome == Done()
    assert (tmp_path / "copy").read_bytes() == b"content"


@pytest.mark.parametrize("name", ["-rf", "a b", "$(touch x)", "`x`;x", "new\nline", "*", "caf\udce9"])
def test_no_name_is_taken_for_an_option_or_more_words(name: str, tmp_path: Path) -> None:
    script = f"import os,sys; open({str(tmp_path / 'said')!r},'wb').write(b'|'.join(map(os.fsencode, sys.argv[1:])))"
    result = run_command(tmp_path, f"{python(script)} {{PATH}} [{{BASENAME}}]", name=name)
    assert result.outcome == Done()
    path, basename = (tmp_path / "said").read_bytes().split(b"|")
    assert path.startswith(b"/")
    assert path.endswith(b"/" + os.fsencode(name))
    assert basename == b"[" + os.fsencode(name) + b"]"


def test_a_program_sees_the_file_under_its_name(tmp_path: Path) -> None:
    script = f"""import os, sys; path = sys.argv[1]; os.lstat(path).st_size == 7 or sys.exit(1)
os.path.islink(path) and sys.exit(2); open({str(tmp_path / "said")!r}, "w").write(path)"""
    result = run_command(tmp_path, f"{python(script)} {{PATH}}", name="radar 1.grib2")
    assert result.outcome == Done()
    said = Path((tmp_path / "said").read_text())
    assert said.name == "radar 1.grib2"
    assert not said.exists()
    assert result.path.stat().st_nlink == 1


def test_where_files_cannot_have_two_names_it_is_a_symbolic_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)
    result = run_command(tmp_path, f"cp {{PATH}} {tmp_path}/copies", name="a.txt")
    assert result.outcome == Done()
    assert (tmp_path / "copies").read_bytes() == b"content"


def test_a_name_in_a_script_says_nothing(tmp_path: Path) -> None:
    script = "sh -c 'cat {PATH} > " + str(tmp_path / "copy") + "'"
    result = run_command(tmp_path, script, name="$(touch x);`y` 'z'.txt")
    assert result.outcome == Done()
    assert (tmp_path / "copy").read_bytes() == b"content"


@pytest.mark.parametrize("name", ["..", "a/b", "", "x" * 300])
def test_a_name_that_no_file_can_have_is_no_fault(name: str, tmp_path: Path) -> None:
    assert run_command(tmp_path, f"cp {{PATH}} {tmp_path}/copy", name=name or "source").outcome == Done()


def test_outputs_are_apart_from_the_file_itself(tmp_path: Path) -> None:
    result = run_command(tmp_path, "cp {PATH} {OUTPUT_DIR}/made", name="a.txt", output_to="x/main")
    assert list(result.outputs) == ["made"]


def test_what_a_name_holds_is_not_replaced() -> None:
    assert replaced("x{BASENAME}-{UID}", {"{BASENAME}": "{UID}{BASENAME}", "{UID}": "u"}) == "x{UID}{BASENAME}-u"


def test_another_exit_status_fails_with_the_last_output(tmp_path: Path) -> None:
    outcome = run_command(tmp_path, "sh -c 'echo out; echo err >&2; exit 3' {PATH}").outcome
    assert outcome == Failed("the command ended with exit status 3: out err")


def test_exit_status_75_is_another_try(tmp_path: Path) -> None:
    outcome = run_command(tmp_path, "sh -c 'echo busy; exit 75' {PATH}").outcome
    assert isinstance(outcome, Retry)
    assert "busy" in outcome.reason


def test_exit_status_65_is_final(tmp_path: Path) -> None:
    outcome = run_command(tmp_path, "sh -c 'exit 65' {PATH}").outcome
    assert isinstance(outcome, Failed)
    assert outcome.permanent


def test_a_signal_is_named() -> None:
    assert outcome_of(Ended(-signal.SIGSEGV, False, ""), 0) == Failed("the command was ended by SIGSEGV")


def test_what_the_command_writes_goes_on(tmp_path: Path) -> None:
    template = 'sh -c \'mkdir "$2/sub"; cp "$1" "$2/a b"; echo > "$2/sub/-c"\' sh {PATH} {OUTPUT_DIR}'
    result = run_command(tmp_path, template, output_to="next/main")
    assert isinstance(result.outcome, Done)
    assert {output.to for output in result.outcome.outputs} == {("next/main",)}
    assert {name: path.read_bytes() for name, path in result.outputs.items()} == {"a b": b"content", "-c": b"\n"}


def test_a_command_that_writes_nothing_has_failed_unless_it_may(tmp_path: Path) -> None:
    assert isinstance(run_command(tmp_path, "true {PATH} {OUTPUT_DIR}", output_to="a/b").outcome, Failed)
    allowed = run_command(tmp_path, "true {PATH} {OUTPUT_DIR}", output_to="a/b", output_required="0")
    assert allowed.outcome == Done()


def test_a_link_is_no_output(tmp_path: Path) -> None:
    result = run_command(tmp_path, "ln -s {PATH} {OUTPUT_DIR}/link", output_to="a/b")
    assert isinstance(result.outcome, Failed)
    assert "link" in result.outcome.reason


@pytest.mark.parametrize(
    ("template", "custom"),
    [
        ("true", {}),
        ("no-such-program {PATH}", {}),
        ("./no-such-script {PATH}", {}),
        ("true '{PATH}", {}),
        ("true {PATH} {OUTPUT_DIR}", {}),
        ("true {PATH}", {"output_to": "a/b"}),
        ("true {PATH}", {"timeout": "-1"}),
        ("true {PATH}", {"command": "x"}),
    ],
)
def test_a_command_that_cannot_be_run_is_refused_at_once(template: str, custom: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        run_command(tmp_path, template, **custom)


def test_at_the_deadline_the_whole_group_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    template = f"sh -c 'sleep 60 & echo $$ $! > {pids}; echo started; wait' {{PATH}}"
    start = time.monotonic()
    outcome = run_command(tmp_path, template, timeout="2").outcome
    assert time.monotonic() - start < 55, "the program would end after 60 s"
    assert outcome == Failed("the command did not end within 2 s and was killed: started")
    wait_until(lambda: not any(is_alive(int(pid)) for pid in pids.read_text().split()), what="the end of the group")


def test_a_program_that_ignores_the_request_to_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfdata.steps.child.GRACE", 0.2)
    ended = run(["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"], timeout=2)
    assert ended == Ended(-signal.SIGKILL, True, "deaf\n")


def test_what_a_program_leaves_in_the_background_is_killed(tmp_path: Path) -> None:
    ended = run(["sh", "-c", "sleep 60 & echo $!"], timeout=60)
    assert ended.status == 0
    wait_until(lambda: not is_alive(int(ended.output)), what="the end of the background process")


def test_only_the_last_output_is_kept() -> None:
    ended = run([sys.executable, "-c", "print('x' * 5_000_000 + 'end')"], timeout=60)
    assert len(ended.output) == TAIL
    assert ended.output.endswith("xend\n")


def test_a_program_may_close_its_output() -> None:
    assert run(["sh", "-c", "exec >&- 2>&-; sleep 0.1; exit 4"], timeout=60) == Ended(4, False, "")


def test_a_program_reads_nothing() -> None:
    assert run(["cat"], timeout=60).status == 0


def test_the_program_dies_with_the_worker(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = f"from mfdata.steps.child import run; run(['sh', '-c', 'echo $$ > {told}; exec sleep 60'], 0)"
    worker = subprocess.Popen([sys.executable, "-c", code])
    pid = int(wait_until(lambda: told.exists() and told.read_text(), what="the start of the program"))
    assert is_alive(pid)
    worker.kill()
    worker.wait()
    wait_until(lambda: not is_alive(pid), what="the end of the program")
