"""The archive of a plugin: what its header says, what speaks against it, and its files, checked as they are written."""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mfext.errors import MetworkError, PluginError, raise_all
from mfext.plugin import cpio, rpm
from mfext.plugin import rpmheader as tags
from mfext.plugin.general import name_fault
from mfext.plugin.rpmheader import Header, read_header
from mfext.plugin.rpmversion import Capability
from mfext.plugin.staging import escapes

#: What has no place in an archive of a plugin, by the tags that tell of it: whatever could run or act on others.
_FORBIDDEN = {
    "a script that runs at installation": (*range(1023, 1027), 1079, *range(1085, 1092), 1151, 1152, 1153, 1154, 5104, 5105),
    "a trigger": (*range(1065, 1070), 1092, *range(5066, 5093)),
    "an Obsoletes, which removes other plugins": (1090, 1114, 1115),
    "a Conflicts": (1053, 1054, 1055),
    "an Epoch": (tags.EPOCH,),
    "a capability of a file": (tags.FILECAPS,),
    "a user or group to be made": (5109,),
}
#: Tags of that range that are about digests, not triggers.
_HARMLESS = frozenset((1091, *range(5092, 5098)))
#: Digests by the number that rpm gives their kind.
_DIGESTS = {8: "sha256", 9: "sha384", 10: "sha512"}
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
    def is_signed(self) -> bool:
        """Whether there is a signature in it, by whomever."""
        return bool(tags.SIGNATURES & self.header.signature.keys())


def read_archive(path: Path) -> Archive:
    """The archive *path*; its header alone is read.

    Raises:
        PluginError: it cannot be read, or it is not such as plugins.release makes; all that is wrong at once.
    """
    try:
        with path.open("rb") as file:
            header = read_header(file.read(_HEADER_BYTES))
    except OSError as error:
        raise PluginError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except PluginError as error:
        raise PluginError(error.found, where=str(path), expected=error.expected) from None
    raise_all([PluginError(fault, where=str(path)) for fault in header_faults(header)])
    name, module = header.text(tags.NAME), _module(header)
    return Archive(
        path=path,
        name=name,
        version=header.text(tags.VERSION),
        release=header.text(tags.RELEASE),
        module=module,
        header=header,
        requires=tuple(_capabilities(header)),
        files={file_path: file for file_path, file in _files(header, name)},
        algorithm=_DIGESTS[_algorithm(header)],
    )


def header_faults(header: Header) -> list[str]:
    """What speaks against an archive with this *header* (pure)."""
    name = header.text(tags.NAME)
    fault = name_fault(name)
    if fault:
        return [f'"{name}" cannot be the name of a plugin: {fault}']
    found = [f"it has {what}" for what, forbidden in _FORBIDDEN.items() if header.values.keys() & (set(forbidden) - _HARMLESS)]
    if header.texts(tags.PREFIXES) != (rpm.PREFIX,):
        found.append(f"its prefix is {' '.join(header.texts(tags.PREFIXES)) or 'missing'}, not {rpm.PREFIX}")
    if not _module(header):
        found.append("it does not say for which module it is")
    if _algorithm(header) not in _DIGESTS:
        found.append("its files have no digests that are good enough")
    found += _provide_faults(header, name)
    found += [f"{fault}: {path}" for path, fault in _file_faults(header, name)]
    return found


def check_payload(archive: Archive) -> None:
    """Make sure that the file is whole, as its digests say; signatures are for ``signature.py``.

    Raises:
        PluginError: it is damaged.
    """
    done = rpm.run(["rpmkeys", "--checksig", "--nosignature", "--define", "_pkgverify_level digest", archive.path.absolute()])
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


def _module(header: Header) -> str:
    names = {name.removeprefix("metwork-") for name in header.texts(tags.REQUIRENAME) if name.startswith("metwork-")}
    return names.pop() if len(names) == 1 else ""


def _algorithm(header: Header) -> int:
    return next(iter(header.numbers(tags.FILEDIGESTALGO)), 0)


def _capabilities(header: Header) -> Iterator[Capability]:
    """What it requires besides what every RPM does."""
    columns = (header.texts(tags.REQUIRENAME), header.texts(tags.REQUIREVERSION), header.numbers(tags.REQUIREFLAGS))
    for name, version, flags in zip(*columns, strict=False):
        if not name.startswith("rpmlib("):
            yield Capability(name, version, flags & 15)


def _provide_faults(header: Header, name: str) -> Iterator[str]:
    version = f"{header.text(tags.VERSION)}-{header.text(tags.RELEASE)}"
    own = {name, f"metwork_plugin({name})"}
    columns = (header.texts(tags.PROVIDENAME), header.texts(tags.PROVIDEVERSION))
    for provided, its_version in zip(*columns, strict=False):
        if provided not in own and not provided.startswith(f"{name}("):
            yield f'it claims to be something else too: "{provided}"'
        elif its_version != version:
            yield f'it claims to be another version: "{its_version}"'
    if f"metwork_plugin({name})" not in header.texts(tags.PROVIDENAME):
        yield f'it does not say that it is the plugin "{name}"'


def _file_faults(header: Header, name: str) -> Iterator[tuple[str, str]]:
    """Path and fault of each file that must not be there."""
    raw = list(_raw_files(header))
    if not raw:
        yield "it has no files", name
    links = {path for path, mode, *_ in raw if stat.S_ISLNK(mode)}
    seen: set[str] = set()
    for path, mode, _, digest, target in raw:
        fault = _path_fault(path, name, links) or _mode_fault(mode, digest) or _link_fault(path, name, mode, target)
        if fault or path in seen:
            yield fault or "a file that stands twice", path
        seen.add(path)


def _path_fault(path: str, name: str, links: set[str]) -> str:
    top = f"{rpm.PREFIX}/{name}"
    if path != top and not path.startswith(f"{top}/"):
        return "a file outside the plugin's folder"
    if posixpath.normpath(path) != path or "\0" in path:
        return "a path that is not plain"
    if path == f"{top}/.installed":
        return "a file that only the installation makes"
    if any(str(above) in links for above in PurePosixPath(path).parents):
        return "a file below a link"
    return ""


def _mode_fault(mode: int, digest: str) -> str:
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
        return "neither a file nor a folder nor a link"
    if not stat.S_ISLNK(mode) and mode & 0o7000:
        return "a setuid, setgid or sticky bit"
    if not stat.S_ISLNK(mode) and mode & 0o002:
        return "writable for everybody"
    if stat.S_ISREG(mode) and not digest:
        return "a file without a digest"
    return ""


def _link_fault(path: str, name: str, mode: int, target: str) -> str:
    if not stat.S_ISLNK(mode):
        return ""
    relative = PurePosixPath(path).relative_to(rpm.PREFIX) if path.startswith(f"{rpm.PREFIX}/") else PurePosixPath(path)
    inside = PurePosixPath(*relative.parts[1:])
    return f'a link out of the plugin, to "{target}"' if escapes(inside, target) or not inside.parts else ""


def _raw_files(header: Header) -> Iterator[tuple[str, int, int, str, str]]:
    """Path, mode, size, digest and link target of each file, as they stand in the header."""
    names, folders = header.texts(tags.BASENAMES), header.texts(tags.DIRNAMES)
    indexes, modes = header.numbers(tags.DIRINDEXES), header.numbers(tags.FILEMODES)
    sizes = header.numbers(tags.FILESIZES) or header.numbers(tags.LONGFILESIZES)
    digests, targets = header.texts(tags.FILEDIGESTS), header.texts(tags.FILELINKTOS)
    columns: Sequence[Sequence[object]] = (names, indexes, modes, sizes, digests, targets)
    if len({len(column) for column in columns}) != 1 or any(index >= len(folders) for index in indexes):
        raise PluginError("its list of files is damaged")
    for name, index, mode, size, digest, target in zip(names, indexes, modes, sizes, digests, targets, strict=True):
        yield folders[index] + name, mode, size, digest, target


def _files(header: Header, name: str) -> Iterator[tuple[str, ArchiveFile]]:
    for path, mode, size, digest, target in _raw_files(header):
        relative = PurePosixPath(path).relative_to(f"{rpm.PREFIX}/{name}")
        yield path, ArchiveFile(relative, mode, size, digest, target)


def fits(archive: Archive, module: str) -> MetworkError | None:
    """What speaks against *archive* in the home of *module*; None when nothing does."""
    if archive.module == module:
        return None
    return PluginError(f"it is a plugin of {archive.module}", where=str(archive.path), expected=f"one of {module}")
