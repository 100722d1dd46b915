"""Supervisor: starts and stops a module's processes, changes them while they run, and tells how they do."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mfext.configuration.module_sections import Log, Supervision
from mfext.environment import SOFTWARE, Home, child_variables
from mfext.errors import ConfigError, Conflict, MetworkError, NotAllowed, ServiceUnavailable
from mfext.fs.lock import try_lock
from mfext.mainloop import ready_facts
from mfext.section import Config
from mfext.supervision.endpoint import SOCKET, ask
from mfext.supervision.exits import exits_of
from mfext.supervision.generation import lock_file
from mfext.supervision.output import last_lines
from mfext.supervision.process import Process
from mfext.supervision.process_state import ProcessState, process_state
from mfext.supervision.procfs import kill_leftovers, rss_of

#: What a process may be called, and in how many bytes: the name becomes a part of file names and of circus' commands.
_NAME, _LONGEST_NAME = r"[^./$()\x00-\x1f][^/$()\x00-\x1f]*", 200
#: Seconds that the arbiter may take for an answer that does not depend on the processes.
_ANSWER = 30.0
#: Seconds that the arbiter may take to end once no process is left.
_END = 15.0
#: Seconds that the arbiter may take besides what the processes take to end.
_MARGIN = 15.0
_POLL = 0.03
#: Seconds after which the arbiter is asked how processes do although none has said that it is ready.
_NEWS = 0.2


class Supervisor:
    """The processes of one home."""

    def __init__(self, home: Home, config: Config | None = None) -> None:
        """*config* is the module's; what it does not hold, or all without it, is as by default."""
        self.home = home
        self.log = config.section("log", Log) if config and "log" in config else Log()
        self.settings = (
            config.section("supervisor", Supervision) if config and "supervisor" in config else Supervision()
        )
        self._lock = lock_file(home)

    def is_running(self) -> bool:
        """Whether there is an arbiter: the kernel knows, since it holds a lock for as long as it lives."""
        try:
            lock = self._open_lock(os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            return not try_lock(lock, fcntl.LOCK_SH)
        finally:
            os.close(lock)

    def pid(self) -> int:
        """Pid of the arbiter, which is running."""
        return int(self._lock.read_text(encoding="ascii"))

    def start(self, processes: Sequence[Process]) -> None:
        """Start the arbiter and *processes*; whether they become ready is for ``wait_ready``.

        Raises:
            Conflict: they are running already.
            ServiceUnavailable: the arbiter could not be started, and nothing runs.
        """
        _check_names(processes)
        self.home.run.mkdir(parents=True, exist_ok=True)
        self.home.log.mkdir(parents=True, exist_ok=True)
        with self._locked() as lock:
            self.home.run.chmod(0o700)  # whoever reaches the socket commands the arbiter
            self._clean_up()
            self._spawn_arbiter(lock)
        try:
            self.apply(processes)
        except MetworkError as error:
            self.stop()
            raise self._with_output(error) from error

    def stop(self, drain_timeout: float | None = None) -> bool:
        """End everything; whether anything ran.

        Each process is told to finish its work, all at the same time, and is killed after its graceful_timeout, or
        after *drain_timeout* seconds if that is less.
        """
        ran = self.is_running()
        if ran:
            with suppress(ServiceUnavailable):  # it hangs, or is gone before its answer is out
                longest = self._longest_grace()
                allowed = longest if drain_timeout is None else min(longest, drain_timeout)
                self._ask("metwork_stop", allowed + _MARGIN, drain=drain_timeout)
            self._await_end()
        return bool(kill_leftovers(self.home)) or ran

    def apply(self, processes: Sequence[Process]) -> list[str]:
        """Make *processes* run and nothing else; the names of those that were started anew.

        Those that stay as they are are not disturbed. The others drain, end, and are started as declared.

        Raises:
            ServiceUnavailable: nothing is running here, or the arbiter does not answer.
        """
        _check_names(processes)
        allowed = self._longest_grace() + _MARGIN + len(processes)
        answer = self._ask("metwork_apply", allowed, processes=[process.as_json() for process in processes])
        if "refused" in answer:
            raise Conflict(answer["refused"], where=str(self.home.path))
        return list(answer["started"])

    def states(self, names: Collection[str] | None = None) -> list[ProcessState]:
        """How each process does, or each of *names*, by name; empty when the supervisor does not run."""
        if not self.is_running():
            return []
        asked = {} if names is None else {"names": [*names]}
        known = self._ask("metwork_states", _ANSWER, **asked)["states"]
        return [self._state_of(known[name]) for name in sorted(known)]

    def processes(self) -> dict[str, Process]:
        """What runs, as it was declared, by name; empty when the supervisor does not run."""
        if not self.is_running():
            return {}
        known = self._ask("metwork_states", _ANSWER)["states"]
        return {name: Process.from_json(state["process"]) for name, state in known.items()}

    def wait_ready(self, names: Collection[str] | None = None, timeout: float | None = None) -> None:
        """Return when the processes *names*, by default all that start with the module, are ready.

        Does not wait on when all that are not ready fail again and again.

        Raises:
            ServiceUnavailable: names each that is not ready after *timeout* seconds and says why.
        """
        deadline = time.monotonic() + (self.settings.start_timeout if timeout is None else timeout)
        said = self._said_ready(names)
        while unready := [state for state in self._states_of(names) if not state.is_well]:
            if time.monotonic() > deadline or all(state.state == "failing" for state in unready):
                raise self._not_ready(unready)
            said = self._news(names, said)

    def _news(self, names: Collection[str] | None, said: set[str]) -> set[str]:
        """Who says now that he is ready: as soon as others do than *said*, or after a while.

        To ask the arbiter takes a hundred times as long as a look into a folder, of it and of us, and that while
        processes start.
        """
        until = time.monotonic() + _NEWS
        while (now := self._said_ready(names)) == said and time.monotonic() < until:
            time.sleep(_POLL)
        return now

    def _said_ready(self, names: Collection[str] | None) -> set[str]:
        folder = self.home.run / "ready"
        found: set[str] = set()
        for name in names if names is not None else _listed(folder):
            found.update(f"{name}/{pid}" for pid in _listed(folder / name))
        return found

    def _states_of(self, names: Collection[str] | None) -> list[ProcessState]:
        states = self.states(names)
        if not states and not self.is_running():
            raise ServiceUnavailable("the supervisor has ended", where=str(self.home.path), expected="a running module")
        return states

    def _not_ready(self, states: Sequence[ProcessState]) -> ServiceUnavailable:
        """The error that names each of *states*, why it is not ready, and what it wrote last."""
        parts = []
        for state in states:
            pid = state.last_exit.pid if state.last_exit and state.state == "failing" else None
            said = "".join(f"\n    | {line}" for line in last_lines(self.home, state.name, pid))
            parts.append(f"\n  {state.name}: {state.reason}{said}")
        return ServiceUnavailable(f"not ready:{''.join(parts)}\n", mend=f"See {self.home.log} for more")

    def _state_of(self, known: Mapping[str, Any]) -> ProcessState:
        process = Process.from_json(known["process"])
        pids = [int(pid) for pid in known["started"]]
        ends = exits_of(self.home, process.name)
        return process_state(
            process,
            known,
            facts=ready_facts(self.home, process.name),
            last_exit=ends[-1] if ends else None,
            rss=sum(map(rss_of, pids)),
            now=time.time(),
        )

    def _longest_grace(self) -> float:
        """Seconds that the slowest of the running processes may take to end."""
        known = self._ask("metwork_states", _ANSWER)["states"].values()
        return max((float(state["process"]["graceful_timeout"]) for state in known), default=0.0)

    def _open_lock(self, flags: int) -> int:
        try:
            return os.open(self._lock, flags, 0o600)
        except PermissionError:
            raise NotAllowed(
                "the processes of this home belong to another user",
                where=str(self.home.path),
                mend=f"Run the command as {self.home.path.owner()}",
            ) from None

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The lock of the arbiter-to-be, as an open file that it inherits."""
        lock = self._open_lock(os.O_RDWR | os.O_CREAT)
        try:
            deadline = time.monotonic() + _ANSWER
            while not try_lock(lock, fcntl.LOCK_EX):
                # Whoever asks is_running() shares it for an instant, which is not short on a busy machine.
                if not try_lock(lock, fcntl.LOCK_SH) or time.monotonic() > deadline:
                    raise Conflict(f"module {self.home.module} is already running", where=str(self.home.path))
                fcntl.flock(lock, fcntl.LOCK_UN)
                time.sleep(_POLL)
            yield lock
        finally:
            os.close(lock)

    def _clean_up(self) -> None:
        """Remove what a killed arbiter left."""
        kill_leftovers(self.home)
        for name in ("ready", "processes", "metrics"):
            shutil.rmtree(self.home.run / name, ignore_errors=True)
        (self.home.run / SOCKET).unlink(missing_ok=True)

    def _spawn_arbiter(self, lock: int) -> None:
        settings = {
            "log": {"level": self.log.level, "max_size": self.log.max_size, "keep": self.log.keep},
            "max_backoff": self.settings.max_backoff,
            "watch_dev_links": self.settings.watch_dev_links,
        }
        environment = child_variables(self.home)
        environment.pop("METWORK_PROCESS", None)
        with (self.home.log / "arbiter.out").open("wb") as output:
            subprocess.run(
                [sys.executable, "-m", "mfext.supervision.arbiter", self.home.module, str(self.home.path), str(lock)],
                input=json.dumps(settings).encode(),
                cwd=SOFTWARE,
                env=environment,
                stdout=output,
                stderr=output,
                pass_fds=(lock,),
                check=False,
            )

    def _with_output(self, error: MetworkError) -> MetworkError:
        """*error* with what the arbiter said at its end, if it said anything."""
        said = (self.home.log / "arbiter.out").read_text(encoding="utf-8", errors="backslashreplace").strip()
        if not said:
            return error
        return ServiceUnavailable("the arbiter cannot start", where=str(self.home.path), mend=f"It said:\n{said}")

    def _ask(self, command: str, timeout: float, **properties: Any) -> dict[str, Any]:
        if not self.is_running():
            raise ServiceUnavailable(f"module {self.home.module} does not run", where=str(self.home.path))
        return ask(self.home, command, properties, timeout, self.is_running)

    def _await_end(self) -> None:
        """Wait until the arbiter is gone; one that hangs is killed, and all processes with it."""
        deadline = time.monotonic() + _END
        while self.is_running():
            if time.monotonic() > deadline:
                with suppress(OSError, ValueError):
                    os.kill(self.pid(), signal.SIGKILL)
            time.sleep(_POLL)


def _check_names(processes: Sequence[Process]) -> None:
    """Names become parts of file names, and each stands for one process."""
    names: set[str] = set()
    for process in processes:
        name = process.name
        if not re.fullmatch(_NAME, name) or len(os.fsencode(name)) > _LONGEST_NAME:
            raise ConfigError(
                f"a process cannot be called {name!r}",
                expected=f"at most {_LONGEST_NAME} bytes, without / $ ( ) and a dot in front",
            )
        if name in names:
            raise ConfigError(f'two processes are called "{name}"')
        names.add(name)


def _listed(folder: Path) -> list[str]:
    """Names in *folder*, without those of unfinished files."""
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]  # noqa: PTH208  # quick, and asked often
    except (FileNotFoundError, NotADirectoryError):
        return []
