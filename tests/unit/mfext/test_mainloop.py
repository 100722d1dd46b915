from __future__ import annotations

import json
import os
import select
import signal
from pathlib import Path

import pytest

from mfext.environment import Home
from mfext.mainloop import Mainloop, ready_file
from mfext.testing import temporary_home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return temporary_home(tmp_path)


def is_readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


@pytest.mark.parametrize(
    ("number", "stopping", "draining"),
    [(signal.SIGTERM, True, False), (signal.SIGINT, True, False), (signal.SIGUSR1, False, True)],
)
def test_a_signal_is_a_fact_and_wakes_up(home: Home, number: int, stopping: bool, draining: bool) -> None:
    with Mainloop(home, "a") as loop:
        assert not is_readable(loop.wakeup_fd)
        os.kill(os.getpid(), number)
        assert (loop.stopping, loop.draining) == (stopping, draining)
        assert is_readable(loop.wakeup_fd)
        loop.clear_wakeup()
        assert not is_readable(loop.wakeup_fd)


def test_waiting_ends_with_a_signal_or_with_what_is_readable_or_in_time(home: Home) -> None:
    read, write = os.pipe()
    with Mainloop(home, "a") as loop:
        assert loop.wait(read, timeout=0.01) == set()
        os.write(write, b"x")
        assert loop.wait(read) == {read}
        os.kill(os.getpid(), signal.SIGUSR1)
        assert loop.wait(timeout=10) == set()
        assert loop.draining
        assert not is_readable(loop.wakeup_fd)
    os.close(read)
    os.close(write)


def test_a_second_interrupt_interrupts(home: Home) -> None:
    with Mainloop(home, "a"):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_it_says_that_it_is_ready_with_facts_that_add_up_until_it_ends(home: Home) -> None:
    file = ready_file(home, "a-b.c", os.getpid())
    with Mainloop(home, "a-b.c") as loop:
        assert not file.exists()
        loop.ready(rules="1")
        assert json.loads(file.read_text())["rules"] == "1"
        loop.ready(more="2")
        loop.drained()
        facts = json.loads(file.read_text())
        assert (facts["rules"], facts["more"], facts["drained"], facts["pid"]) == ("1", "2", True, os.getpid())
    assert not file.exists()


def test_outside_the_supervisor_it_says_nothing(home: Home) -> None:
    with Mainloop(home, "") as loop:
        loop.ready()
        loop.drained()
    assert not (home.run / "ready").exists()


def test_handlers_are_as_before_afterwards(home: Home) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)]
    with Mainloop(home, "a"):
        pass
    assert before == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)]
