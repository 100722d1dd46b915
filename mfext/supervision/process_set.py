"""ProcessSet: which processes shall run, and how the arbiter gets from one set of them to another."""

from __future__ import annotations

import asyncio
import hashlib
import shlex
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from circus.exc import ConflictError

from mfext.environment import Home, child_variables
from mfext.fs.atomic import replace_file
from mfext.log import get_logger
from mfext.supervision import launch
from mfext.supervision.cgroup import Cgroups, Unforced
from mfext.supervision.children import Children
from mfext.supervision.exits import FAILURES, Exit, backoff, failures_in_a_row
from mfext.supervision.liveness import Liveness
from mfext.supervision.process import Process

log = get_logger(__name__)

#: Seconds between two attempts when circus is at something else, which it refuses to be disturbed in.
_POLL = 0.01


@dataclass(frozen=True)
class Changes:
    """How one set of processes differs from another."""

    removed: tuple[str, ...] = ()
    added: tuple[Process, ...] = ()
    #: To be restarted.
    replaced: tuple[Process, ...] = ()
    #: Only what needs no restart has changed.
    adjusted: tuple[Process, ...] = ()


def changes(running: Mapping[str, Process], wanted: Sequence[Process]) -> Changes:
    """What must happen to *running* for it to be as *wanted* (pure)."""
    names = {process.name for process in wanted}
    known = [(process, running[process.name]) for process in wanted if process.name in running]
    differing = [(new, old) for new, old in known if new != old]
    replaced = tuple(new for new, old in differing if _must_restart(new, old))
    return Changes(
        removed=tuple(name for name in running if name not in names),
        added=tuple(process for process in wanted if process.name not in running),
        replaced=replaced,
        adjusted=tuple(new for new, _ in differing if new not in replaced),
    )


def _must_restart(new: Process, old: Process) -> bool:
    return new.digest != old.digest or (new.numprocesses == 0) != (old.numprocesses == 0)


@dataclass
class Member:
    """A process on the process_set."""

    process: Process
    #: circus' own object for it.
    watcher: Any = None
    #: Ends since it was declared as it is.
    exits: deque[Exit] = field(default_factory=lambda: deque(maxlen=200))
    #: How often it ended unasked and not as it should.
    restarts: int = 0
    #: Time of the next start when it is held back.
    not_before: float = 0.0
    #: Seconds of that wait.
    longest_wait: float = 0.0
    #: Somebody is changing it: leave it alone.
    busy: bool = False
    #: Its cgroup; '' = that of the arbiter.
    cgroup: str = ""
    #: Why the limits that want a cgroup are not in force; '' = they are, or there are none.
    unforced: str = ""

    @property
    def failures(self) -> int:
        """Failures in a row."""
        return failures_in_a_row(self.exits, self.process.numprocesses)

    @property
    def runs(self) -> bool:
        """Whether it shall run."""
        return self.process.autostart and self.process.numprocesses > 0


class ProcessSet:
    """The members and the acts upon them. All of it runs in the arbiter's loop."""

    def __init__(self, home: Home, arbiter: Any, max_backoff: float) -> None:
        self.home = home
        self.arbiter = arbiter
        self.max_backoff = max_backoff
        self.members: dict[str, Member] = {}
        self._cgroups = Cgroups()
        self.children = Children(home, self._ended, self._cgroups.has_killed)
        self.liveness = Liveness(self.children)
        self._environment = child_variables(home)
        self._changing = asyncio.Lock()

    async def apply(self, wanted: Sequence[Process]) -> list[str]:
        """Make *wanted* run, and nothing else; the names of those that were started. Others are not disturbed.

        What must restart does so each for itself, so that none waits for another's work to end.
        """
        async with self._changing:
            todo = changes({name: member.process for name, member in self.members.items()}, wanted)
            await _all(
                *(self._remove(name) for name in todo.removed),
                *(self._replace(process) for process in todo.replaced),
                *(self._adjust(process) for process in todo.adjusted),
                *(self._add(process) for process in todo.added),
            )
            return [process.name for process in (*todo.replaced, *todo.added)]

    async def clear(self, timeout: float | None = None) -> None:
        """End everything, within *timeout* seconds if it is given."""
        async with self._changing:
            for member in self.members.values():
                if timeout is not None and timeout < member.process.graceful_timeout:
                    member.process = replace(member.process, graceful_timeout=timeout)
            await _all(*(self._remove(name) for name in list(self.members)))

    def states(self, names: Collection[str] | None = None) -> dict[str, dict[str, Any]]:
        """What is known of each member, or of those of *names*, for the supervisor."""
        started: dict[str, dict[int, float]] = defaultdict(dict)
        standing: dict[str, float] = defaultdict(float)
        for pid, child in self.children.alive.items():
            started[child.process][pid] = child.started
            standing[child.process] = max(standing[child.process], self.liveness.standing(pid))
        return {
            name: {
                "process": member.process.as_json(),
                "active": member.busy or not member.watcher.is_stopped(),
                "started": started[name],
                "restarts": member.restarts,
                "failures": member.failures,
                "not_before": member.not_before,
                "longest_wait": member.longest_wait,
                "unforced": member.unforced,
                "standing": standing[name],
            }
            for name, member in self.members.items()
            if names is None or name in names
        }

    async def manage(self) -> None:
        """Let circus reap and replace who has ended."""
        await self._unlocked(self.arbiter.manage_watchers)

    async def end_arbiter(self) -> None:
        """Let circus leave its loop."""
        await self._unlocked(self.arbiter.stop)

    async def restart_ended(self) -> None:
        """Start what circus has given up, since the machine could not start it (no memory, no process numbers)."""
        for member in list(self.members.values()):
            if member.runs and member.process.respawn and not member.busy and member.watcher.is_stopped():
                await self._unlocked(member.watcher.start)

    def look_after(self) -> None:
        """End processes whose loops stand still; they are started again as any that ends."""
        self.liveness.look(lambda name: self.members[name].process.stalled_after if name in self.members else 0.0)

    async def _add(self, process: Process) -> None:
        member = Member(process, busy=True)
        self._confine(member)
        self._define(member)
        self.members[process.name] = member
        member.watcher = await self._unlocked(
            self.arbiter.add_watcher,
            _circus_name(process.name),
            shlex.quote(sys.executable),
            args=["-I", "-S", launch.__file__, f"processes/{process.name}"],
            working_dir=str(self.home.run),
            env={name: value for name, value in self._environment.items() if name != "PYTHONPATH"},
            numprocesses=process.numprocesses,
            respawn=process.respawn,
            autostart=process.autostart,
            hooks={
                "after_spawn": (partial(self._spawned, member), False),
                "after_reap": (partial(self._reaped, member), True),
            },
        )
        if member.runs:
            await self._unlocked(member.watcher.start)
        member.busy = False

    async def _remove(self, name: str) -> None:
        member = self.members[name]
        await self._quiet(member, keep=0)
        await self._unlocked(self.arbiter.rm_watcher, _circus_name(name))
        self._definition(name).unlink(missing_ok=True)
        if member.cgroup:
            self._cgroups.remove(name)
        del self.members[name]

    async def _replace(self, process: Process) -> None:
        await self._remove(process.name)
        await self._add(process)

    async def _adjust(self, process: Process) -> None:
        """Change what needs no restart of those that stay."""
        member = self.members[process.name]
        if process.numprocesses < member.process.numprocesses:
            await self._quiet(member, keep=process.numprocesses)
        member.process = process
        member.watcher.numprocesses = process.numprocesses
        member.watcher.respawn = process.respawn
        member.busy = False
        await self.manage()

    async def _quiet(self, member: Member, keep: int) -> None:
        """Lead all but the *keep* oldest processes of *member* to their end by our own means.

        circus would do so under its lock, and start no dead process of any other member meanwhile. So it is only told
        not to start this one again.
        """
        member.busy = True
        member.watcher.respawn = False
        while surplus := sorted(self._pids(member), key=lambda pid: self.children.alive[pid].started)[keep:]:
            await self.children.drain_and_end(surplus, member.process.graceful_timeout)

    def _pids(self, member: Member) -> list[int]:
        return [pid for pid, child in self.children.alive.items() if child.process == member.process.name]

    async def _unlocked(self, act: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """What *act* gives, a call of circus, tried until circus is not at another."""
        while True:
            try:
                result = act(*args, **options)
                return await result if asyncio.isfuture(result) else result
            except ConflictError:
                await asyncio.sleep(_POLL)

    def _spawned(self, member: Member, pid: int, **_: Any) -> bool:
        self.children.add(member.process.name, pid, max(time.time(), member.not_before))
        return True

    def _reaped(self, _member: Member, process_pid: int, exit_code: int | None, **_: Any) -> bool:
        self.children.reaped(process_pid, exit_code)
        return True

    def _ended(self, name: str, end: Exit) -> None:
        """Count an end and, when it was one failure too many, hold the next start back."""
        member = self.members.get(name)
        if member is None or end.asked:
            return
        member.exits.append(end)
        if end.status != 0 or end.is_failure:
            member.restarts += 1
            log.warning("process ended", child=name, child_pid=end.pid, exit=str(end))
        delay = backoff(member.failures, self.max_backoff)
        if delay and member.process.respawn:
            member.not_before, member.longest_wait = end.time + delay, delay
            try:
                self._define(member)
            except OSError as error:  # a full disk: then it is not held back
                log.error("a definition cannot be written", child=name, error=error)
            if member.failures == FAILURES:
                log.error("process fails again and again, and is held back", child=name, exit=str(end))

    def _confine(self, member: Member) -> None:
        """Make the cgroup that the limits of *member* want, if they do."""
        limits = {name: value for name, value in member.process.cgroup.items() if value}
        if not limits:
            return
        try:
            member.cgroup = str(self._cgroups.prepare(member.process.name, limits))
        except Unforced as unforced:
            member.unforced = f"{', '.join(limits)} not in force: {unforced}"
            log.warning("limits are not in force", child=member.process.name, reason=member.unforced)

    def _define(self, member: Member) -> None:
        """Write what launch is to become, for nobody else to read: it may hold secrets."""
        process = member.process
        definition = launch.Definition()
        definition.parent = self.arbiter.pid
        definition.folder = str(process.folder)
        definition.output = str(self.home.log / f"{process.name}.out")
        definition.not_before = member.not_before
        definition.longest_wait = member.longest_wait
        definition.command = list(process.command)
        definition.limits = dict(process.rlimits)
        definition.cgroup = member.cgroup
        definition.environment = {**self._environment, **process.environment, "METWORK_PROCESS": process.name}
        path = self._definition(process.name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, definition.encoded(), mode=0o600)

    def _definition(self, name: str) -> Path:
        return self.home.run / "processes" / name


async def _all(*acts: Any) -> None:
    """Do all *acts* to their end, then raise what one of them raised."""
    for outcome in await asyncio.gather(*acts, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def _circus_name(name: str) -> str:
    """A name that differs from others for circus, too, which takes no notice of case."""
    if name == name.lower():
        return name
    return f"{name.lower()}~{hashlib.sha256(name.encode()).hexdigest()[:8]}"
