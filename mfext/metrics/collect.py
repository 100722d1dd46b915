"""Collect: all metrics of a module at one moment: what its processes counted, and what is looked up now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from mfext.configuration.module_config import module_config
from mfext.environment import Home
from mfext.log import get_logger
from mfext.metrics.exposition import samples_of
from mfext.metrics.instrument import add_up_dead, metrics_folder, read_counts
from mfext.metrics.metric import Metric, Sample, counter, gauge
from mfext.supervision.supervisor import Supervisor
from mfext.version import software_version

if TYPE_CHECKING:
    from mfext.module import Module
    from mfext.supervision.process_state import ProcessState

_log = get_logger(__name__)

#: What is looked up is used again for so many times as long as it took: a home with a million files stays quick.
_REST = 20.0

INFO = gauge("metwork_module_info", "1; the labels say which version of which module runs.", "module", "version")
FAILED = gauge("metwork_collect_failed", "1 = this part of the metrics could not be looked up: see the log.", "part")
WANTED = gauge("metwork_process_wanted", "Copies of the process that shall run.", "process", "plugin")
RUNNING = gauge("metwork_process_running", "Copies of the process that live.", "process", "plugin")
READY = gauge("metwork_process_ready", "Copies of the process that do their work.", "process", "plugin")
FAILING = gauge("metwork_process_failing", "1 = the process is not as configured.", "process", "plugin")
RESTARTS = counter(
    "metwork_process_restarts_total", "Ends by a fault, since the start or the last change.", "process", "plugin"
)
MEMORY = gauge("metwork_process_resident_memory_bytes", "Memory of all copies of the process.", "process", "plugin")

#: Metrics of every module.
COMMON = (INFO, FAILED, WANTED, RUNNING, READY, FAILING, RESTARTS, MEMORY)


class ModuleMetrics:
    """The metrics of the module that runs in one home."""

    def __init__(self, module: Module, home: Home) -> None:
        self.module = module
        self.home = home
        self._looked_up: list[Sample] = []
        self._stale_at = 0.0

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All that are declared: those of every module, then its own."""
        return (*COMMON, *self.module.metrics)

    def samples(self) -> list[Sample]:
        """Every sample as it is now."""
        folder = metrics_folder(self.home)
        add_up_dead(folder)
        counted = samples_of(self.metrics, read_counts(folder))
        return [*counted, *self._samples_looked_up()]

    def _samples_looked_up(self) -> list[Sample]:
        began = time.monotonic()
        if began >= self._stale_at:
            self._looked_up = [*self._look_up()]
            ended = time.monotonic()
            self._stale_at = ended + _REST * (ended - began)
        return self._looked_up

    def _look_up(self) -> Iterator[Sample]:
        yield Sample(INFO, (self.module.name, software_version()), (1.0,))
        parts: dict[str, Callable[[], Iterable[Sample]]] = {
            "processes": lambda: process_samples(Supervisor(self.home).states()),
            self.module.name: lambda: self.module.samples(self.home, module_config(self.module, self.home)),
        }
        for part, look_up in parts.items():
            failed = 0.0
            try:
                yield from look_up()
            except Exception:  # a fault of one part hides no other
                _log.exception("metrics could not be looked up", part=part)
                failed = 1.0
            yield Sample(FAILED, (part,), (failed,))


def process_samples(states: Iterable[ProcessState]) -> Iterator[Sample]:
    """How the processes of a module do (pure)."""
    for state in states:
        values: dict[Metric, float] = {
            WANTED: state.wanted,
            RUNNING: len(state.pids),
            READY: len(state.ready),
            FAILING: not state.is_well,
            RESTARTS: state.restarts,
            MEMORY: state.rss,
        }
        for metric, value in values.items():
            yield Sample(metric, (state.name, state.plugin), (float(value),))
