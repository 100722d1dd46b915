"""Dedup: the first of several equal files goes on, the repeats end with a line that names the first."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mfdata import Done, File, Retry, Step
from mfdata.steps.wmo_heading import HEAD, Heading, bare, heading_of
from mfdata.storage.tags import REPLAY_OF, accepted_at
from mfext.errors import ConfigError
from mfext.fs.lock import exclusive
from mfext.option import option
from mfext.section import Section

#: Seconds to wait for another process of the step that opens what was seen.
_OPEN_S = 60.0
_CHUNK = 1 << 20
#: The day in a heading is one of the month: it comes again.
_MONTH_S = 27 * 86400
#: With the uid, which does not change while a file is tried again: its own mark does not make it a repeat.
_TABLE = """
    CREATE TABLE IF NOT EXISTS seen (
        key BLOB PRIMARY KEY, uid TEXT NOT NULL, accepted REAL NOT NULL, noted REAL NOT NULL
    ) WITHOUT ROWID
"""
_FORGET = """
    DELETE FROM seen WHERE key IN (SELECT key FROM seen WHERE noted < :oldest AND accepted < :oldest LIMIT :rows)
"""
_FORGET_EVERY_S = 60.0
#: Rows forgotten at once, so that no other process waits for long.
_FORGET_ROWS = 10_000


@dataclass(frozen=True)
class DedupKeys(Section):
    """Which files are equal, and where the first one goes."""

    by: str = option(
        "content",
        choices=("content", "name", "tag", "heading"),
        help="What makes two files equal. content = every byte; of a WMO bulletin all but what circuits add round it. "
        "name = the name that the file came in with. tag = the value of a tag. heading = the abbreviated heading of a "
        "WMO bulletin, TTAAii CCCC YYGGgg BBB; other files are compared by content. Bulletins with another BBB are "
        "never equal: a correction is not a repeat.",
    )
    tag: str = option("", help="With by = tag: its name. A file that does not have it goes on.")
    window: float = option(
        3600.0, unit="s", minimum=1, help="A file is a repeat when it was accepted within this time of the first one."
    )
    destination: str = option(
        "switch/main",
        pattern=r"([^/\s]+/)?[^/\s]+",
        form="PLUGIN/STEP",
        help="The step that gets the first ones, as PLUGIN/STEP.",
    )

    def __post_init__(self) -> None:
        if (self.by == "tag") != bool(self.tag):
            raise ConfigError("by = tag and tag go together", where="[custom] tag", expected="the name of a tag")
        if self.by == "heading" and self.window > _MONTH_S:
            raise ConfigError(
                f"{self.window:g} s is too long: a heading comes again after a month",
                where="[custom] window",
                expected=f"{_MONTH_S} seconds at most with by = heading",
            )


class Dedup(Step):
    """What was seen is in a file that all processes of the step share, and that outlives them."""

    Custom = DedupKeys
    custom: DedupKeys

    def open(self) -> None:
        """Open what was seen; what cannot be read is put aside: a repeat that goes on is better than none that does."""
        folder = self.home.var / "dedup"
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{self.plugin}.{self.name}.sqlite"
        # Two that make it at once would be told that it is locked, however long they are ready to wait.
        with exclusive(Path(f"{self._path}.lock"), str(self._path), "open", timeout=_OPEN_S):
            try:
                self._seen = _opened(self._path)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                self.log.error("what was seen cannot be read: it is put aside", file=str(self._path), reason=str(error))
                for end in ("", "-wal", "-shm"):
                    with suppress(FileNotFoundError):
                        os.rename(f"{self._path}{end}", f"{self._path}.broken{end}")
                self._seen = _opened(self._path)
        self._forget_at = 0.0

    def close(self) -> None:
        self._seen.close()

    def process(self, file: File) -> Done | Retry:
        first = ""
        # Who replays a file wants it once more.
        key = b"" if REPLAY_OF in file.tags else key_of(file, self.custom)
        if key:
            try:
                first = self._first(key, file)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path)) from error
                return Retry(f"{self._path}: {error}", counts=False)
        if not first:
            return Done(to=self.custom.destination)
        return Done(dropped_by=f"{self.plugin}/{self.name}: same {self.custom.by} as {first}")

    def idle(self) -> None:
        self._forget(time.time())

    def _first(self, key: bytes, file: File) -> str:
        """The uid of the file that *file* repeats; '' when it is the first, which is then noted."""
        now, window = time.time(), self.custom.window
        accepted = accepted_at(file.tags, now)
        self._seen.execute("BEGIN IMMEDIATE")
        with self._seen:
            found = self._seen.execute("SELECT uid, accepted FROM seen WHERE key = ?", (key,)).fetchone()
            if found and found[0] != file.uid and abs(accepted - found[1]) <= window:
                return str(found[0])
            if not found or found[0] != file.uid:
                row = (key, file.uid, accepted, now)
                self._seen.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", row)
        self._forget(now)
        return ""

    def _forget(self, now: float) -> None:
        """Forget what no file can be a repeat of any more."""
        if time.monotonic() < self._forget_at:
            return
        done = self._seen.execute(_FORGET, {"oldest": now - self.custom.window, "rows": _FORGET_ROWS})
        if done.rowcount < _FORGET_ROWS:
            self._forget_at = time.monotonic() + _FORGET_EVERY_S


def key_of(file: File, keys: DedupKeys) -> bytes:
    """What two equal files have in common, as 32 bytes; b'' = the file is equal to none."""
    with file.path.open("rb") as stream:
        heading = heading_of(stream.read(HEAD))
    bbb = heading.bbb.encode() if heading else b""
    match keys.by:
        case "name":
            return _digest(b"name", file.tags.get("first.core.original_basename", b""), bbb)
        case "tag":
            value = file.tags.get(keys.tag)
            return _digest(b"tag", keys.tag.encode(), value, bbb) if value is not None else b""
        case "heading" if heading:
            return _digest(b"heading", str(heading).encode())
    return _content(file.path, heading)


def _digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(b"%d:%s" % (len(part), part) for part in parts)).digest()


def _content(path: Path, heading: Heading | None) -> bytes:
    with path.open("rb") as stream:
        if heading and os.fstat(stream.fileno()).st_size <= _CHUNK:
            return _digest(b"bulletin", bare(stream.read(), heading))
        if heading:
            stream.seek(heading.start)
        return hashlib.file_digest(stream, "sha256").digest()


def _opened(path: Path) -> sqlite3.Connection:
    seen = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        # A power cut may forget the last marks, which lets a repeat go on; the death of a process forgets none.
        seen.execute("PRAGMA journal_mode = WAL")
        seen.execute("PRAGMA synchronous = NORMAL")
        # Keys come in no order: a larger cache would hold little that is asked for again, and the kernel has it all.
        seen.execute("PRAGMA cache_size = -512")
        seen.execute(_TABLE)
        seen.execute("CREATE INDEX IF NOT EXISTS noted ON seen (noted)")
    except BaseException:
        seen.close()
        raise
    return seen


if __name__ == "__main__":
    Dedup.main()
