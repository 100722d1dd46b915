"""Transaction: hand a file and what was made of it to the next steps, durable, once per destination.

One destination and nothing else is one rename, which is the commit. Otherwise a transaction stands beside the
claimed file NAME: everything is prepared in ``NAME.tx``; renaming it to ``NAME.commit`` is the one instant that
counts; after it each entry is renamed to where it goes, and whoever finds a ``NAME.commit`` goes on with that.

Entries of a transaction, each a folder so that the name in it can be any:
``q.PLUGIN.STEP/WAITING_NAME``    a file for the queue of a step
``s.PLUGIN.STEP/WAITING_NAME``    an empty mark: the claimed file itself goes there, last
``p.N/file`` and ``p.N/path``     a file for the path that is written in ``path``; with ``p.N/other``, it gets another
                                  name when that is taken, made of the uid that is written there
``e/NAME``                        an empty mark: the claimed file NAME beside ends with this one, as a batch does
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mfdata.storage.group_commit import GroupSync
from mfdata.storage.names import USUAL_PRIORITY, claimed_path, committed_path, prepared_path, waiting_name
from mfdata.storage.placement import NUMBER, QUARANTINE, REPLACE, place
from mfdata.storage.places import Places, Target, target_of_folder
from mfdata.storage.tags import Tags, discard, has_attribute, is_own, own_copy, uid_of, write_tags
from mfext.fs.copy import copy, move
from mfext.fs.sync import make_synced_folder, sync_file, sync_folder


class Delivery(NamedTuple):
    """One file for one destination."""

    #: The claimed file itself, or an output inside of its transaction.
    source: str
    to: Target | Path
    tags: Tags
    #: May share the inode with the other destinations.
    hard_link: bool = False
    #: In the queue, if it goes to one.
    priority: int = USUAL_PRIORITY
    #: What becomes of it if the path is taken, see :mod:`mfdata.storage.placement`.
    if_exists: str = REPLACE


class OtherName(NamedTuple):
    """A file that got another name: the one it should have was taken in the meantime."""

    wanted: Path
    path: Path


class Transactions:
    """Hands over what one worker has claimed."""

    def __init__(self, places: Places, *, durable: bool = False) -> None:
        """*durable*: survive a power cut as well; every file is synced before it counts, and folders by groups."""
        self._places = places
        self._sidecars = os.fspath(places.sidecars)
        self._durable = durable
        self._group = GroupSync()
        self._queues: dict[Target, str] = {}

    def hand_over(self, claimed: str, deliveries: Sequence[Delivery], ends: Sequence[str] = ()) -> list[OtherName]:
        """Carry out all *deliveries*, then forget the file at *claimed*. All or nothing, whenever the process dies.

        *ends* are files claimed by the same worker which end with this one, in the same instant.

        Raises:
            OSError: nothing was delivered, *claimed* is where it was (full disk, no permission, a path that is
                taken and must not be); or it is gone, and what failed came after.
        """
        if not deliveries and not ends:
            discard(claimed, self._sidecars)
            return []
        if not ends and len(deliveries) == 1 and deliveries[0].source == claimed:
            return self._hand_over_itself(deliveries[0])
        return self._hand_over_all(claimed, deliveries, ends)

    def sync(self) -> None:
        """Bring to disk where files went by one rename each; whoever waits, or takes long, does so before.

        Raises:
            OSError: the disk fails; the next call tries again.
        """
        self._group.sync()

    def _hand_over_itself(self, delivery: Delivery) -> list[OtherName]:
        """One rename; a path on another file system cannot have that and is a move that may be done twice."""
        # What is put under a path leaves us: nobody would look for a sidecar, or remove it.
        name = "" if isinstance(delivery.to, Path) else _new_name(delivery)
        if not is_own(delivery.source):
            own_copy(delivery.source, sync=self._durable)
        in_attribute = write_tags(delivery.source, delivery.tags, self._sidecars, name, sync=self._durable)
        if (
            isinstance(delivery.to, Path)
            and delivery.if_exists != REPLACE
            and not _is_on_one_disk(delivery.source, delivery.to)
        ):
            return self._hand_over_all(delivery.source, [delivery._replace(hard_link=True)])
        if self._durable:
            sync_file(delivery.source)
        others: list[OtherName] = []
        if isinstance(delivery.to, Path):
            self._make_folder(delivery.to.parent)
            path = place(delivery.source, delivery.to, delivery.if_exists, uid=uid_of(delivery.tags))
            others = [OtherName(delivery.to, path)] if path != delivery.to else []
        else:
            self._rename_into(delivery.source, self._queue(delivery.to), name)
        if self._durable:
            reached = os.fspath(delivery.to.parent) if isinstance(delivery.to, Path) else self._queue(delivery.to)
            self._group.renamed(os.path.dirname(delivery.source), reached)
        if not in_attribute:
            self._group.sync()  # were the rename taken back, the file would need its old tags
            self._drop_sidecar(os.path.basename(delivery.source))
        return others

    def _queue(self, target: Target) -> str:
        found = self._queues.get(target)
        if found is None:
            found = self._queues[target] = os.fspath(self._places.queue(target))
        return found

    def _hand_over_all(self, claimed: str, deliveries: Sequence[Delivery], ends: Sequence[str] = ()) -> list[OtherName]:
        transaction = prepared_path(claimed)
        transaction.mkdir(exist_ok=True)
        if any(
            delivery.source == claimed and isinstance(delivery.to, Target) for delivery in deliveries
        ) and not is_own(claimed):
            own_copy(claimed, sync=self._durable)
        itself = next(
            (delivery for delivery in deliveries if delivery.source == claimed and isinstance(delivery.to, Target)),
            None,
        )
        # A file that others link may not be changed any more: copies come first, then links, which share its tags.
        others = sorted(
            (delivery for delivery in deliveries if delivery is not itself), key=lambda delivery: delivery.hard_link
        )
        for number, delivery in enumerate(others):
            last = all(later.source != delivery.source for later in others[number + 1 :])
            self._prepare(transaction, number, delivery, take=last and delivery.source != claimed)
        if itself:
            self._prepare_itself(transaction, itself)
        if ends:
            _mark_ends(transaction / "e", ends)
        if self._durable:
            if itself:
                sync_file(claimed)
            _sync_tree(transaction)
        _place_sure(transaction, others)
        committed = committed_path(claimed)
        transaction.rename(committed)
        if self._durable:
            sync_folder(committed.parent)
        return self.deliver(committed)

    def _prepare(self, transaction: Path, number: int, delivery: Delivery, *, take: bool) -> None:
        """Put what *delivery* delivers into the transaction; *take* the source itself when nobody else needs it."""
        if isinstance(delivery.to, Path):
            folder, name = transaction / f"p.{number}", "file"
            folder.mkdir()
            (folder / "path").write_bytes(os.fsencode(delivery.to))
            if delivery.if_exists == NUMBER:
                (folder / "other").write_text(uid_of(delivery.tags), encoding="ascii")
        else:
            folder, name = transaction / f"q.{delivery.to.folder}", _new_name(delivery)
            folder.mkdir(exist_ok=True)
        entry = folder / name
        if take:
            os.rename(delivery.source, entry)
        elif delivery.hard_link:
            if not isinstance(delivery.to, Path):
                self._tag(delivery.source, delivery.tags, name)
            os.link(delivery.source, entry)
        else:
            copy(delivery.source, entry)
        if not isinstance(delivery.to, Path):
            self._tag(entry, delivery.tags, name)

    def _prepare_itself(self, transaction: Path, delivery: Delivery) -> None:
        """Mark that the claimed file itself goes to *delivery*, which saves one copy."""
        assert isinstance(delivery.to, Target)
        name = _new_name(delivery)
        self._tag(delivery.source, delivery.tags, name)
        folder = transaction / f"s.{delivery.to.folder}"
        folder.mkdir()
        (folder / name).touch()

    def deliver(self, committed: Path) -> list[OtherName]:
        """Finish the committed transaction at *committed*; what got another name. May be done any number of times."""
        claimed = claimed_path(committed)
        others: list[OtherName] = []
        folders = sorted(committed.iterdir())
        for folder in folders:
            if folder.name.startswith("p."):
                self._deliver_path(folder, others)
            elif folder.name.startswith("q."):
                self._deliver_queue(folder)
            elif folder.name == "e":
                for name in os.listdir(folder):
                    discard(committed.with_name(name), self._sidecars)
        mark = next((folder for folder in folders if folder.name.startswith("s.")), None)
        if mark is None:
            discard(claimed, self._sidecars)
        else:
            self._deliver_itself(mark, claimed)
        remove_transaction(committed)
        return others

    def _deliver_path(self, folder: Path, others: list[OtherName]) -> None:
        entry = folder / "file"
        if not entry.exists():
            return  # it is there already
        target = Path(os.fsdecode((folder / "path").read_bytes()))
        self._make_folder(target.parent)
        try:
            uid, if_exists = (folder / "other").read_text(encoding="ascii"), NUMBER
        except FileNotFoundError:
            uid, if_exists = "", REPLACE
        path = place(entry, target, if_exists, uid=uid, mark=folder / "copied")
        if self._durable:
            sync_folder(target.parent)
        if path != target:
            others.append(OtherName(target, path))

    def _deliver_queue(self, folder: Path) -> None:
        target = target_of_folder(folder.name[2:])
        queue = self._queue(target)
        for entry in sorted(folder.iterdir()):
            self._rename_into(entry, queue, entry.name)
        if self._durable:
            sync_folder(queue)

    def _deliver_itself(self, mark: Path, claimed: Path) -> None:
        target = target_of_folder(mark.name[2:])
        for name in os.listdir(mark):
            with suppress(FileNotFoundError):  # it is there already
                self._rename_into(claimed, self._queue(target), name)
        if self._durable:
            sync_folder(self._queue(target))
        self._drop_sidecar(claimed.name)

    def _tag(self, path: str | Path, tags: Tags, name: str) -> None:
        """Store *tags* with a file that will be called *name*; files that share an inode share what is stored in it."""
        if is_own(path) or not has_attribute(path):
            write_tags(path, tags, self._sidecars, name, sync=self._durable)

    def _rename_into(self, source: str | Path, folder: str, name: str) -> None:
        target = f"{folder}/{name}"
        try:
            os.rename(source, target)
        except FileNotFoundError:
            self._make_folder(Path(folder))
            os.makedirs(folder, exist_ok=True)
            os.rename(source, target)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder that a power cut leaves; without that need, it is made by whoever misses it."""
        if self._durable:
            make_synced_folder(folder)

    def _drop_sidecar(self, name: str) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(f"{self._sidecars}/{name}")


def remove_transaction(transaction: Path) -> None:
    """Remove a transaction and all that is still in it."""
    if transaction.is_dir():
        shutil.rmtree(transaction)


def _is_on_one_disk(source: str, target: Path) -> bool:
    folder = target.parent
    while not folder.exists():
        folder = folder.parent
    return os.stat(source).st_dev == folder.stat().st_dev


def _place_sure(transaction: Path, deliveries: Sequence[Delivery]) -> None:
    """Place, before it counts, what may neither replace a file nor get another name; all of it, or nothing.

    Raises:
        FileExistsError: one of the paths is taken.
    """
    placed: list[tuple[Path, Path]] = []
    try:
        for number, delivery in enumerate(deliveries):
            if isinstance(delivery.to, Path) and delivery.if_exists == QUARANTINE:
                entry = transaction / f"p.{number}" / "file"
                place(entry, delivery.to, QUARANTINE)
                placed.append((delivery.to, entry))
    except OSError:
        for path, entry in placed:
            with suppress(OSError):
                move(path, entry)
        raise


def _mark_ends(folder: Path, ends: Sequence[str]) -> None:
    folder.mkdir()
    for path in ends:
        (folder / os.path.basename(path)).touch()


def _new_name(delivery: Delivery) -> str:
    return waiting_name(delivery.tags.get("latest.core.original_basename", b""), delivery.priority)


def _sync_tree(folder: Path) -> None:
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync_file(Path(parent, name))
        sync_folder(parent)
