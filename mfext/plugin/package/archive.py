"""The archive of a plugin: what its header says, what speaks against it, and its files, checked as they are written."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mfext.errors import MetworkError, PluginError, raise_all
from mfext.plugin.package import cpio, rpm
from mfext.plugin.package import rpm_header as tags
from mfext.plugin.package.admission import DIGESTS, algorithm_of, header_faults, module_of, raw_files
from mfext.plugin.package.rpm_header import Header, read_header
from mfext.plugin.package.rpm_version import Capability

#: Bytes in which most file systems give room; and those that are read to find the header.
_BLOCK = 4096
_HEADER_BYTES = 64_000_000


@dataclass(frozen=True)
class ArchiveFile:
    """A file, folder or link in an archive."""

    #: Below the plugin's folder; that itself is '.'.
    path: PurePosixPath
    mode: int
    size: int
    digest: str
    #: What a link leads to.
    target: str

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)

    @property
    def payload_size(self) -> int:
        """Bytes that the payload has of it."""
        if self.is_folder:
            return 0
        return len(os.fsencode(self.target)) if self.is_link else self.size


@dataclass(frozen=True)
class Archive:
    """A .plugin file whose header is in order."""

    path: Path
    name: str
    version: str
    release: str
    #: Lower-case name of the module that it is for.
    module: str
    header: Header
    requires: tuple[Capability, ...]
    #: By the path that it has in the payload.
    files: dict[str, ArchiveFile]
    #: Name of the digest of the files.
    algorithm: str

    @property
    def full_version(self) -> str:
        """``VERSION-RELEASE``."""
        return f"{self.version}-{self.release}"

    @property
    def size(self) -> int:
        """Bytes that its files need."""
        return sum(file.size for file in self.files.values())

    @property
    def room(self) -> int:
        """Bytes that they take on a disk."""
        return sum(-(-file.size // _BLOCK) * _BLOCK for file in self.files.values()) + _BLOCK

    @property
    def is_signed(self) -> bool:
        """Whether there is a signature in it, by whomever."""
        return bool(tags.SIGNATURES & self.header.signature.keys())


def is_archive(which: str) -> bool:
    """Whether *which* is the path of a file, as an archive is, and not of a folder or the name of a plugin."""
    return Path(which).is_file()


def read_archive(path: Path) -> Archive:
    """The archive *path*; its header alone is read.

    Raises:
        PluginError: it cannot be read, or it is not such as plugins.release makes; all that is wrong at once.
    """
    try:
        with path.open("rb") as file:
            header = read_header(file.read(_HEADER_BYTES))
        faults = header_faults(header)
    except OSError as error:
        raise PluginError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except PluginError as error:
        raise PluginError(error.found, where=str(path), expected=error.expected) from None
    raise_all([PluginError(fault, where=str(path)) for fault in faults])
    name, module = header.text(tags.NAME), module_of(header)
    return Archive(
        path=path,
        name=name,
        version=header.text(tags.VERSION),
        release=header.text(tags.RELEASE),
        module=module,
        header=header,
        requires=tuple(_capabilities(header)),
        files=dict(_files(header, name)),
        algorithm=DIGESTS[algorithm_of(header)],
    )


def check_payload(archive: Archive) -> None:
    """Make sure that the file is whole, as its digests say; signatures are for ``signature.py``.

    Raises:
        PluginError: it is damaged.
    """
    # Without a path, rpm asks a shell where the user's database is.
    settings = ("--define", "_dbpath %{getenv:HOME}/rpm", "--define", "_pkgverify_level digest")
    done = rpm.run(["rpmkeys", *settings, "--checksig", "--nosignature", archive.path.absolute()])
    if done.returncode:
        raise PluginError("it is damaged: its digests do not match", where=str(archive.path), mend="Copy it once more.")


def extract(archive: Archive, target: Path) -> None:
    """Write the files of *archive* to the new folder *target*; what its header does not announce is never written.

    Raises:
        PluginError: the payload is not what the header says.
        OSError: the files cannot be written.
    """
    target.mkdir(parents=True)
    left = dict(archive.files)
    try:
        with rpm.payload(archive.path.absolute()) as stream:
            for entry in cpio.entries(stream):
                file = left.pop(_normal(entry.name), None)
                if file is None or (entry.mode, entry.size) != (file.mode, file.payload_size):
                    raise PluginError(f"its payload holds what its header does not announce: {entry.name}")
                _write(file, entry, target, archive.algorithm)
    except PluginError as error:
        raise PluginError(error.found, where=str(archive.path), expected=error.expected) from None
    if left:
        raise PluginError(f"its payload lacks {next(iter(left))}", where=str(archive.path))


def _normal(name: str) -> str:
    """The path in the payload as the header has it."""
    return name.removeprefix(".") if name.startswith("./") else name


def _write(file: ArchiveFile, entry: cpio.Entry, target: Path, algorithm: str) -> None:
    # No link can be in the way: those that are below links were refused, and nobody else writes here.
    place = target / file.path
    if file.is_folder:
        place.mkdir(exist_ok=True)
        place.chmod(0o755)
        return
    if file.is_link:
        if b"".join(entry.content) != os.fsencode(file.target):
            raise PluginError(f"its payload is damaged: {file.path}")
        place.symlink_to(file.target)
        return
    digest = hashlib.new(algorithm)
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as written:  # noqa: PTH123  # of a descriptor
        for chunk in entry.content:
            digest.update(chunk)
            written.write(chunk)
        os.fchmod(descriptor, stat.S_IMODE(file.mode))
    if digest.hexdigest() != file.digest:
        raise PluginError(f"its payload is damaged: {file.path}")


def _capabilities(header: Header) -> Iterator[Capability]:
    """What it requires besides what every RPM does."""
    columns = (header.texts(tags.REQUIRENAME), header.texts(tags.REQUIREVERSION), header.numbers(tags.REQUIREFLAGS))
    for name, version, flags in zip(*columns, strict=False):
        if not name.startswith("rpmlib("):
            yield Capability(name, version, flags & 15)


def _files(header: Header, name: str) -> Iterator[tuple[str, ArchiveFile]]:
    for path, mode, size, digest, target in raw_files(header):
        relative = PurePosixPath(path).relative_to(f"{rpm.PREFIX}/{name}")
        yield path, ArchiveFile(relative, mode, size, digest, target)


def fits(archive: Archive, module: str) -> MetworkError | None:
    """What speaks against *archive* in the home of *module*; None when nothing does."""
    if archive.module == module:
        return None
    return PluginError(f"it is a plugin of {archive.module}", where=str(archive.path), expected=f"one of {module}")
