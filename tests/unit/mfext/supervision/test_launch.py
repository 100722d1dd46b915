from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mfext.supervision import launch
from mfext.supervision.launch import Definition


@pytest.fixture
def definition(tmp_path: Path) -> Definition:
    made = Definition()
    made.parent = os.getpid()
    made.folder = str(tmp_path)
    made.output = str(tmp_path / "out")
    made.command = ["sh", "-c", 'echo "$WORD $PWD"; echo error >&2', "=x="]
    made.environment = {"WORD": "a=b \n c", "PATH": "/usr/bin:/bin"}
    return made


def run(definition: Definition, tmp_path: Path) -> int:
    file = tmp_path / "definition"
    file.write_bytes(definition.encoded())
    return subprocess.run([sys.executable, "-I", "-S", launch.__file__, str(file)], check=False).returncode


def said(tmp_path: Path) -> str:
    heading, _, rest = (tmp_path / "out").read_text().partition("\n")
    assert heading.startswith("== ")
    return rest


def test_a_definition_comes_back_as_it_was(definition: Definition) -> None:
    definition.limits = {"nofile": 7}
    definition.not_before = 12.5
    definition.longest_wait = 3.0
    definition.command.append("caf\udce9")
    assert vars(Definition.decoded(definition.encoded())) == vars(definition)


def test_it_becomes_the_command_with_its_environment_folder_and_output(definition: Definition, tmp_path: Path) -> None:
    assert run(definition, tmp_path) == 0
    assert said(tmp_path) == f"a=b \n c {tmp_path}\nerror\n"


def test_limits_are_set(definition: Definition, tmp_path: Path) -> None:
    definition.limits = {"nofile": 77, "stack": 0}
    definition.command = ["sh", "-c", "ulimit -n; ulimit -Hn"]
    run(definition, tmp_path)
    assert said(tmp_path) == "77\n77\n"


def test_a_program_that_is_not_there_is_named(definition: Definition, tmp_path: Path) -> None:
    definition.command = ["no-such-program"]
    assert run(definition, tmp_path) == 127
    assert said(tmp_path) == "cannot start: program 'no-such-program': No such file or directory\n"


def test_a_folder_that_is_not_there_is_named(definition: Definition, tmp_path: Path) -> None:
    definition.folder = "/no/such/folder"
    assert run(definition, tmp_path) == 127
    assert said(tmp_path) == "cannot start: folder '/no/such/folder': No such file or directory\n"


def test_a_file_that_is_no_program_is_named(definition: Definition, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("")
    definition.command = [str(tmp_path / "main.py")]
    assert run(definition, tmp_path) == 126
    assert said(tmp_path).endswith("Permission denied\n")


def test_it_waits_until_it_may_start(definition: Definition, tmp_path: Path) -> None:
    definition.not_before = time.time() + 0.2
    definition.longest_wait = 5.0
    run(definition, tmp_path)
    assert time.time() >= definition.not_before


def test_a_clock_that_was_set_back_makes_no_wait_longer(definition: Definition, tmp_path: Path) -> None:
    definition.not_before = time.time() + 3000
    definition.longest_wait = 0.2
    assert run(definition, tmp_path) == 0


def test_it_does_not_run_without_the_arbiter(definition: Definition, tmp_path: Path) -> None:
    definition.parent = 1
    assert run(definition, tmp_path) == 1
    assert not (tmp_path / "out").exists()


def test_an_output_file_that_cannot_be_written_is_no_reason_not_to_run(definition: Definition, tmp_path: Path) -> None:
    definition.output = "/no/such/folder/out"
    definition.command = ["touch", "ran"]
    assert run(definition, tmp_path) == 0
    assert (tmp_path / "ran").exists()


def test_what_python_ignores_is_not_ignored_in_the_command(definition: Definition, tmp_path: Path) -> None:
    definition.command = ["grep", "SigIgn", "/proc/self/status"]
    run(definition, tmp_path)
    assert int(said(tmp_path).split()[1], 16) & (1 << 12 | 1 << 24) == 0


def test_it_imports_nothing_that_takes_long() -> None:
    code = f"import sys; sys.path.insert(0, {str(Path(launch.__file__).parent)!r}); import launch; print(*sys.modules)"
    names = subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, capture_output=True, text=True).stdout
    assert set(names.split()) & {"json", "re", "enum", "pathlib", "signal", "dataclasses", "mfext", "circus"} == set()
