"""Observer: the process that sees files come, takes the complete ones, and guards what nobody else does.

Events come from ``inotify_simple``: a plain file descriptor for the one poll() of this process. watchdog's layer of
the same width hands them to a thread of its own, which with Python's one lock costs as much again as taking the file.

Events are hints. The kernel drops them when its queue is full, tells nothing of a file that was linked in, and knows
nothing of other hosts; what they do not tell is found by listing: at the start, after an overflow, when a directory
appears, and every ``rescan_interval``.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from inotify_simple import Event
from inotify_simple import flags as inotify

from mfdata.config import Incoming, Pressure, Quarantine, Safety, StepConfig
from mfdata.config import Trace as TraceConfig
from mfdata.intake.backpressure import Gauge
from mfdata.intake.completeness import Decision
from mfdata.intake.directories import ExternalDirectory, external_directories
from mfdata.intake.directory_watch import Watched, identity
from mfdata.intake.intake import Intake
from mfdata.metrics import EventCounter
from mfdata.quarantine.retention import Expiry
from mfdata.recovery.housekeeping import Housekeeping
from mfdata.recovery.recovery import Recovery
from mfdata.recovery.unfinished_injections import UnfinishedInjections
from mfdata.storage.places import Places, Target
from mfdata.storage.trace import Trace
from mfext.configuration.module_config import module_config
from mfext.daemon import Daemon, run_daemon
from mfext.disk import USED_UP
from mfext.environment import Home
from mfext.fs.inotify import new_inotify
from mfext.fs.lock import exclusive
from mfext.lifecycle.last_good import remembered
from mfext.log import get_logger
from mfext.mainloop import Mainloop
from mfext.metrics.instrument import Instruments, metrics_folder
from mfext.module import load_module
from mfext.plugin.installed import survey
from mfext.plugin.manifest import Plugin
from mfext.section import Config

log = get_logger(__name__)

PROCESS = "observer"

_MASK = inotify.CLOSE_WRITE | inotify.MOVED_TO | inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.ONLYDIR
_LOST = inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.IGNORED | inotify.UNMOUNT
_TICK_S = 1.0
#: So many files are brought to disk together, where that is asked for.
_TOGETHER = 64
_LONGEST_PAUSE_S = 5.0
#: So many unexpected files are reported one by one.
_MAX_REPORTED = 10_000


class Observer:
    """Sees files come into the external directories and has each taken when it is complete."""

    def __init__(
        self,
        directories: Sequence[ExternalDirectory],
        settings: Incoming,
        intake: Intake,
        housekeeping: Housekeeping,
        gauge: Gauge,
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._guardian = housekeeping
        self._gauge = gauge
        self._say = _say_nothing
        self._watched = [Watched(directory) for directory in directories]
        self._by_descriptor: dict[int, Watched] = {}
        self._to_list: deque[Watched] = deque()
        self._inotify = new_inotify(nonblocking=True)
        self._next_tick = self._next_rescan = time.monotonic()
        self._pause = self._paused_until = 0.0
        self._is_pending = True
        #: Strangers since the last rescan, and those before.
        self._reported: set[tuple[str, str]] = set()
        self._reported_before: set[tuple[str, str]] = set()

    def run(self, loop: Mainloop) -> None:
        """Work until asked to stop."""
        self._watch_all()
        self._say = loop.ready
        self._obey_pressure(self._gauge.look())
        loop.ready()
        while not loop.stopping:
            if loop.draining:
                loop.drained()
                loop.wait()
                continue
            loop.wait(self._inotify.fileno(), timeout=self._time_to_sleep())
            self._take_from_events(loop)
            self._take_listed(loop)
            self._bring_to_disk()
            if time.monotonic() >= self._next_tick:
                self._tick(loop)
                self._bring_to_disk()

    def close(self) -> None:
        """Watch nothing any more."""
        self._inotify.close()

    def _time_to_sleep(self) -> float:
        now = time.monotonic()
        if self._to_list and now >= self._paused_until:
            return 0.0
        return max(0.0, self._next_tick - now)

    def _take_from_events(self, loop: Mainloop) -> None:
        """Take the files that events tell of."""
        events = self._inotify.read(timeout=0)
        for number, (descriptor, mask, _, name) in enumerate(events):
            watched = self._by_descriptor.get(descriptor)
            if number % _TOGETHER == 0:
                loop.turns()  # so many may have come at once
            if len(events) > 1 and number % _TOGETHER == 0 and not loop.stopping:
                self._prepare_from_events(events[number : number + _TOGETHER])
            if mask & inotify.Q_OVERFLOW:
                log.warning("the kernel dropped events: the incoming directories are listed")
                self._list_all()
            elif watched is None:
                continue
            elif mask & _LOST:
                self._lose(watched)
            elif not loop.stopping:
                self._take(watched, name, was_closed=True)

    def _prepare_from_events(self, events: Sequence[Event]) -> None:
        names: dict[int, list[str]] = {}
        for descriptor, mask, _, name in events:
            if name and not mask & _LOST:
                names.setdefault(descriptor, []).append(name)
        for descriptor, found in names.items():
            if descriptor in self._by_descriptor:
                self._prepare(self._by_descriptor[descriptor], found)

    def _prepare(self, watched: Watched, names: Sequence[str]) -> None:
        if time.monotonic() >= self._paused_until:
            try:
                self._intake.prepare(watched.directory, names)
            except OSError as error:
                self._failed(os.fspath(watched.directory.path), error)

    def _take_listed(self, loop: Mainloop) -> None:
        """Take some of the files that a listing finds."""
        if not self._to_list or time.monotonic() < self._paused_until or loop.stopping:
            return
        watched = self._to_list[0]
        names = watched.next_names()
        if not names:
            self._to_list.popleft()
        for number, name in enumerate(names):
            if number % _TOGETHER == 0:
                self._prepare(watched, names[number : number + _TOGETHER])
            self._take(watched, name, was_closed=False)

    def _take(self, watched: Watched, name: str, *, was_closed: bool) -> None:
        if time.monotonic() < self._paused_until:
            return
        try:
            decision = self._intake.take(watched.directory, name, was_closed=was_closed)
        except OSError as error:
            self._failed(f"{watched.directory.path}/{name}", error)
            return
        if decision is Decision.UNEXPECTED:
            self._report_unexpected()
        elif decision is Decision.TAKE:
            self._obey_pressure(self._gauge.took_one())
            if self._pause:
                log.info("incoming files are taken again")
                self._pause = 0.0

    def _bring_to_disk(self) -> None:
        """Nothing that was taken is in memory only while this process waits."""
        try:
            self._intake.sync()
        except OSError as error:
            self._failed(str(error.filename or ""), error)

    def _obey_pressure(self, has_changed: bool) -> None:
        """Pause until the pressure is gone; files stay where they are."""
        if not has_changed:
            return
        reason = self._gauge.reason
        if reason:
            log.error("intake pauses: files stay in their incoming directories", reason=reason)
            self._paused_until = float("inf")
        else:
            log.warning("intake goes on")
            self._paused_until = 0.0
            self._list_all()
        # Who sees the fact finds the line.
        self._say(pressure=reason)

    def _failed(self, path: str, error: OSError) -> None:
        """A file could not be taken: it stays where it is, and is tried again."""
        self._is_pending = True
        if error.errno not in USED_UP and not self._intake.has_write_ahead:
            self._report(path, error.strerror or str(error))
            return
        if not self._pause:
            log.error("incoming files cannot be taken and stay where they are", reason=str(error), file=path)
        self._pause = min(_LONGEST_PAUSE_S, 2 * self._pause or 1.0)
        self._paused_until = time.monotonic() + self._pause
        # What comes in the meantime is found by listing.
        self._list_all()

    def _tick(self, loop: Mainloop) -> None:
        now = time.monotonic()
        self._next_tick = now + _TICK_S
        self._guardian.look(loop.turns)
        self._obey_pressure(self._gauge.look())
        for watched in self._watched:
            if watched.descriptor < 0 or identity(watched.directory.path) != watched.identity:
                self._lose(watched)
                self._watch(watched)
        if now >= self._next_rescan:
            self._rescan(now)
        if now >= self._paused_until:
            self._resume(now)

    def _rescan(self, now: float) -> None:
        self._next_rescan = now + self._settings.rescan_interval
        self._reported_before, self._reported = self._reported, set()
        self._list_all()

    def _resume(self, now: float) -> None:
        """Go on with what was begun, and look again at what stood still."""
        if self._is_pending:
            errors = self._intake.transfers.resume()
            for error in errors:
                self._report(str(error.filename or ""), error.strerror or str(error))
            self._is_pending = bool(errors)
        was_full = self._intake.stable_periods.is_full()
        due = self._intake.stable_periods.due(now, self._settings.stable_for)
        by_path = {os.fspath(watched.directory.path): watched for watched in self._watched}
        for path in due:
            folder, _, name = path.rpartition("/")
            if folder in by_path:
                self._take(by_path[folder], name, was_closed=False)
        if was_full and due:
            self._list_all()

    def _list_all(self) -> None:
        for watched in self._watched:
            self._list(watched)

    def _list(self, watched: Watched) -> None:
        watched.list_again()
        if watched not in self._to_list:
            self._to_list.append(watched)

    def _watch_all(self) -> None:
        for watched in self._watched:
            if watched.directory.path.is_relative_to(self._intake.places.home.path):
                watched.directory.path.mkdir(parents=True, exist_ok=True)
            self._watch(watched)
        self._next_rescan = time.monotonic() + self._settings.rescan_interval

    def _watch(self, watched: Watched) -> None:
        """Watch the directory if it is there, and list it."""
        path = watched.directory.path
        try:
            watched.descriptor = self._inotify.add_watch(path, _MASK)
            watched.identity = identity(watched.directory.path)
            if not os.access(path, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "files cannot be removed from it, so none is taken", str(path))
        except OSError as error:
            self._cannot_watch(watched, error.strerror or str(error))
            return
        if watched.fault:
            log.info("an incoming directory is watched again", directory=str(path))
        watched.fault = ""
        self._by_descriptor[watched.descriptor] = watched
        self._list(watched)

    def _cannot_watch(self, watched: Watched, fault: str) -> None:
        if fault != watched.fault:
            log.error("an incoming directory cannot be watched", directory=str(watched.directory.path), reason=fault)
        watched.fault = fault
        self._lose(watched)

    def _lose(self, watched: Watched) -> None:
        """Forget the watch; each second it is tried to have one again."""
        if watched.descriptor >= 0:
            self._by_descriptor.pop(watched.descriptor, None)
            with suppress(OSError):
                self._inotify.rm_watch(watched.descriptor)
        watched.descriptor = -1

    def _report_unexpected(self) -> None:
        for path, reason in self._intake.unexpected_files:
            self._report(path, reason)
        self._intake.unexpected_files.clear()

    def _report(self, path: str, reason: str) -> None:
        one = path, reason
        if one in self._reported or len(self._reported) >= _MAX_REPORTED:
            return
        self._reported.add(one)
        if one not in self._reported_before:
            log.warning("something in an incoming directory is left alone", path=path, reason=reason)


def _say_nothing(**_facts: str) -> None:
    return None


def serve(daemon: Daemon) -> None:
    """Observe until asked to stop."""
    home = daemon.home
    # Who opens a file for writing while it is asked whether anybody does sends this, which would kill us.
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    home.run.mkdir(parents=True, exist_ok=True)
    with exclusive(home.run / "intake.lock", "incoming files", "observe", timeout=30), Mainloop(home) as loop:
        observer = made(home, daemon.config)
        try:
            observer.run(loop)
        finally:
            observer.close()


def made(home: Home, config: Config) -> Observer:
    """The observer of *home*, as its configuration and its plugins say."""
    places = Places(home)
    settings, safety = config.section("incoming", Incoming), config.section("safety", Safety)
    count = EventCounter(Instruments(metrics_folder(home))).count
    trace = Trace(home, PROCESS, settings=config.section("trace", TraceConfig), count=count)
    steps = _steps(home)
    listened = {target: step.listened_directories for target, step in steps.items()}
    priorities = {target: step.priority for target, step in steps.items() if step.priority >= 0}
    intake = Intake(places, settings, safety, trace)
    intake.replay_write_ahead(PROCESS)
    durable = safety.durability == "power"
    recovery = Recovery(places, trace, max_crashes=safety.max_crashes, durable=durable)
    expiry = Expiry(places, trace, config.section("quarantine", Quarantine).lifetime)

    def timeouts() -> dict[Target, float]:
        return {target: step.timeout for target, step in _steps(home).items()}

    housekeeping = Housekeeping(places, recovery, timeouts, expiry.look, UnfinishedInjections(places, trace).look)
    directories = external_directories(places, settings, listened, priorities)
    gauge = Gauge(places, config.section("pressure", Pressure))
    return Observer(directories, settings, intake, housekeeping, gauge)


def _installed(home: Home) -> list[Plugin | None]:
    module = load_module(home.module)
    return [one.plugin for one in survey(home, module, module_config(module, home))]


def _steps(home: Home) -> dict[Target, StepConfig]:
    """Every step of the plugins in force; of those that are installed, when a full disk let nobody remember them."""
    plugins = remembered(home).values() or _installed(home)
    return {
        Target(plugin.name, section.removeprefix("step_")): plugin.config.section(section, StepConfig)
        for plugin in plugins
        if plugin
        for section in plugin.config.names("step_*")
    }


def main() -> None:
    """Run as the supervised process ``observer``."""
    run_daemon(serve, process=PROCESS)


if __name__ == "__main__":
    main()
