"""Folders of files, by tornado: with ranges, and entity tags made of the content."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tornado.web import Application, HTTPError, StaticFileHandler

from mfext.net.conditional import FAILED, NOT_MODIFIED, Version, range_holds, verdict

_PIECE = 1 << 20
_REMEMBERED = 10_000


def static_files(folder: str) -> Application:
    """What serves the files of *folder*, relative to the working folder; ``index.html`` stands for a folder.

    They are reached through the working folder itself: when another version takes the place of the plugin, this worker
    goes on with the files of its own until it has left.
    """
    settings = {"path": str(Path("/proc/self/cwd") / folder), "default_filename": "index.html"}
    return Application([(r"/(.*)", StaticFiles, settings)], log_function=lambda _handler: None)


class StaticFiles(StaticFileHandler):
    """Files whose versions are found out beside the loop, once for each state of a file."""

    #: Digests by what changes when the content does.
    digests: ClassVar[dict[tuple[int, ...], str]] = {}

    async def get(self, path: str, include_body: bool = True) -> None:
        """Answer with the file."""
        if "\0" in path or _is_hidden(path):
            raise HTTPError(404)
        try:
            await self._look_at(Path(self.root) / self.parse_url_path(path))
        except PermissionError:
            raise HTTPError(403, "it may not be read") from None
        except OSError:  # no file has a name as long as this
            raise HTTPError(404) from None
        await super().get(path, include_body)

    async def _look_at(self, file: Path) -> None:
        """Find out the version of *file*; what is not there, or above the folder, is refused by the handler itself."""
        if file.is_dir() and self.default_filename:
            file /= self.default_filename
        if file.is_file() and _state(file) not in self.digests:
            await asyncio.to_thread(_remember, file, self.digests)

    def head(self, path: str) -> Awaitable[None]:
        """Answer as to get, without the file."""
        return self.get(path, include_body=False)

    def should_return_304(self) -> bool:
        """Whether the client has the file already; a part that does not fit to what it has is not sent.

        Raises:
            HTTPError: it wants another one (412).
        """
        modified = int(self.modified.timestamp()) if self.modified else None
        version = Version(self.compute_etag() or "", modified)
        found = verdict(self.request.method or "", self.request.headers, version)
        if found == FAILED:
            raise HTTPError(412)
        if self.request.method != "GET" or not range_holds(self.request.headers.get("If-Range"), version, time.time()):
            self.request.headers.pop("Range", None)
        return found == NOT_MODIFIED

    def write_error(self, status_code: int, **details: Any) -> None:
        """Say why there is no file."""
        if status_code == 405:
            self.set_header("Allow", "GET, HEAD")
        super().write_error(status_code, **details)

    @classmethod
    def _get_cached_version(cls, abspath: str) -> str | None:
        file = Path(abspath)
        try:
            state = _state(file)
            return cls.digests.get(state) or _remember(file, cls.digests)
        except OSError:
            return None

    def _resolve_symlink_target(self, absolute_path: str, allowed: Sequence[str], path: str) -> str:  # type: ignore[override]
        """The path as it is, once it leads nowhere else: resolved, it would soon be that of another version.

        The folder may be renamed between two looks: only when it was in one place before and after do they count.
        """
        while True:
            root = os.path.realpath(self.root)
            target = os.path.realpath(absolute_path)
            if root == os.path.realpath(self.root):
                break
        if target != root and not target.startswith(f"{root}/"):
            raise HTTPError(403, "it leads out of the folder")
        return absolute_path

    def redirect(self, url: str, permanent: bool = False, status: int | None = None) -> None:
        """Lead on, from below the route to the route."""
        super().redirect(self.request.headers.get("X-Forwarded-Prefix", "") + url, permanent, status)


def _is_hidden(path: str) -> bool:
    """Whether a part of *path* has a name that is not for others (RFC 8615 has the exception)."""
    parts = path.split("/")
    return any(part.startswith(".") and part not in (".", "..", ".well-known") for part in parts)


def _state(file: Path) -> tuple[int, ...]:
    found = file.stat()
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def _remember(file: Path, digests: dict[tuple[int, ...], str]) -> str:
    state, digest = _state(file), hashlib.sha256()
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            digest.update(piece)
    if len(digests) >= _REMEMBERED:
        digests.clear()
    digests[state] = found = digest.hexdigest()[:32]
    return found
