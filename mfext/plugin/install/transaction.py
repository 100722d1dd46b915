"""A change of installed plugins that is done wholly or not at all, whatever dies when.

Beside the plugins lies one folder, ``var/plugins/.transaction``. It gets the new folders first, complete. Then the file
``forward`` in it says what shall change: from there on the change goes forward, also after a kill, by the next command.
If it turns out that the new plugins do not run, ``forward`` is renamed ``back``, and all goes back in the same way.
The end is the removal of that file. Folders change places in one step, and each says of itself which one it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.environment import Home
from mfext.errors import MetworkError, ServiceUnavailable, raise_all
from mfext.fs.atomic import replace_file
from mfext.fs.exchange import complete, exchange
from mfext.fs.tree import remove_tree, sync, sync_tree
from mfext.plugin.marker import markers, read_marker
from mfext.plugin.package.rpm import Database

if TYPE_CHECKING:
    from mfext.lifecycle.lifecycle import Result
    from mfext.module import Module

#: A folder with a dot is no plugin for whoever looks at what is installed.
FOLDER = ".transaction"
_FORWARD, _BACK = "forward", "back"


@dataclass(frozen=True)
class Change:
    """What shall be of one plugin."""

    name: str
    #: Of the note in its new folder; '' = it shall be gone.
    stamp: str = ""
    #: There was a version before, which it takes the place of.
    replaces: bool = False


@dataclass(frozen=True)
class Journal:
    """A whole change, as it is written down."""

    changes: tuple[Change, ...]
    #: Where what waits for a plugin that goes shall go.
    move_to: str = ""
    quarantine: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(change.name for change in self.changes)

    def as_text(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_text(cls, text: str | bytes) -> Journal:
        fields = json.loads(text)
        return cls(**{**fields, "changes": tuple(Change(**change) for change in fields["changes"])})


@dataclass(frozen=True)
class Transaction:
    """The change that is under way in a home, or that can be begun there."""

    module: Module
    home: Home
    #: Told the name of each plugin whose folder has got its place.
    placed: Callable[[str], None] = field(default=lambda _: None)

    @property
    def folder(self) -> Path:
        """Where new folders are made, and old ones wait until it is sure that they are not needed again."""
        return self.home.plugins / FOLDER

    @property
    def releases(self) -> Path:
        """The archives of what is installed, and of what was installed before that."""
        return self.home.var / "releases"

    def is_interrupted(self) -> bool:
        """Whether a command was killed in the middle of a change."""
        return self.folder.exists()

    @property
    def is_written(self) -> bool:
        """Whether it is written down what shall change."""
        return any((self.folder / name).is_file() for name in (_FORWARD, _BACK))

    def begin(self) -> None:
        """Make the empty folder; what an unfinished preparation left is removed."""
        remove_tree(self.folder)
        self.folder.mkdir(parents=True)
        self.releases.mkdir(parents=True, exist_ok=True)

    def abandon(self) -> None:
        """End a preparation without any change."""
        remove_tree(self.folder)
        self._prune()

    def carry_out(self, journal: Journal) -> Result:
        """Do what *journal* says, whose new folders are in place.

        Raises:
            MetworkError: the plugins that were to come do not run, and all is as it was before.
        """
        sync_tree(self.folder)
        replace_file(self.folder / _FORWARD, journal.as_text(), durable=True)
        return self._go_forward(journal)

    def recover(self) -> list[MetworkError]:
        """Bring what a killed command left to an end; what came of that, if it is worth telling."""
        told: list[MetworkError] = []
        if (self.folder / _BACK).is_file():
            self._go_back(Journal.from_text((self.folder / _BACK).read_bytes()))
        elif (self.folder / _FORWARD).is_file():
            try:
                self._go_forward(Journal.from_text((self.folder / _FORWARD).read_bytes()))
            except MetworkError as error:
                told.append(error)
        elif self.is_interrupted():
            self.abandon()
        return told

    def settle_database(self) -> None:
        """Bring rpm's database to say what the folders say."""
        database = Database(self.home)
        try:
            known = database.known()
        except MetworkError:
            # It says nothing that the folders and the archives do not say.
            database.discard()
            known = {}
        installed = markers(self.home)
        gone = [name for name in known if name not in installed]
        if gone:
            database.forget(gone)
        differing = [marker for name, marker in installed.items() if known.get(name) != marker.digest]
        new = [marker for marker in differing if (self.releases / marker.archive).is_file()]
        if new:
            database.register([self.releases / marker.archive for marker in new])
            _check_registered(database, {marker.name: marker.digest for marker in new})

    def _go_forward(self, journal: Journal) -> Result:
        from mfext.configuration.module_config import module_config
        from mfext.lifecycle import lifecycle

        settling: list[Future[None]] = []

        def change() -> None:
            self._place(journal.changes)
            # While the new processes start: nothing of them depends on it, and whatever ends this settles it anew.
            settling.append(pool.submit(self.settle_database))

        try:
            kept = [change.name for change in journal.changes if change.stamp]
            with ThreadPoolExecutor(1) as pool:
                result = lifecycle.apply(self.module, self.home, plugins=journal.names, change=change)
            raise_all([problem for problem in result.problems if kept and isinstance(problem, ServiceUnavailable)])
            for one in settling:
                one.result()
        except BaseException:
            # Also when a person interrupts it: what was there goes on.
            (self.folder / _FORWARD).rename(self.folder / _BACK)
            self._go_back(journal)
            raise
        config = module_config(self.module, self.home)
        for name in (change.name for change in journal.changes if not change.stamp):
            self.module.after_uninstall(self.home, config, name, journal.move_to, journal.quarantine)
        self._end(_FORWARD)
        return result

    def _go_back(self, journal: Journal) -> None:
        from mfext.lifecycle import lifecycle

        changes = tuple(reversed(journal.changes))
        try:
            lifecycle.apply(self.module, self.home, plugins=journal.names, change=lambda: self._put_back(changes))
        except MetworkError:
            # What was there may have been faulty already; that is no reason to leave the others as they are now.
            self._put_back(changes)
            lifecycle.apply(self.module, self.home)
        self.settle_database()
        self._end(_BACK)

    def _place(self, changes: Sequence[Change]) -> None:
        for change in changes:
            place, other = self._folders(change)
            if change.stamp and not _is(place, change.stamp):
                exchange(other, place) if place.exists() else other.rename(place)
            elif not change.stamp and place.exists():
                place.rename(other)
            self.placed(change.name)
        sync(self.home.plugins)

    def _put_back(self, changes: Sequence[Change]) -> None:
        for change in changes:
            place, other = self._folders(change)
            if not change.stamp and not place.exists():
                other.rename(place)
            elif change.stamp and _is(place, change.stamp):
                if other.exists():
                    exchange(other, place)
                elif not change.replaces:
                    place.rename(other)
        sync(self.home.plugins)
        # Before anything starts again: what was full may be so because of it.
        for change in changes:
            remove_tree(self.folder / change.name)
        self._prune()

    def _folders(self, change: Change) -> tuple[Path, Path]:
        """The place of a plugin, and that of its other version."""
        place, other = self.home.plugins / change.name, self.folder / change.name
        complete(place, other)
        return place, other

    def _end(self, name: str) -> None:
        # Should a power cut bring it back, what it says is found done.
        (self.folder / name).unlink()
        remove_tree(self.folder)
        self._prune()

    def _prune(self) -> None:
        """Remove the archives that no plugin needs any more."""
        needed = {name for marker in markers(self.home).values() for name in (marker.archive, marker.previous)}
        for path in self.releases.glob("*") if self.releases.is_dir() else []:
            if path.name not in needed:
                path.unlink(missing_ok=True)


def _check_registered(database: Database, wanted: Mapping[str, str]) -> None:
    """On a full disk rpm may end well and have written nothing."""
    known = database.known()
    missing = [name for name, digest in wanted.items() if known.get(name) != digest]
    if missing:
        raise MetworkError(
            f"rpm did not keep {', '.join(missing)}", where=str(database.folder), mend="Is the disk full?"
        )


def _is(place: Path, stamp: str) -> bool:
    marker = read_marker(place)
    return marker is not None and marker.stamp == stamp
