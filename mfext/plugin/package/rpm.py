"""The one door to rpm's programs: clean environment, explicit settings, our own database of what is installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mfext.environment import Home, variables
from mfext.errors import MetworkError, ServiceUnavailable

#: Where the files of a plugin lie in its archive: ``/metwork_plugin/NAME``.
PREFIX = "/metwork_plugin"

#: What Debian's rpm says to each who does not use Debian's own packages.
_NOISE = ("RPM should not be used directly", "However assuming you know what you are doing")
#: Seconds to wait for a killed command's rpm, which goes on to its end; and how often to look.
_PATIENCE, _POLL = 10.0, 0.05
_BUSY = "transaction lock"


def program(name: str) -> str | None:
    """Where the program *name* of rpm is; None when it is not there."""
    return shutil.which(name, path=variables().get("PATH"))


def run(
    words: Sequence[str | Path], *, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """How the program ``words[0]`` of rpm ended, with nothing of the caller's environment and no settings of a user.

    ``SOURCE_DATE_EPOCH`` would become the number of a transaction, and ``~/.rpmmacros`` could switch digests off.

    Raises:
        ServiceUnavailable: the program is not there.
    """
    with clean(environment) as clear:
        done = subprocess.run(
            [_found(str(words[0])), *map(str, words[1:])],
            cwd=folder or clear["HOME"],
            env=clear,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
        )
    done.stderr = "\n".join(line for line in done.stderr.splitlines() if not any(word in line for word in _NOISE))
    return done


@contextmanager
def payload(archive: Path) -> Iterator[IO[bytes]]:
    """The uncompressed stream of files in *archive*.

    Raises:
        MetworkError: rpm cannot read it to its end.
    """
    with clean() as clear, tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [_found("rpm2cpio"), str(archive)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            env=clear,
            cwd=clear["HOME"],
        )
        with process:
            assert process.stdout is not None  # noqa: S101  # it was asked for
            yield process.stdout


@contextmanager
def clean(more: Mapping[str, str] | None = None) -> Iterator[dict[str, str]]:
    """An environment with an empty home, and nothing else of the caller's than where programs are."""
    with tempfile.TemporaryDirectory(prefix="metwork-rpm.") as home:
        path = variables().get("PATH", "/usr/bin:/bin")
        yield {"PATH": path, "HOME": home, "TMPDIR": tempfile.gettempdir(), "LC_ALL": "C.UTF-8", **(more or {})}


class Database:
    """What rpm knows of the plugins of one home."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.folder = home.var / "rpm"

    def known(self) -> dict[str, str]:
        """The digest of the header of each registered plugin, by name."""
        if not self.folder.is_dir():
            return {}
        listed = self._run("rpm", "-qa", "--qf", "%{NAME} %{SHA256HEADER}\n")
        return dict(line.split(" ", 1) for line in listed.splitlines() if line and not line.startswith("gpg-pubkey"))

    def register(self, archives: Sequence[Path]) -> None:
        """Note *archives* as installed, in place of other versions of the same; no file is touched."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # Versions may go down; dependencies are checked by us, since no database of ours knows the system's packages.
        options = ("--justdb", "--nodeps", "--noscripts", "--notriggers", "--oldpackage", "--replacepkgs", "--force")
        freely = ("--ignorearch", "--ignoreos", "--ignoresize", "--nosignature")
        self._run("rpm", "-U", *options, *freely, "--prefix", self.home.plugins, *archives)

    def forget(self, names: Sequence[str]) -> None:
        """Take the plugins *names* out; no file is touched."""
        self._run("rpm", "-e", "--justdb", "--nodeps", "--noscripts", "--notriggers", "--allmatches", *names)

    def discard(self) -> None:
        """Remove a damaged one, to begin anew."""
        shutil.rmtree(self.folder)

    def _run(self, name: str, *arguments: str | Path) -> str:
        deadline = time.monotonic() + _PATIENCE
        while True:
            done = run([name, "--dbpath", self.folder, *arguments])
            if done.returncode == 0:
                return done.stdout
            if _BUSY not in done.stderr or time.monotonic() > deadline:
                raise MetworkError(f"rpm cannot keep its database: {done.stderr.strip()}", where=str(self.folder))
            time.sleep(_POLL)


def _found(name: str) -> str:
    path = program(name)
    if path is None:
        package = {"rpmbuild": "rpm-build", "rpmsign": "rpm-sign"}.get(name, "rpm")
        raise ServiceUnavailable(
            f'there is no program "{name}"', mend=f"Install the package {package} (on Debian: rpm)."
        )
    return path
