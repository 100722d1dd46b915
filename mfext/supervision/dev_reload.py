"""DevLinks: watches the folders of dev-linked plugins, and applies what their developer changes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread
from typing import Any

from mfext.environment import SOFTWARE, Home, child_variables
from mfext.log import get_logger, utc
from mfext.plugin.environments import REQUIREMENTS

log = get_logger(__name__)

#: Seconds without a further change after which the changes are applied: an editor writes several files.
_QUIET = 0.3
#: Bytes of the output file at which it is begun anew.
_MAX_OUTPUT = 1_000_000

_CHANGES = frozenset(("created", "modified", "moved", "deleted"))
_SUFFIXES = frozenset((".py", ".ini"))


class DevLinks:
    """Runs ``metwork MODULE apply`` when a file of a dev-linked plugin has changed, one run at a time."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.output = home.log / "apply.out"
        self._changed = Event()
        self._watches: dict[Path, Any] = {}
        self._observer: Any = None

    def refresh(self) -> None:
        """Watch the plugins that are dev-linked now."""
        folders = {entry.resolve() for entry in self._links() if entry.is_dir()}
        if not folders and self._observer is None:
            return  # without dev-links, neither the library nor a thread is needed
        self._start()
        for gone in self._watches.keys() - folders:
            self._observer.unschedule(self._watches.pop(gone))
        for folder in folders - self._watches.keys():
            self._watch(folder)

    def _links(self) -> list[Path]:
        return (
            [entry for entry in self.home.plugins.iterdir() if entry.is_symlink()] if self.home.plugins.exists() else []
        )

    def _watch(self, folder: Path) -> None:
        from watchdog.events import FileSystemEvent, FileSystemEventHandler

        class Handler(FileSystemEventHandler):
            def __init__(self, changed: Event) -> None:
                self.changed = changed

            def on_any_event(self, event: FileSystemEvent) -> None:
                paths = (event.src_path, getattr(event, "dest_path", ""))
                if event.event_type in _CHANGES and any(matters(Path(str(path)), folder) for path in paths if path):
                    self.changed.set()

        try:
            self._watches[folder] = self._observer.schedule(Handler(self._changed), str(folder), recursive=True)
        except OSError as error:  # no more inotify watches on this machine
            log.error("a dev-linked plugin cannot be watched", folder=folder, error=error)

    def _start(self) -> None:
        if self._observer is None:
            from watchdog.observers import Observer

            self._observer = Observer()
            self._observer.daemon = True
            self._observer.start()
            Thread(target=self._run, name="dev-links", daemon=True).start()

    def _run(self) -> None:
        while self._changed.wait():
            while self._changed.is_set():
                self._changed.clear()
                time.sleep(_QUIET)
            self._apply()

    def _apply(self) -> None:
        """Apply in a process of its own: it reads configuration and code that the arbiter must not load."""
        log.info("applying changes of a dev-linked plugin")
        try:
            if self.output.exists() and self.output.stat().st_size > _MAX_OUTPUT:
                self.output.unlink()
            with self.output.open("ab") as output:
                output.write(f"== {utc(time.time())}\n".encode())
                output.flush()
                subprocess.run(  # its exit status may be lost, since circus reaps every child
                    [sys.executable, "-m", "mfext", "apply", self.home.module],
                    cwd=SOFTWARE,
                    env=child_variables(self.home),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    check=False,
                )
        except OSError as error:
            log.error("changes of a dev-linked plugin could not be applied", error=error)


def matters(path: Path, folder: Path) -> bool:
    """Whether a change of *path* below *folder* can change what runs (pure)."""
    try:
        parts = path.relative_to(folder).parts
    except ValueError:
        return False
    hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
    return not hidden and (path.suffix in _SUFFIXES or path == folder / REQUIREMENTS)
