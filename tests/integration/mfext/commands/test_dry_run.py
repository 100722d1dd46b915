"""``--dry-run`` of the commands that change a module: it says what would change, and changes nothing."""

from __future__ import annotations

import pytest

from mfext.commands.cli import run
from mfext.environment import Home
from mfext.supervision.supervisor import Supervisor
from tests.integration.mfext.conftest import Site


def state(home: Home) -> dict[str, object]:
    """All that a command could change: files with their content, links, and the processes that run."""
    found: dict[str, object] = {one.name: one.pids for one in Supervisor(home).states()}
    for path in home.path.rglob("*"):
        volatile = path.relative_to(home.path).parts[:2] in (("var", "run"), ("log",)) or "log" in path.parts
        if not volatile and path.is_file():
            found[str(path)] = path.read_bytes()
    return found


def said(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capfd.readouterr()
    return (run(arguments), *capfd.readouterr())


def test_apply_says_which_processes_would_change(running: Site, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("stays", "goes", "changes"):
        running.does("develop", running.plugin(name))
    new = running.plugin("comes")
    (running.home.plugins / "comes").symlink_to(new)
    (running.home.plugins / "goes").unlink()
    running.plugin("changes", more="numprocesses = 2\n")
    delayed = running.home.var / "delayed/goes.main"
    delayed.mkdir(parents=True, exist_ok=True)
    (delayed / "9999999999999999-5-0000000000000000-0-some").write_text("some text\n")
    before = state(running.home)
    status, out, err = said(capfd, "apply", "--dry-run")
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == "mfdata would:"
    assert {"  stop step.goes.main", "  start step.comes.main"} <= {*out.splitlines()}
    assert "step.changes.main" in out
    assert "step.stays.main" not in out
    assert out.endswith("1 file(s) wait for goes/main\n")
    assert state(running.home) == before


def test_apply_says_how_many_processes_it_changed(running: Site, capfd: pytest.CaptureFixture[str]) -> None:
    running.does("develop", running.plugin("changes"))
    assert said(capfd, "apply") == (0, "mfdata: no process had to change\n", "")
    (running.home.plugins / "comes").symlink_to(running.plugin("comes"))
    assert said(capfd, "apply") == (0, "mfdata: processes: 1 started\n", "")


def test_apply_names_what_it_would_refuse(running: Site, capfd: pytest.CaptureFixture[str]) -> None:
    running.does("develop", folder := running.plugin("one"))
    (folder / "config.ini").write_text("[general]\nname = one\n[step_main]\nnumprocesses = many\n")
    before = state(running.home)
    status, out, err = said(capfd, "apply", "--dry-run")
    assert (status, out) == (3, "mfdata: nothing would change\n")
    assert "many" in err
    assert state(running.home) == before


def test_an_upgrade_says_from_which_version_to_which(running: Site) -> None:
    running.does("install", running.release("one", "1.0"))
    archives = [running.release("one", "2.0"), running.release("two")]
    before = state(running.home)
    out = running.does("install", "--upgrade", "--dry-run", *archives)
    assert out.splitlines() == [
        "mfdata would:",
        "  upgrade one from 1.0-1 to 2.0-1",
        "  install two 1.0-1",
        "  start step.two.main",
        "  restart step.one.main",
    ]
    assert state(running.home) == before
    assert running.leftovers() == []


def test_an_installation_that_would_be_refused_is_refused(site: Site) -> None:
    site.does("install", site.release("one", "1.0"))
    assert "--upgrade" in site.refuses("install", "--dry-run", site.release("one", "2.0"))
    assert site.versions() == {"one": "1.0"}


def test_an_uninstallation_says_what_waits_and_where_it_would_go(running: Site) -> None:
    running.does("install", running.release("one"))
    queue = running.home.var / "in/step.one.main"
    queue.mkdir(exist_ok=True)
    Supervisor(running.home).stop(1.0)
    (queue / "5-0000000000000000-0-some").write_text("some text\n")
    before = state(running.home)
    assert "files wait for this plugin: 1 for one/main" in running.refuses("uninstall", "--dry-run", "one")
    assert running.does("uninstall", "--dry-run", "--quarantine", "one").splitlines() == [
        "mfdata would:",
        "  uninstall one",
        "mfdata is not running: no process would change",
        "1 file(s) wait for one/main and would go into quarantine",
    ]
    assert state(running.home) == before


def test_an_uninstallation_says_which_processes_would_end(running: Site) -> None:
    running.does("install", running.release("one"))
    out = running.does("uninstall", "--dry-run", "one")
    assert out.splitlines() == ["mfdata would:", "  uninstall one", "  stop step.one.main"]
    assert running.pids("one")
