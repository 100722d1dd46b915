"""Completion by the real shells, and manual pages by the real man."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mfext.commands.completion import script
from mfext.commands.manual import manual_pages
from mfext.commands.shell import RC_FILE

PROGRAMS = ["metwork", "plugins.create", "mfdata.quarantine", "mfdata.status", "plugins.check"]

#: A command line that is typed, up to where the tabulator is, and words that are offered.
TYPED = [
    ("metwork mfda", {"mfdata"}),
    ("metwork mfdata sta", {"start", "status"}),
    ("mfdata.quarantine re", {"retry"}),
    ("mfdata.quarantine retry --ol", {"--older-than"}),
    ("mfdata.status -o ", {"json", "wide"}),
    ("plugins.check --", {"--json", "--strict", "--version", "--help"}),
]


def run(shell: str, text: str, tmp_path: Path) -> str:
    """What *shell* prints when it reads the script of completion, then *text*."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell}")
    (tmp_path / "script").write_text(script(shell, PROGRAMS), "utf-8")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
        "METWORK_HOME": str(tmp_path),
        "HOME": str(tmp_path),
    }
    done = subprocess.run([program, "-c", text], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(("typed", "offered"), TYPED)
def test_bash_completes_both_forms(typed: str, offered: set[str], tmp_path: Path) -> None:
    count = len(typed.split(" ")) - 1
    words = " ".join(f"'{word}'" for word in typed.split(" "))
    text = (
        f"source ./script; complete -p {typed.split()[0]} > /dev/null; COMP_WORDS=({words}); COMP_CWORD={count}; "
        f"_metwork_completion {typed.split()[0]}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )

    assert {*run("bash", text, tmp_path).split()} == offered


@pytest.mark.parametrize(("typed", "offered"), TYPED)
def test_fish_completes_both_forms(typed: str, offered: set[str], tmp_path: Path) -> None:
    found = run("fish", f"source ./script; complete --do-complete '{typed}'", tmp_path)
    assert {line.partition("\t")[0] for line in found.splitlines()} == offered


@pytest.mark.parametrize(("typed", "offered"), TYPED)
def test_zsh_completes_both_forms(typed: str, offered: set[str], tmp_path: Path) -> None:
    words = " ".join(f"'{word}'" for word in typed.split(" "))
    shown = "print -l -- $completions; }; _describe() { print -l -- ${completions_with_descriptions%%:*}; }"
    text = (
        f"compdef() {{ }}; compadd() {{ {shown}; source ./script; words=({words}); CURRENT={len(typed.split(' '))}; "
        "_metwork_completion"
    )
    assert {*run("zsh", text, tmp_path).split()} == offered


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("metwork shell mfs", {"mfserv"}),
        ("plugins.check on", {"one"}),
        ("metwork plugins uninstall ", {"one", "two"}),
        ("plugins.create --template ftps", {"ftpsend"}),
    ],
)
def test_values_are_offered(typed: str, offered: set[str], tmp_path: Path) -> None:
    for name in ("one", "two", ".half"):
        (tmp_path / "mfdata/var/plugins" / name).mkdir(parents=True)
    found = run("fish", f"source ./script; set -x MFMODULE MFDATA; complete --do-complete '{typed}'", tmp_path)
    assert {line.partition("\t")[0] for line in found.splitlines()} == offered


def test_the_shell_of_a_module_completes_and_names_the_nearest_of_a_misspelt_command(tmp_path: Path) -> None:
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.defpath}", "HOME": str(tmp_path), "MFMODULE": "MFDATA"}
    text = "complete -p mfserv.status plugins.create metwork; mfdata.strat; nothing.at.all"
    done = subprocess.run(
        ["bash", "--noprofile", "--rcfile", RC_FILE, "-i", "-c", text],
        env=environment,
        capture_output=True,
        text=True,
        start_new_session=True,
    )
    assert done.stdout.count("-F _metwork_completion") == 3
    assert 'there is no command "mfdata.strat". Did you mean "mfdata.start"?' in done.stderr
    assert "nothing.at.all: command not found" in done.stderr
    assert done.returncode == 127


def test_man_shows_the_page_of_every_command_without_complaint(tmp_path: Path) -> None:
    program = shutil.which("man")
    if program is None:
        pytest.skip("there is no man")
    pages = manual_pages(PROGRAMS, "1.0")
    assert [*pages] == [f"{name}.1" for name in PROGRAMS]
    for name, text in pages.items():
        (tmp_path / name).write_text(text, "utf-8")
        command = [program, "--warnings", "--local-file", str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, env={"PATH": os.defpath, "MANWIDTH": "100"})
        assert done.stderr == ""
        shown = " ".join(done.stdout.split())
        assert name.removesuffix(".1") in shown
        assert "EXIT STATUS" in shown
    assert "--older-than TIME" in done.stdout or "mfdata.quarantine" in pages["metwork.1"]
