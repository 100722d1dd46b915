"""Inventory: every accepted file, and every file made of one, is somewhere or has ended: counted, and checked.

    accepted + injected + added = ended + dropped + waiting + claimed + delayed + quarantined

*added* counts what fan-outs and outputs add. Traces say what must be there, folders say what is. A trace line is
written before its act, so that the count is exact when nothing is in hand; in full flow it may be out by that much.
"""

from __future__ import annotations

import gc
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from mfdata.config import Incoming
from mfdata.intake.directories import external_directories
from mfdata.operations.backlog import files_on_disk, stored_tags
from mfdata.storage.folder_listing import names_in
from mfdata.storage.places import Places
from mfdata.storage.tags import uid_of
from mfdata.storage.trace import Event, events
from mfext.environment import Home

#: States of files on disk.
STATES = ("waiting", "claimed", "delayed", "quarantined")
#: So many of the last acts are remembered, in case that a later line takes them back.
_REMEMBERED = 200_000

#: Uid and step.
_Key = tuple[str, str]
_NO_KEY = ("", "")


def inventory(home: Home, incoming: Incoming | None = None) -> dict[str, Any]:
    """What the traces and the folders of *home* say, and whether they agree.

    Args:
        home: of mfdata.
        incoming: where files come in; by default as without configuration.
    """
    places = Places(home)
    ledger = Ledger()
    with _no_collection():
        for event in events(home):
            ledger.enter(event)
    found: dict[str, Counter[str]] = {state: Counter() for state in STATES}
    uids: Counter[str] = Counter()
    for state, target, path in files_on_disk(places):
        with suppress(FileNotFoundError):
            uids[uid_of(stored_tags(places, path)) or str(path)] += 1
            found[state][str(target)] += 1
    missing, surplus = difference(ledger.pieces, uids)
    return {
        "incoming": sum(_incoming(places, incoming or Incoming())),
        "transfers": sum(1 for name in names_in(places.intake) if name.endswith(".intent")),
        **{name: ledger.totals[name] for name in ("accepted", "injected", "added", "ended", "dropped")},
        **{state: dict(sorted(found[state].items())) for state in STATES},
        "on_disk": sum(uids.values()),
        "missing": missing,
        "surplus": surplus,
        "balanced": not missing and not surplus,
    }


@contextmanager
def _no_collection() -> Iterator[None]:
    """Millions of events make no cycles: to look for some takes as long as all the rest."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def difference(expected: Mapping[str, int], found: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """Uids of which there is less than *expected*, and of which there is more (pure)."""
    uids = {*expected, *found}
    missing = sorted(uid for uid in uids if found.get(uid, 0) < expected.get(uid, 0))
    surplus = sorted(uid for uid in uids if found.get(uid, 0) > expected.get(uid, 0))
    return missing, surplus


@dataclass(slots=True)
class _Act:
    """What one line, or the lines written at once with it, changed: to be taken back if it did not happen."""

    totals: dict[str, int]
    pieces: dict[str, int]


class Ledger:
    """What must be on disk after the events entered so far (pure)."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        #: How many files there are of each uid; those of which there are none are left out.
        self.pieces: dict[str, int] = {}
        self._arrived: OrderedDict[str, _Act] = OrderedDict()
        #: Last acts by uid and step, and which of them brought a file to where it is.
        self._acts: OrderedDict[_Key, _Act] = OrderedDict()
        self._brought: OrderedDict[_Key, _Key] = OrderedDict()

    def enter(self, event: Event) -> None:
        """Take *event* into account; events come in the order of time."""
        kind, uid = str(event.get("event")), str(event.get("uid", ""))
        key = uid, f"{event.get('plugin')}/{event.get('step')}"
        if event.get("file") and kind in ("dropped", "expired", "replayed"):
            # Out of quarantine. Whoever says it again died before the first time was true.
            key = uid, str(event["file"])
            self._take_back(self._acts.pop(key, None))
        if kind == "recovered" or (kind == "quarantined" and "crashes" in event):
            # Its worker died after it had said what it was about to do.
            self._take_back(self._acts.pop(key, None))
            return
        # Whoever has the file proves that it was brought there.
        self._acts.pop(self._brought.pop(key, key if kind == "delivered" else _NO_KEY), None)
        if kind in ("accepted", "injected"):
            # A line that is written again stands for the same file.
            if uid not in self._arrived:
                self._remember(self._arrived, uid, _Act({kind: 1}, {uid: 1}))
        elif kind == "ignored":
            self._take_back(self._arrived.pop(uid, None))
        elif kind in ("done", "dropped", "failed", "expired"):
            self._remember(self._acts, key, _end(kind, uid, event))
            for step in _steps(event):
                _put(self._brought, (uid, step), key)
        elif kind == "made":
            self._add(self._acts.get((str(event.get("parent", "")), key[1])), _made(uid, event))

    def _remember(self, acts: OrderedDict[Any, _Act], key: Any, act: _Act) -> None:
        _put(acts, key, act)
        self._change(act, 1)

    def _add(self, act: _Act | None, more: _Act) -> None:
        self._change(more, 1)
        if act:
            for name, count in more.totals.items():
                act.totals[name] = act.totals.get(name, 0) + count
            for uid, count in more.pieces.items():
                act.pieces[uid] = act.pieces.get(uid, 0) + count

    def _take_back(self, act: _Act | None) -> None:
        if act:
            self._change(act, -1)

    def _change(self, act: _Act, sign: int) -> None:
        for name, count in act.totals.items():
            self.totals[name] += sign * count
        for uid, count in act.pieces.items():
            pieces = self.pieces.pop(uid, 0) + sign * count
            if pieces:
                self.pieces[uid] = pieces


def _put(bounded: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    bounded.pop(key, None)
    bounded[key] = value
    if len(bounded) > _REMEMBERED:
        bounded.popitem(last=False)


def _end(kind: str, uid: str, event: Event) -> _Act:
    """A step is through with a file: it goes on to other steps, or ends."""
    steps = _steps(event)
    if not steps:
        ended = "ended" if kind == "done" else "dropped"
        return _Act({ended: 1}, {uid: -1})
    return _Act({"added": len(steps) - 1}, {uid: len(steps) - 1})


def _made(uid: str, event: Event) -> _Act:
    steps = _steps(event)
    return _Act({"added": len(steps)}, {uid: len(steps)})


def _steps(event: Event) -> set[str]:
    """The steps among the destinations of *event*; the others are paths."""
    to = event.get("to")
    destinations: Iterable[Any] = to if isinstance(to, list) else ()
    return {str(one).rstrip("*") for one in destinations if not str(one).startswith("/")}


def _incoming(places: Places, incoming: Incoming) -> Iterator[int]:
    for directory in external_directories(places, incoming):
        yield sum(1 for _ in names_in(directory.path))
