"""Disk: which bytes and names a power cut would leave, from the system calls of a process (pure).

A file's content, tags and names are in memory until ``fsync`` has been asked for: for the content and the tags on the
file, for a name on the directory in which it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_LINE = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
_TEXT = r'"([^"]*)"'
_OPEN_FILE = r"\d+<([^>]*)>"
_FOLDER = r"(?:AT_FDCWD|\d+)(?:<([^>]*)>)?"

#: The calls to be watched, as strace wants them.
CALLS = (
    "openat,write,pwrite64,sendfile,sendto,setxattr,fsetxattr,removexattr,utimensat,fchmod,chmod,rename,renameat,"
    "renameat2,unlink,unlinkat,link,linkat,mkdir,mkdirat,fsync,fdatasync,copy_file_range"
)


@dataclass(frozen=True)
class Call:
    """A system call that succeeded: what it did, and to which paths."""

    #: write, rename, unlink, link, make, mkdir, fsync, tell
    kind: str
    path: str
    target: str = ""


def calls_of(lines: Iterable[str], tells: Callable[[str], bool] = lambda _line: False) -> list[Call]:
    """What ``strace -f -y`` wrote; *tells* says which lines are an acknowledgement to somebody."""
    found = []
    for line in lines:
        match = _LINE.match(line)
        if match and int(match[3]) >= 0:
            call = _call(match[1], match[2], line, tells)
            if call:
                found.append(call)
    return found


def _call(name: str, arguments: str, line: str, tells: Callable[[str], bool]) -> Call | None:
    if name in ("write", "sendto") and tells(line):
        return Call("tell", "")
    if name in ("write", "pwrite64", "sendfile", "fsetxattr", "fchmod", "fsync", "fdatasync"):
        opened = re.match(_OPEN_FILE, arguments)
        kind = "fsync" if name in ("fsync", "fdatasync") else "write"
        return Call(kind, opened[1]) if opened else None
    if name == "openat":
        paths = _paths(arguments)
        return Call("make", paths[0]) if "O_CREAT" in arguments or "O_TRUNC" in arguments else None
    kind = {"mkdirat": "mkdir", "linkat": "link", "unlinkat": "unlink"}.get(name, name)
    kind = "rename" if name.startswith("rename") else kind
    kind = "write" if kind in ("setxattr", "removexattr", "utimensat", "chmod") else kind
    paths = _paths(arguments)
    return Call(kind, *paths[:2]) if paths and kind in ("write", "rename", "unlink", "link", "mkdir") else None


def _paths(arguments: str) -> list[str]:
    """The paths among *arguments*, absolute."""
    found = []
    for folder, text in re.findall(rf"(?:{_FOLDER}, )?{_TEXT}", arguments):
        found.append(text if text.startswith("/") else f"{folder}/{text}")
    return found


class Disk:
    """What has reached the disk after the calls so far."""

    def __init__(self, is_public: Callable[[str], bool]) -> None:
        """*is_public*: whether what appears under a path counts as being there: a queue, an archive, a commit."""
        self._is_public = is_public
        #: Files whose content or tags are not on disk.
        self._unsaved: set[str] = set()
        #: Names that are not on disk, and the public ones among them.
        self._new: set[str] = set()
        self.faults: list[str] = []

    def do(self, call: Call) -> None:
        """Follow *call*, and note when it comes too early."""
        act: Callable[[Call], None] = getattr(self, f"_{call.kind}")
        act(call)

    def _make(self, call: Call) -> None:
        self._unsaved.add(call.path)
        self._new.add(call.path)

    def _write(self, call: Call) -> None:
        self._unsaved.add(call.path)

    def _mkdir(self, call: Call) -> None:
        self._new.add(call.path)

    def _link(self, call: Call) -> None:
        self._new.add(call.target)
        if call.path in self._unsaved:
            self._unsaved.add(call.target)

    def _fsync(self, call: Call) -> None:
        self._unsaved.discard(call.path)
        self._new = {name for name in self._new if name.rpartition("/")[0] != call.path}

    def _rename(self, call: Call) -> None:
        old, new = call.path, call.target
        if self._is_public(new):
            self._need(not self._inside(self._unsaved, old), f"{new} appears before its content is on disk")
            inner = {name for name in self._inside(self._new, old) if name != old}
            self._need(not inner, f"{new} appears before the names in it are on disk")
        for names in (self._unsaved, self._new):
            names.discard(new)  # what was there is gone
            for name in self._inside(names, old):
                names.discard(name)
                names.add(new + name[len(old) :])
        self._new.add(new)

    def _unlink(self, call: Call) -> None:
        self._unsaved.discard(call.path)
        self._new.discard(call.path)
        # A part, a mark or a lock holds nothing that anybody waits for.
        if "/." not in call.path and not call.path.endswith((".part", ".intent", "/path")):
            self._nothing_pending(f"{call.path} is removed")

    def _tell(self, _call: Call) -> None:
        self._nothing_pending("it is acknowledged")

    def end(self) -> None:
        """All is done that was to be done."""
        self._nothing_pending("all is done")

    def _nothing_pending(self, what: str) -> None:
        for name in sorted(name for name in self._new | self._unsaved if self._is_public(name)):
            self._need(False, f"{what} before {name} is on disk")

    def _need(self, holds: bool, fault: str) -> None:
        if not holds:
            self.faults.append(fault)

    @staticmethod
    def _inside(names: set[str], path: str) -> set[str]:
        return {name for name in names if name == path or name.startswith(f"{path}/")}


def faults_of(calls: Iterable[Call], is_public: Callable[[str], bool]) -> list[str]:
    """What a power cut could take from somebody who relied on it."""
    disk = Disk(is_public)
    for call in calls:
        disk.do(call)
    disk.end()
    return disk.faults
