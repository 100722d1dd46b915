from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mfext import doctor
from mfext.doctor import FAULT, OK, WARNING, Finding
from mfext.environment import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home("mfdata", tmp_path / "mfdata")
    for folder in (home.path, home.var, home.tmp, home.config, home.log):
        folder.mkdir(mode=0o750)
    return home


def test_the_worst_finding_counts() -> None:
    findings = [Finding("a", state, "") for state in (OK, WARNING)]
    assert doctor.worst(findings) == WARNING
    assert doctor.worst([*findings, Finding("b", FAULT, "")]) == FAULT
    assert doctor.worst([]) == OK


def test_python_and_the_libraries_of_these_tests_are_right() -> None:
    assert doctor.python().state == OK
    assert [finding.state for finding in doctor.libraries()] == [OK]


def test_a_library_that_is_missing_or_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.requires", lambda _: ["click>=999", "nosuch>=1", "x; extra == 'dev'"])
    (finding,) = doctor.libraries()
    assert finding.state == FAULT
    assert "older than 999; nosuch is not there" in finding.found
    assert "x is" not in finding.found


@pytest.mark.parametrize(("limit", "state"), [(1024, WARNING), (4096, OK), (-1, OK)])
def test_few_open_files_are_a_warning(limit: int, state: str) -> None:
    assert doctor.open_files(limit).state == state


@pytest.mark.parametrize(
    ("processes", "is_running", "most", "used", "state"),
    [
        (10, False, 128, 5, OK),
        (100, False, 128, 40, FAULT),
        (100, False, 128, 15, WARNING),
        (100, True, 128, 100, OK),
        (100, True, 128, 128, WARNING),
    ],
)
def test_each_process_needs_an_instance_of_inotify(
    processes: int, is_running: bool, most: int, used: int, state: str
) -> None:
    finding = doctor.inotify_instances(processes, is_running, most, used)
    assert finding.state == state
    assert bool(finding.mend) == (state != OK)


def test_few_watches_are_a_warning() -> None:
    assert (doctor.inotify_watches(100).state, doctor.inotify_watches(65536).state) == (WARNING, OK)


@pytest.mark.parametrize(("answer", "state"), [(0, OK), (5, WARNING), (-1, WARNING)])
def test_a_clock_that_nobody_keeps_is_a_warning(answer: int, state: str) -> None:
    assert doctor.clock_kept(answer).state == state


def test_files_from_the_future_tell_of_a_clock_that_was_set_back(home: Home) -> None:
    (home.log / "arbiter.log").touch()
    written = (home.log / "arbiter.log").stat().st_mtime
    assert doctor.clock_jump(home, written + 1).state == OK
    finding = doctor.clock_jump(home, written - 3600)
    assert finding.state == WARNING
    assert "3600 s younger" in finding.found


@pytest.mark.parametrize(("mode", "state"), [(0o750, OK), (0o755, WARNING), (0o777, FAULT)])
def test_what_others_may_do_in_the_home_is_told(home: Home, mode: int, state: str) -> None:
    home.path.chmod(mode)
    finding = doctor.reach_of_others(home)
    assert finding.state == state
    assert ("chmod" in finding.mend) == (state != OK)


def test_a_home_below_a_folder_that_anybody_may_change_is_a_fault(home: Home) -> None:
    home.path.parent.chmod(0o777)
    finding = doctor.reach_of_others(home)
    home.path.parent.chmod(0o700)
    assert (finding.state, finding.mend) == (FAULT, f"chmod o-w {home.path.parent}")


def test_a_secret_that_others_may_read_is_a_fault(home: Home) -> None:
    file = home.config / "config.ini"
    file.write_text("[custom]\npasswd = secret\n")
    file.chmod(0o644)
    assert doctor.secrets_readable(home).state == OK, "nobody else comes so far"
    for folder in (home.path, home.config):
        folder.chmod(0o755)
    finding = doctor.secrets_readable(home)
    assert (finding.state, finding.mend) == (FAULT, f"chmod 600 {file}")
    file.write_text("[custom]\nfolder = out\n# passwd = \n")
    assert doctor.secrets_readable(home).state == OK


def test_a_file_system_without_attributes_is_a_warning(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("os.setxattr", refuse)
    finding = doctor.attributes(home)
    assert finding.state == WARNING
    assert "Operation not supported" in finding.found
    assert list(home.tmp.iterdir()) == []


@pytest.mark.parametrize(
    ("free", "total", "state"),
    [(50 << 30, 100 << 30, OK), (2 << 30, 100 << 30, WARNING), (1 << 29, 1 << 30, WARNING), (1 << 20, 1 << 30, FAULT)],
)
def test_little_room_on_the_disk_is_told(home: Home, free: int, total: int, state: str) -> None:
    assert doctor.disk_space(home, free, total).state == state


def test_a_port_that_somebody_else_has_is_a_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        finding = doctor.port("router", "127.0.0.1", number, is_ours=False)
        assert finding.state == FAULT
        assert f"sport = :{number}" in finding.mend
        assert doctor.port("router", "127.0.0.1", number, is_ours=True).state == OK
    assert doctor.port("router", "127.0.0.1", number, is_ours=False).state == OK
    assert doctor.port("receiver", "127.0.0.1", 0, is_ours=False).state == OK


def test_a_check_that_cannot_look_keeps_no_other_from_looking(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied", str(home.log))

    monkeypatch.setattr(doctor, "_times", refuse)
    found = {one.check: one for one in doctor._of_home(home)}
    assert found["clock jump"].state == WARNING
    assert found["clock jump"].found == f"cannot be looked at: {home.log}: Permission denied"
    assert found["disk"].check == "disk"
    assert len(found) == 7


def test_a_home_that_is_not_made_yet_can_be_looked_at(tmp_path: Path) -> None:
    home = Home("mfdata", tmp_path / "later" / "mfdata")
    checks = (doctor.owner, doctor.reach_of_others, doctor.attributes, doctor.disk_space, doctor.clock_jump)
    assert {check(home).state for check in checks} <= {OK, WARNING}
    assert not home.path.parent.exists()
