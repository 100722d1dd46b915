"""Order: with one process a step, files leave in the order in which they came."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from mfdata.config import StepConfig
from mfdata.queue.local import LocalQueue
from mfdata.storage.names import waiting_name
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import first_tags, new_uid, write_tags
from mfext.environment import Home
from mfext.testing import temporary_home

FILES = 2000
FIRST, SECOND = Target("first", "main"), Target("second", "main")
WORK = """
import sys
from pathlib import Path
from mfdata import Done, Step
from mfdata.config import Safety, StepConfig
from mfdata.storage.places import Target
from mfdata.queue.local import LocalQueue
from mfdata.storage.trace import Trace
from mfdata.worker.worker import Worker
from mfext.environment import Home
from mfext.mainloop import Mainloop
from mfext.section import FreeSection

class Hands(Step):
    def process(self, file):
        return Done(to="second/main")

home = Home("mfdata", Path(sys.argv[1]))
step = Hands(home, "first", "main", StepConfig(), FreeSection())
with Mainloop(home, "step.first.main") as loop:
    queue = LocalQueue(step.places, Target("first", "main"))
    loop.ready()
    Worker(step, queue, Trace(home, "step.first.main", "first", "main"), Safety()).run(loop)
    queue.close()
"""


def test_a_step_with_one_process_keeps_the_order_while_files_come_and_its_process_is_killed(tmp_path: Path) -> None:
    home = temporary_home(tmp_path)
    places = Places(home)
    for target in (FIRST, SECOND):
        places.queue(target).mkdir(parents=True)
    producer = threading.Thread(target=produce, args=(places,))
    producer.start()
    found: list[int] = []
    queue = LocalQueue(places, SECOND)
    worker = start(home)
    try:
        while len(found) < FILES:
            claim = queue.claim()
            if claim is None:
                continue
            found.append(int(claim.name.rpartition("-")[2]))
            queue.settle(claim)
            if len(found) % 500 == 0:
                worker.kill()
                worker.wait()
                worker = start(home)
    finally:
        producer.join()
        worker.kill()
        worker.wait()
        queue.close()
    assert found == list(range(FILES))


def produce(places: Places) -> None:
    for number in range(FILES):
        part = places.home.path / "part"
        part.touch()
        name = str(number).encode()
        write_tags(part, first_tags(new_uid(), name, b"incoming"), places.sidecars)
        part.rename(places.queue(FIRST) / waiting_name(name))


def start(home: Home) -> subprocess.Popen[bytes]:
    recover(home)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen([sys.executable, "-c", WORK, str(home.path)], env=environment)


def recover(home: Home) -> None:
    """As a step process does before it takes the first file."""
    from mfdata.recovery.recovery import Recovery
    from mfdata.storage.trace import Trace

    Recovery(Places(home), Trace(home, "recovery"), max_crashes=100).recover(FIRST)


def test_a_step_is_in_order_unless_it_says_otherwise() -> None:
    assert (StepConfig().order, StepConfig().numprocesses) == ("oldest", 1)
