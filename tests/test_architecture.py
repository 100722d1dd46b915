"""Imports point to mfext only; what has one owner is touched by nobody else."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import house

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
    "mfdata/storage/tags.py": "files: discard is the one place where a file ends; parts of copies",
    "mfdata/delivery/transaction.py": "transactions and the tags beside them",
    "mfdata/queue/worker_folder.py": "the lock and the folder of a worker that leaves",
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

#: Room -> the rooms whose files it imports. A new arrow is a decision: it is written here, or it is not made.
ROOMS = {
    "mfdata": (
        "mfdata/commands mfdata/delivery mfdata/intake mfdata/operations mfdata/storage mfdata/switch "
        "mfdata/worker mfext mfext/fs mfext/metrics mfext/plugin mfext/supervision"
    ),
    "mfdata/commands": (
        "mfdata mfdata/operations mfdata/quarantine mfdata/storage mfdata/switch mfext mfext/commands "
        "mfext/configuration mfext/net mfext/plugin mfext/supervision"
    ),
    "mfdata/delivery": "mfdata mfdata/quarantine mfdata/queue mfdata/storage mfext mfext/fs",
    "mfdata/intake": (
        "mfdata mfdata/quarantine mfdata/recovery mfdata/storage mfext mfext/configuration "
        "mfext/fs mfext/lifecycle mfext/metrics mfext/plugin"
    ),
    "mfdata/operations": (
        "mfdata mfdata/intake mfdata/quarantine mfdata/queue mfdata/receivers/ftp mfdata/receivers/http "
        "mfdata/recovery mfdata/storage mfdata/switch mfext mfext/fs mfext/lifecycle mfext/metrics mfext/supervision"
    ),
    "mfdata/quarantine": "mfdata mfdata/storage mfext mfext/fs",
    "mfdata/queue": "mfdata/storage mfext mfext/fs mfext/supervision",
    "mfdata/receivers": "mfdata mfdata/intake mfdata/storage mfext mfext/fs mfext/net mfext/plugin",
    "mfdata/receivers/ftp": "mfdata/receivers mfdata/storage mfext mfext/fs mfext/net",
    "mfdata/receivers/http": "mfdata/receivers mfdata/receivers/ftp mfdata/storage mfext mfext/net",
    "mfdata/recovery": (
        "mfdata mfdata/delivery mfdata/quarantine mfdata/queue mfdata/storage mfext mfext/fs mfext/supervision"
    ),
    "mfdata/steps": "mfdata mfdata/storage mfext mfext/fs mfext/net mfext/supervision",
    "mfdata/storage": "mfdata mfext mfext/fs",
    "mfdata/switch": "mfdata mfdata/storage mfext mfext/fs mfext/plugin",
    "mfdata/worker": (
        "mfdata mfdata/delivery mfdata/operations mfdata/quarantine mfdata/queue mfdata/recovery mfdata/storage "
        "mfext mfext/metrics mfext/plugin"
    ),
    "mfext": "mfext/commands mfext/configuration mfext/fs mfext/lifecycle mfext/plugin mfext/supervision",
    "mfext/commands": (
        "mfext mfext/configuration mfext/lifecycle mfext/plugin mfext/plugin/author mfext/plugin/install "
        "mfext/plugin/package mfext/plugin/release mfext/supervision"
    ),
    "mfext/configuration": "mfext mfext/metrics",
    "mfext/fs": "mfext",
    "mfext/lifecycle": (
        "mfext mfext/configuration mfext/fs mfext/metrics mfext/plugin mfext/plugin/author mfext/supervision"
    ),
    "mfext/metrics": "mfext mfext/configuration mfext/fs mfext/net mfext/supervision",
    "mfext/net": "mfext mfext/commands",
    "mfext/plugin": (
        "mfext mfext/commands mfext/configuration mfext/fs mfext/lifecycle mfext/plugin/package mfext/supervision"
    ),
    "mfext/plugin/author": (
        "mfext mfext/configuration mfext/fs mfext/lifecycle mfext/plugin mfext/plugin/install "
        "mfext/plugin/package mfext/plugin/release mfext/supervision"
    ),
    "mfext/plugin/install": (
        "mfext mfext/configuration mfext/fs mfext/lifecycle mfext/plugin mfext/plugin/author mfext/plugin/package "
        "mfext/plugin/release"
    ),
    "mfext/plugin/package": "mfext mfext/fs mfext/plugin mfext/plugin/release",
    "mfext/plugin/release": "mfext mfext/configuration mfext/fs mfext/plugin mfext/plugin/author mfext/plugin/package",
    "mfext/supervision": "mfext mfext/configuration mfext/fs mfext/metrics mfext/plugin",
    "mfserv": (
        "mfext mfext/lifecycle mfext/metrics mfext/net mfext/plugin mfext/plugin/author mfext/supervision "
        "mfserv/commands mfserv/jobs mfserv/jobs/stores mfserv/router mfserv/workers"
    ),
    "mfserv/commands": (
        "mfext mfext/commands mfext/lifecycle mfext/supervision mfserv mfserv/jobs mfserv/router mfserv/workers"
    ),
    "mfserv/jobs": (
        "mfext mfext/commands mfext/configuration mfext/fs mfext/supervision mfserv/jobs/execution mfserv/jobs/stores"
    ),
    "mfserv/jobs/execution": "mfext mfext/net mfserv/jobs mfserv/jobs/stores",
    "mfserv/jobs/http": "mfext mfext/net mfserv/jobs mfserv/jobs/stores",
    "mfserv/jobs/stores": "mfext mfext/fs mfserv/jobs",
    "mfserv/router": (
        "mfext mfext/configuration mfext/fs mfext/metrics mfext/net mfext/supervision mfserv mfserv/jobs mfserv/workers"
    ),
    "mfserv/workers": "mfext mfext/net mfext/supervision mfserv mfserv/router mfserv/workers/servers",
    "mfserv/workers/servers": "mfext mfext/net mfext/plugin mfext/supervision mfserv/workers",
}

#: Imports that close a circle of files and stay, since they happen in a function, late and on purpose.
LAZY = {
    (
        "mfdata/step.py",
        "mfdata/worker/process.py",
    ): "Step.main: the program of a plugin becomes the process of its step",
    ("mfext/section.py", "mfext/configuration/loading.py"): "Schema.load: who only declares sections reads none",
}

#: Who still opens sockets outside of mfext/net. The list gets no longer.
SOCKETS: set[str] = {
    "mfdata/receivers/http/receiver.py",
    "mfdata/steps/ftp_session.py",
    "mfdata/steps/http_session.py",
    "mfext/commands/shell.py",
    "mfext/doctor.py",
    "mfext/metrics/server.py",
    "mfext/notify.py",
    "mfserv/router/activate.py",
    "mfserv/router/body_limit.py",
    "mfserv/workers/health.py",
    "mfserv/workers/servers/command.py",
    "mfserv/workers/servers/relay.py",
    "mfserv/workers/socket_holder.py",
}

#: Who still gives a hidden file its name outside of mfext/fs. The list gets no longer.
HIDDEN_RENAMES: set[str] = {
    "mfdata/intake/copy_in.py",
    "mfdata/operations/injection.py",
    "mfext/net/unix.py",
    "mfext/plugin/author/template.py",
    "mfext/plugin/developed.py",
    "mfserv/jobs/execution/liveness.py",
}

#: Who still writes the text format of metrics outside of mfext. The list gets no longer.
METRIC_TEXTS: set[str] = set()

FILES = house.sources(ROOT, ("mfext", *MODULES))


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
    assert removers <= set(REMOVERS), f"only mfdata/storage/tags.py ends a file: {removers - set(REMOVERS)}"


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
        "mfdata.storage.tags",
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


def test_rooms_import_only_the_rooms_of_the_table() -> None:
    found = house.room_arrows(house.arrows(FILES))
    table = {room: set(others.split()) for room, others in ROOMS.items()}
    new = {(room, other) for room, others in found.items() for other in others - table.get(room, set())}
    gone = {(room, other) for room, others in table.items() for other in others - found.get(room, set())}
    assert not new, f"arrows that the table does not know: {sorted(new)}"
    assert not gone, f"nobody needs these any more, so nobody may: {sorted(gone)}"


def test_no_files_import_each_other_in_a_circle() -> None:
    arrows = house.arrows(FILES)
    assert house.circles(arrows, LAZY) == []
    assert [lazy for lazy in LAZY if lazy[1] not in arrows.get(lazy[0], ())] == [], "LAZY names what is no more"


@pytest.mark.parametrize(
    ("check", "room", "still"),
    [
        (house.sockets_opened, "mfext/net/", SOCKETS),
        (house.hidden_renames, "mfext/fs/", HIDDEN_RENAMES),
        (house.metric_texts, "mfext/", METRIC_TEXTS),
    ],
    ids=["opens a socket", "gives a hidden file its name", "writes metrics"],
)
def test_only_its_room_does_it(check: Callable[[str], list[int]], room: str, still: set[str]) -> None:
    found = {path: lines for path, text in FILES.items() if not path.startswith(room) and (lines := check(text))}
    assert {path: lines for path, lines in found.items() if path not in still} == {}, f"that is for {room}"
    assert still - found.keys() == set(), "these do it no more: take them from the list"


def house_of(folder: Path, **files: str) -> dict[str, str]:
    """A small house below *folder*: ``a__b`` is the file ``mfext/a/b.py``."""
    for name, text in files.items():
        path = folder / "mfext" / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return house.sources(folder, ("mfext",))


def test_an_arrow_between_rooms_is_seen_wherever_the_import_stands(tmp_path: Path) -> None:
    files = house_of(
        tmp_path,
        a__one="from mfext.b import two\n",
        b__two="def late():\n    from mfext.c.three import thing\n",
        c__three="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mfext.a.one import thing\n",
    )
    assert house.room_arrows(house.arrows(files)) == {"mfext/a": {"mfext/b"}, "mfext/b": {"mfext/c"}}


def test_a_circle_is_seen_through_functions_and_several_files(tmp_path: Path) -> None:
    files = house_of(
        tmp_path,
        a__one="import mfext.b.two\n",
        b__two="def late():\n    from mfext.c import three\n",
        c__three="from mfext.a.one import thing\n",
        c__four="from mfext.c import three\n",
    )
    arrows = house.arrows(files)
    assert house.circles(arrows) == [["mfext/a/one.py", "mfext/b/two.py", "mfext/c/three.py"]]
    assert house.circles(arrows, {("mfext/b/two.py", "mfext/c/three.py"): "on purpose"}) == []


@pytest.mark.parametrize(
    "text",
    [
        "import socket\nsocket.socket(socket.AF_UNIX)\n",
        "from socket import create_server\nimport socket\nsocket.create_connection(('a', 1))\n",
        "import asyncio\nasync def f():\n    await asyncio.open_unix_connection('a')\n",
        "from tornado.netutil import bind_sockets\nbind_sockets(1)\n",
        "import http.client\nhttp.client.HTTPConnection('a')\n",
    ],
)
def test_who_opens_a_socket_is_seen(text: str) -> None:
    assert house.sockets_opened(text)
    assert house.sockets_opened("import socket\nsocket.socket(fileno=3)\n") == []


@pytest.mark.parametrize(
    "text",
    [
        "def f(p):\n    part = p.with_name(f'.{p.name}')\n    part.write_text('')\n    part.replace(p)\n",
        "def f(p):\n    part = p.parent / '.new'\n    part.rename(p)\n",
        "def f(p):\n    part = f'{p}/.new'\n    os.rename(part, p)\n",
    ],
)
def test_who_gives_a_hidden_file_its_name_is_seen(text: str) -> None:
    assert house.hidden_renames(text)
    assert house.hidden_renames("def f(p, q):\n    name = '.x'.replace('a', 'b')\n    p.rename(q)\n") == []


def test_who_writes_metrics_by_hand_is_seen() -> None:
    assert house.metric_texts("print(f'# TYPE {name} counter')\n") == [1]
    assert house.metric_texts("# TYPE of a comment\n") == []


def test_every_room_is_drawn_in_the_architecture_with_its_own_words() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for init in (path for path in SOURCES if path.name == "__init__.py" and len(path.parts) > 2):
        words = (ast.get_docstring(tree(init)) or "").partition("\n")[0].replace("``", "").rstrip(".")
        assert words, f"{init} says nothing of its room"
        assert re.search(rf"^ +{init.parent.name}/ +{re.escape(words)}$", page, re.MULTILINE), f"{init.parent}: {words}"
