"""Reading files of lines that are rotated while they are read: ``NAME``, before it ``NAME.1``, ``NAME.2``, ..."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

#: Bytes that are read at once.
_BLOCK = 65_536


def pieces(path: Path) -> list[Path]:
    """The pieces of *path* that there are, the newest first."""
    numbered = []
    with suppress(FileNotFoundError):
        for name in os.listdir(path.parent):  # quick, and asked often
            number = name.removeprefix(f"{path.name}.")
            if name != number and number.isdecimal():
                numbered.append((int(number), path.parent / name))
    return [*([path] if path.exists() else []), *(piece for _, piece in sorted(numbered))]


def lines_backwards(file: BinaryIO, end: int) -> Iterator[bytes]:
    """The lines of *file* before the byte *end*, the last one first, without their newlines."""
    rest = b""
    while end:
        begin = max(0, end - _BLOCK)
        file.seek(begin)
        first, *others = (file.read(end - begin) + rest).split(b"\n")
        yield from reversed([line for line in others if line])
        rest, end = first, begin
    if rest:
        yield rest


class FollowedFile:
    """The lines of a file, those that were there and those that come, whoever rotates or empties it meanwhile.

    What stands in it when this is made was there; every later whole line comes exactly once.
    """

    def __init__(self, path: Path, *, from_begin: bool = False) -> None:
        """*from_begin*: every line comes, as none was there."""
        self.path = path
        #: Pieces that somebody may still write to, the oldest first: who writes looks only before each line whether
        #: the file was rotated.
        self._open: list[BinaryIO] = []
        #: Of each piece that was there, the newest first: what it is, and where its lines end.
        self._were: list[tuple[os.stat_result, int]] = []
        for file in _opened([] if from_begin else pieces(path)):
            if self._open:
                with file:
                    state = os.fstat(file.fileno())
                    self._were.append((state, state.st_size))
            else:
                self._open.append(file)
                self._were.append((os.fstat(file.fileno()), _to_last_line(file)))

    def __enter__(self) -> FollowedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def before(self, *, newest_first: bool) -> Iterator[tuple[BinaryIO, int]]:
        """The pieces with lines that were there, each open until the next is asked for, with the byte of its end."""
        for state, end in self._were if newest_first else reversed(self._were):
            # It may be called otherwise by now, or be gone.
            for file in _opened(pieces(self.path)):
                with file:
                    if os.path.samestat(os.fstat(file.fileno()), state):
                        yield file, end
                        break

    def new_lines(self) -> Iterator[bytes]:
        """The whole lines that came since this was asked last, the oldest first, without their newlines."""
        self._open += reversed(self._newer())
        for file in self._open:
            if os.fstat(file.fileno()).st_size < file.tell():
                file.seek(0)  # it was emptied
            yield from _whole_lines(file)
        for file in self._open[:-2]:
            file.close()
        del self._open[:-2]

    def close(self) -> None:
        """Close what is open."""
        for file in self._open:
            file.close()
        self._open.clear()

    def _newer(self) -> list[BinaryIO]:
        """The pieces that came after the newest one that is open, the newest first."""
        found: list[BinaryIO] = []
        known = [os.fstat(file.fileno()) for file in self._open]
        for file in _opened(pieces(self.path)):
            state = os.fstat(file.fileno())
            if any(os.path.samestat(state, one) for one in known):
                file.close()
                break
            if any(os.path.samestat(state, os.fstat(one.fileno())) for one in found):
                file.close()  # it was rotated during this look
            else:
                found.append(file)
        return found


def _opened(paths: Iterable[Path]) -> Iterator[BinaryIO]:
    for path in paths:
        with suppress(FileNotFoundError):
            yield path.open("rb")


def _to_last_line(file: BinaryIO) -> int:
    """Put *file* behind its last whole line, and give that place: what is unfinished comes when it is whole."""
    end = file.seek(0, os.SEEK_END)
    while end:
        begin = max(0, end - _BLOCK)
        file.seek(begin)
        newline = file.read(end - begin).rfind(b"\n")
        if newline >= 0:
            return file.seek(begin + newline + 1)
        end = begin
    return file.seek(0)


def lines_forwards(file: BinaryIO, end: int) -> Iterator[bytes]:
    """The lines of *file* before the byte *end*, without their newlines."""
    while end > 0 and (line := file.readline(end)):
        end -= len(line)
        if line != b"\n":
            yield line.removesuffix(b"\n")


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline():
        if not line.endswith(b"\n"):
            file.seek(-len(line), os.SEEK_CUR)
            return
        if line != b"\n":
            yield line[:-1]
