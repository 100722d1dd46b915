"""Imports point to mfext only; what has one owner is touched by nobody else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = ("mfdata", "mfserv", "mfbus", "mfbase", "mfadmin")
SOURCES = sorted(path.relative_to(ROOT) for package in ("mfext", *MODULES) for path in (ROOT / package).rglob("*.py"))

#: Third parties that are reached through named files only, so that another could take their place.
GATES = {
    "circus": ("mfext/supervision/arbiter.py", "mfext/supervision/process_set.py", "mfext/supervision/supervisor.py"),
    # Files of ours have a reader of their own; those of pip are read as pip reads them.
    "configparser": ("mfext/plugin/package_index.py",),
    "magic": ("mfdata/switch/identify.py",),
    "re2": ("mfdata/switch/multi_match.py",),
    "pyftpdlib": ("mfdata/receivers/",),
    "PIL": ("mfdata/steps/",),
    "ftplib": ("mfdata/steps/",),
    "paramiko": ("mfdata/steps/",),
    "yaml": ("mfdata/switch/rule_cases.py",),
    "zstandard": ("mfdata/steps/",),
}

#: Who removes something from disk in mfdata, and what it is.
REMOVERS = {
    "mfdata/file.py": "files: discard is the one place where a file ends; parts of copies",
    "mfdata/delivery/transaction.py": "transactions and the tags beside them",
    "mfdata/queue/local.py": "the lock and the folder of a worker that leaves",
    "mfdata/quarantine/quarantine.py": "the reason beside a file",
    "mfdata/recovery/recovery.py": "what a dead worker left unfinished",
    "mfdata/intake/copy_in.py": "what stands for a file while it is copied in, and its source once the copy is safe",
    "mfdata/worker/batch_worker.py": "the mark that a batch is in hand",
    "mfdata/intake/backpressure.py": "the word that intake pauses",
    "mfdata/operations/injection.py": "the unfinished copy; with --move the source, once it is taken",
    "mfdata/storage/placement.py": "the name that a file had before it got another",
    "mfdata/steps/begun.py": "what was noted of a name on another machine",
    "mfdata/steps/command.py": "the second name that a program had the file by",
    "mfdata/testing.py": "the folder made for a try of a step",
}


def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text("utf-8"), str(path))


def imported(path: Path) -> Iterator[str]:
    """Full names of the modules that the file imports, wherever in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports by a relative name"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top(name: str) -> str:
    return name.partition(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_point_to_mfext_only(path: Path) -> None:
    own = path.parts[0]
    others = {top(name) for name in imported(path)} & {*MODULES, "plugin_templates", "demo", "benchmarks", "tests"}
    assert others - {own} == set(), f"{path} must not import {others - {own}}"


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_third_parties_are_reached_through_their_named_files(path: Path) -> None:
    for name in {top(name) for name in imported(path)} & set(GATES):
        assert str(path).startswith(GATES[name] or "nobody"), f"{path} imports {name}, which is for {GATES[name]}"


def test_only_the_start_of_a_process_sets_up_its_log() -> None:
    """Elsewhere, [log] would be forgotten."""
    starters = {
        str(path)
        for path in SOURCES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("log.set_up", "logs.set_up")
    }
    assert starters == {"mfext/supervision/arbiter.py", "mfext/daemon.py", "mfdata/worker/process.py"}


def test_only_environment_reads_the_environment() -> None:
    readers = {
        str(path)
        for path in SOURCES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "getenvb", "putenv"}
    }
    assert readers == {"mfext/environment.py"}


def test_files_in_mfdata_are_removed_by_their_owners_only() -> None:
    removers = {str(path) for path in SOURCES if path.parts[0] == "mfdata" and any(removals(path))}
    assert removers <= set(REMOVERS), f"only mfdata/file.py ends a file: {removers - set(REMOVERS)}"


def removals(path: Path) -> Iterator[int]:
    """Lines that remove something from disk."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of_os = isinstance(node.func.value, ast.Name) and node.func.value.id == "os"
            names = {"unlink", "rmtree", "rmdir", "remove"} if of_os else {"unlink", "rmtree", "rmdir"}
            if node.func.attr in names:
                yield node.lineno


def test_ready_made_steps_need_nothing_but_the_public_step_interface() -> None:
    public = {
        "mfdata",
        "mfdata.step",
        "mfdata.outcome",
        "mfdata.file",
        "mfdata.storage.file_names",
        "mfdata.storage.placement",
        "mfdata.steps",
        "mfdata.steps.wmo_heading",
    }
    for path in SOURCES:
        if path.parts[:2] == ("mfdata", "steps"):
            names = {node.module for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom) and node.module}
            ours = {name for name in names if top(name) == "mfdata" and not name.startswith("mfdata.steps")}
            assert ours <= public, f"{path} imports {ours - public}: the public interface must be enough"


def test_no_file_is_named_after_nothing() -> None:
    empty_words = {"util", "utils", "common", "helper", "helpers", "manager", "base", "misc", "core", "compat"}
    assert [str(path) for path in SOURCES if path.stem in empty_words] == []


def test_nothing_happens_at_import() -> None:
    # Only names are made at import: no statement stands alone but documentation, and what a group of commands holds.
    for path in SOURCES:
        for node in tree(path).body:
            stands_alone = isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
            is_listing = stands_alone and ".add_command(" in ast.unparse(node)
            assert not stands_alone or is_listing, f"{path}:{node.lineno} does something at import"


def test_only_mfext_net_opens_unix_sockets() -> None:
    """Elsewhere, the 107 bytes of an address would be forgotten, and who may connect."""
    openers = {str(path) for path in SOURCES if "AF_UNIX" in (ROOT / path).read_text("utf-8")}
    # systemd's address is no path of ours; the holder has a socket that is connected to nothing.
    assert openers == {"mfext/net/unix.py", "mfext/notify.py", "mfserv/workers/socket_holder.py"}


def test_only_mfext_writes_for_prometheus() -> None:
    writers = {str(path) for path in SOURCES if "# TYPE" in (ROOT / path).read_text("utf-8")}
    assert writers == set()


def test_loops_of_asyncio_tell_that_they_turn() -> None:
    found = [str(path) for path in SOURCES if "asyncio.run(" in (ROOT / path).read_text()]
    assert found == [], "a process of ours runs in mfext.mainloop.Mainloop.run, or nobody sees that it stands still"
