"""What speaks against an archive, by its header alone (pure): whatever could run, lie outside, or act on others."""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from mfext.errors import PluginError
from mfext.layer import PREFIX as LAYER
from mfext.plugin.general import name_fault
from mfext.plugin.package import rpm_header as tags
from mfext.plugin.package.rpm import PREFIX
from mfext.plugin.package.rpm_header import Header
from mfext.plugin.release.staging import escapes

#: What has no place in an archive of a plugin, by the tags that tell of it: whatever could run or act on others.
_FORBIDDEN = {
    "a script that runs at installation": (
        *range(1023, 1027), 1079, *range(1085, 1091), 1151, 1152, 1153, 1154, *range(5104, 5108),
    ),
    "a trigger": (*range(1065, 1070), 1092, *range(5066, 5092)),
    "an Obsoletes, which removes other plugins": (1090, 1114, 1115),
    "a Conflicts": (1053, 1054, 1055),
    "an Epoch": (tags.EPOCH,),
    "a capability of a file": (tags.FILECAPS,),
    "a user or group to be made": (5109,),
}  # fmt: skip
#: Digests by the number that rpm gives their kind.
DIGESTS = {8: "sha256", 9: "sha384", 10: "sha512"}


def header_faults(header: Header) -> list[str]:
    """What speaks against an archive with this *header* (pure)."""
    name = header.text(tags.NAME)
    fault = name_fault(name)
    if fault:
        return [f'"{name}" cannot be the name of a plugin: {fault}']
    found = [f"it has {what}" for what, forbidden in _FORBIDDEN.items() if header.values.keys() & {*forbidden}]
    if header.texts(tags.PREFIXES) != (PREFIX,):
        found.append(f"its prefix is {' '.join(header.texts(tags.PREFIXES)) or 'missing'}, not {PREFIX}")
    if not module_of(header):
        found.append("it does not say for which module it is")
    if algorithm_of(header) not in DIGESTS:
        found.append("its files have no digests that are good enough")
    found += _provide_faults(header, name)
    found += [f"{fault}: {path}" for fault, path in _file_faults(header, name)]
    return found


def module_of(header: Header) -> str:
    required = {name for name in header.texts(tags.REQUIRENAME) if not name.startswith(LAYER)}
    names = {name.removeprefix("metwork-") for name in required if name.startswith("metwork-")}
    return names.pop() if len(names) == 1 else ""


def algorithm_of(header: Header) -> int:
    return next(iter(header.numbers(tags.FILEDIGESTALGO)), 0)


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
    """Fault and path of each file that must not be there."""
    raw = list(raw_files(header))
    if not raw:
        yield "it has no files", name
    links = {path for path, mode, *_ in raw if stat.S_ISLNK(mode)}
    seen: set[str] = set()
    for path, mode, _, digest, target in raw:
        fault = _path_fault(path, name, links) or _mode_fault(mode, digest) or _link_fault(path, mode, target)
        if fault or path in seen:
            yield fault or "a file that stands twice", path
        seen.add(path)


def _path_fault(path: str, name: str, links: set[str]) -> str:
    top = f"{PREFIX}/{name}"
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


def _link_fault(path: str, mode: int, target: str) -> str:
    """What is wrong with a link at *path*, which is in the plugin's folder or is it."""
    if not stat.S_ISLNK(mode):
        return ""
    inside = PurePosixPath(*PurePosixPath(path).parts[3:])
    return f'a link out of the plugin, to "{target}"' if not inside.parts or escapes(inside, target) else ""


def raw_files(header: Header) -> Iterator[tuple[str, int, int, str, str]]:
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
