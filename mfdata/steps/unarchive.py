"""Unarchive: tar and zip files become the files that are in them, bounded against bombs."""

from __future__ import annotations

import os
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar, cast

from mfdata import Done, Failed, File, Step
from mfdata.steps.ziplist import check_list
from mfdata.storage.file_names import fitted
from mfext.option import option
from mfext.section import Section

CHUNK = 256 * 1024
#: Below this size no ratio is suspicious.
ALWAYS_ALLOWED = 16 * 1024 * 1024
#: What a reader of archives may take into memory at once: tables and headers that are larger are made to do harm.
_LARGEST_READ = 4 * 1024 * 1024

_ENCRYPTED = 0x1
#: Others are not read in bounded memory.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DOS_FOLDER = 0x10
#: File types of Unix, as a zip file lists them where its maker knew them.
_UNIX_PIPE, _UNIX_FILE = 0o1, 0o10
#: What GNU tar notes of an archive, which is none of the files in it: its label (-V), and names of a folder (-g).
_NOTES = (b"V", b"D")
#: The rest of a file that began in another volume (-M).
_CONTINUED = b"M"
#: The beginning of one record of a pax header: the length of all of it, and its name.
_RECORD = re.compile(rb"([0-9]{1,20}) [^=]+=")


@dataclass(frozen=True)
class UnarchiveKeys(Section):
    """What becomes of the content, and what is too much."""

    destination: str = option("switch/main", help="The step that gets the files of the archive, as PLUGIN/STEP.")
    max_files: int = option(1000, minimum=1, help="An archive of more files fails: it may be a bomb.")
    max_size: int = option(
        10_000_000_000,
        unit="bytes",
        minimum=1,
        help="An archive whose files would be larger together fails: it may be a bomb.",
    )
    max_ratio: int = option(
        500,
        minimum=1,
        help="An archive whose files together are larger by more than this factor, and beyond 16 MiB, fails: it may be "
        "a bomb.",
    )
    links: str = option(
        "fail",
        choices=("fail", "skip"),
        help="What becomes of an archive that holds links or devices: it fails, or they are left out.",
    )


class Unreadable(Exception):
    """The archive is not what it says, or too much."""


class NoSuchPlace(Unreadable, OSError):
    """It points to where nothing can be; Python's readers try that themselves, and expect an OSError then."""


@dataclass(frozen=True)
class Member:
    """A regular file in an archive."""

    #: Its path there.
    name: str
    content: BinaryIO


class Unarchive(Step):
    """Makes many files out of one, each under its own name without folders; the kinds below say how."""

    Custom = UnarchiveKeys
    custom: UnarchiveKeys

    #: What Python's readers say of an archive that is damaged, or made to do harm.
    faults: ClassVar[tuple[type[Exception], ...]] = (
        Unreadable,
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        LookupError,
        NotImplementedError,
        OverflowError,
        RuntimeError,
        ValueError,
    )

    def process(self, file: File) -> Done | Failed:
        made: list[Path] = []
        try:
            with open(file.path, "rb") as source:
                bounded = _BoundedReads(source)
                left = self._allowed(file.size)
                for member in self.members(cast(BinaryIO, bounded)):
                    if len(made) == self.custom.max_files:
                        raise Unreadable(f"it holds more than max_files, {self.custom.max_files} files")
                    out = self.output(_plain_name(member.name))
                    made.append(out)
                    left = self._write(member, out, left)
        except self.faults as error:
            return Failed(str(error) or type(error).__name__, permanent=True)
        # Without outputs, the archive itself would go on.
        return Done(*made, to=self.custom.destination) if made else Done()

    def members(self, source: BinaryIO) -> Iterator[Member]:
        """The regular files in *source*."""
        raise TypeError(f"{type(self).__name__} has no method members(self, source)")

    def skip(self, name: str) -> None:
        """Leave out what is neither file nor folder, or refuse the archive."""
        if self.custom.links == "fail":
            raise Unreadable(f"{name!r} in it is a link or a device")

    def _allowed(self, size: int) -> int:
        """Bytes that all files may have together."""
        return min(self.custom.max_size, max(ALWAYS_ALLOWED, size * self.custom.max_ratio))

    def _write(self, member: Member, out: Path, left: int) -> int:
        with member.content, open(out, "wb", buffering=0) as target:
            while chunk := member.content.read(CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise Unreadable("its files are larger together than max_size or max_ratio allow: it may be a bomb")
                target.write(chunk)
        return left


class Untar(Unarchive):
    """tar, not compressed: a compressed one is uncompressed by another step before."""

    def members(self, source: BinaryIO) -> Iterator[Member]:
        with tarfile.open(fileobj=source, mode="r:", tarinfo=_WholeInfo) as archive:
            while (info := archive.next()) is not None:
                # It remembers all that it has met.
                archive.members = []  # type: ignore[attr-defined]
                if info.type == _CONTINUED or "GNU.volume.offset" in info.pax_headers:
                    raise Unreadable(f"{info.name!r} in it began in another volume: it is a part of an archive")
                if info.isreg():
                    content = archive.extractfile(info)
                    assert content is not None  # it is a regular file
                    yield Member(info.name, cast(BinaryIO, content))
                elif not info.isdir() and info.type not in _NOTES:
                    self.skip(info.name)
            _check_end(source, archive.offset)


class _WholeInfo(tarfile.TarInfo):
    """What a tar file says of a member, where all of it can be read.

    Python's own reader of extended headers ends at the first record that it cannot read, and goes on with another name
    or size of the file.
    """

    def _proc_pax(self, tarfile: tarfile.TarFile) -> tarfile.TarInfo:
        source = tarfile.fileobj
        assert source is not None
        begins = source.tell()
        _check_records(source.read(self.size), begins)
        source.seek(begins)
        return super()._proc_pax(tarfile)  # type: ignore[misc, no-any-return]


def _check_records(records: bytes, begins: int) -> None:
    """Make sure that pax *records*, which stand at the byte *begins*, are what they say (POSIX, pax)."""
    at = 0
    while at < len(records) and records[at:].strip(b"\0"):
        match = _RECORD.match(records, at)
        ends = at + int(match[1]) if match else 0
        if not match or ends <= match.end() - 1 or records[ends - 1 : ends] != b"\n":
            raise Unreadable(f"the extended header at byte {begins} is damaged")
        at = ends


def _check_end(source: BinaryIO, offset: int) -> None:
    """Make sure that the end mark of a tar file stands at *offset*, and nothing behind it.

    Python's reader ends at what it cannot read as well: then files behind it would be lost.
    """
    source.seek(offset)
    found = source.read(CHUNK)
    if len(found) < tarfile.BLOCKSIZE:
        raise Unreadable("it is cut off: it has no end mark")
    if found[: tarfile.BLOCKSIZE].strip(b"\0"):
        raise Unreadable(f"the header at byte {offset} is damaged")
    while found:
        if found.strip(b"\0"):
            raise Unreadable("something stands behind its end, or a header in it is damaged")
        found = source.read(CHUNK)


class Unzip(Unarchive):
    """zip, of members that are stored or deflated, without passwords."""

    def members(self, source: BinaryIO) -> Iterator[Member]:
        with zipfile.ZipFile(source) as archive:
            check_list(archive, source)
            for info in archive.infolist():
                if _is_folder(info):
                    continue
                # What zip read from its standard input, it lists as the pipe that this was.
                if (info.external_attr >> 28) not in (0, _UNIX_PIPE, _UNIX_FILE):
                    self.skip(info.filename)
                    continue
                if info.flag_bits & _ENCRYPTED:
                    raise Unreadable(f"{info.filename!r} in it is encrypted")
                if info.compress_type not in _METHODS:
                    raise Unreadable(f"{info.filename!r} in it is compressed by a method that is not read")
                yield Member(info.filename, cast(BinaryIO, archive.open(info)))


def _is_folder(info: zipfile.ZipInfo) -> bool:
    """Whether *info* is of a folder: old .NET ends its name with a backslash, others tell by its attributes alone."""
    if info.file_size:
        if info.is_dir():
            raise Unreadable(f"{info.filename!r} in it is a folder with content")
        return False
    if info.is_dir() or info.filename.endswith("\\"):
        return True
    return bool(info.external_attr & _DOS_FOLDER) and info.external_attr >> 28 != _UNIX_FILE


class _BoundedReads:
    """A file of which nobody can take too much into memory at once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell, self.seekable = file.tell, file.seekable

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            raise NoSuchPlace(f"it points to where nothing can be: {error.strerror}") from None

    def read(self, size: int = -1) -> bytes:
        if size > _LARGEST_READ:
            raise Unreadable("a header or table in it is too large")
        data = self._file.read(_LARGEST_READ + 1 if size < 0 else size)
        if len(data) > _LARGEST_READ:
            raise Unreadable("a header or table in it is too large")
        return data


def _plain_name(name: str) -> str:
    """The last part of a path in an archive."""
    plain = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    if plain in ("", ".", "..") or "\0" in plain:
        raise Unreadable(f"{name!r} in it is not the name of a file")
    return fitted(plain)


if __name__ == "__main__":
    Untar.main()
