from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from mfext.environment import child_variables, home_of
from mfext.notify import notify_ready


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_that_the_module_is_ready_and_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    place = f"@metwork-test.{os.getpid()}" if abstract else str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", place)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{place[1:]}" if abstract else place)
        sender = threading.Thread(target=notify_ready, args=[42])
        sender.start()
        assert systemd.recv(100) == b"MAINPID=42\nREADY=1"
        text, files, *_ = socket.recv_fds(systemd, 100, 1)
        assert (text, len(files)) == (b"BARRIER=1", 1)
        assert sender.is_alive()
        os.close(files[0])
        sender.join()


def test_without_systemd_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify_ready(42)


def test_a_socket_that_is_not_there_hinders_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    notify_ready(42)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_a_module_runs_cannot_speak_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    assert "NOTIFY_SOCKET" not in child_variables(home_of("mfdata"))
