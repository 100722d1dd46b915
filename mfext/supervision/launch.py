"""Launch: the first program of every supervised process, which then becomes the command.

It runs as ``python -I -S launch.py DEFINITION``, by its path and without the site folder, so that the command runs
some milliseconds later: of ours and of the standard library, it imports only what is quickly loaded.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import time

_SIGPIPE, _SIGXFSZ = 13, 25  # the module signal takes as long to import as all the rest
_DEFAULT_ACTION = 0
#: Exit statuses of a shell for the same reasons.
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


class Definition:
    """What to become."""

    def __init__(self) -> None:
        #: Pid of the arbiter, without which the process shall not live.
        self.parent = 0
        #: Working folder.
        self.folder = ""
        #: File that takes standard output and error.
        self.output = ""
        #: Time before which the command must not run, since it failed too often.
        self.not_before = 0.0
        #: Seconds of that wait; no clock that is set back makes it longer.
        self.longest_wait = 3600.0
        self.command: list[str] = []
        self.limits: dict[str, int] = {}
        #: The cgroup to be in; '' = that of the arbiter.
        self.cgroup = ""
        self.environment: dict[str, str] = {}

    def encoded(self) -> bytes:
        """The definition as a file: ``key=value`` items that end with a NUL, which no value can hold."""
        items = [
            f"parent={self.parent}",
            f"folder={self.folder}",
            f"output={self.output}",
            f"not_before={self.not_before:.3f}",
            f"longest_wait={self.longest_wait:.3f}",
            f"cgroup={self.cgroup}",
            *(f"argument={argument}" for argument in self.command),
            *(f"limit={name}={value}" for name, value in self.limits.items()),
            *(f"environment={name}={value}" for name, value in self.environment.items()),
        ]
        return "".join(f"{item}\0" for item in items).encode("utf-8", "surrogateescape")

    @classmethod
    def decoded(cls, data: bytes) -> Definition:
        """The definition that ``encoded`` gave *data* of."""
        definition = cls()
        for item in data.decode("utf-8", "surrogateescape").split("\0")[:-1]:
            key, _, value = item.partition("=")
            name, _, inner = value.partition("=")
            if key == "argument":
                definition.command.append(value)
            elif key == "limit":
                definition.limits[name] = int(inner)
            elif key == "environment":
                definition.environment[name] = inner
            else:
                setattr(definition, key, type(getattr(definition, key))(value))
        return definition


def main() -> None:
    """Become the command of the definition in the file that the first argument names."""
    with open(sys.argv[1], "rb") as file:  # noqa: PTH123 - pathlib takes milliseconds to import
        definition = Definition.decoded(file.read())
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    sys.path.append(root)
    from mfext.supervision.child import die_with

    die_with(definition.parent)
    _take_default_actions()
    _redirect(definition.output)
    _wait_until(definition.not_before, definition.longest_wait)
    print(output_heading(os.getpid()), file=sys.stderr, flush=True)
    _enter(definition.cgroup)
    for name, value in definition.limits.items():
        if value:
            _limit(name, value)
    sys.exit(_become(definition))


def output_heading(pid: int) -> str:
    """The line in the output file above what process *pid* writes."""
    return f"== {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} process {pid}"


def _take_default_actions() -> None:
    """Undo that Python ignores some signals: what is ignored stays so in the command."""
    libc = ctypes.CDLL(None)
    libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    libc.signal(_SIGPIPE, _DEFAULT_ACTION)
    libc.signal(_SIGXFSZ, _DEFAULT_ACTION)


def _redirect(path: str) -> None:
    try:
        output = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    except OSError as error:  # a full disk is no reason not to run: keep what was inherited
        print(f"cannot write {path}: {error.strerror}", file=sys.stderr)
        return
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)


def _wait_until(moment: float, longest: float) -> None:
    left = min(moment - time.time(), longest)
    if left > 0:
        time.sleep(left)


def _enter(cgroup: str) -> None:
    if not cgroup:
        return
    try:
        with open(f"{cgroup}/cgroup.procs", "w") as file:  # noqa: PTH123 - pathlib takes milliseconds to import
            file.write(str(os.getpid()))
    except OSError as error:
        print(f"not in force: the limits of the cgroup {cgroup}: {error.strerror}", file=sys.stderr, flush=True)


def _limit(name: str, value: int) -> None:
    """Set a limit as near to *value* as this user may."""
    kind = getattr(resource, f"RLIMIT_{name.upper()}")
    hard = resource.getrlimit(kind)[1]
    if hard not in (resource.RLIM_INFINITY, value) and value > hard and os.geteuid():
        print(f"limit {name}: {value} is more than this user may have, {hard} is set", file=sys.stderr, flush=True)
        value = hard
    resource.setrlimit(kind, (value, value))


def _become(definition: Definition) -> int:
    """Run the command in the place of this program; when that is not possible, say why and give an exit status."""
    what = f"folder {definition.folder!r}"
    try:
        os.chdir(definition.folder)
        what = f"program {definition.command[0]!r}"
        os.execvpe(definition.command[0], definition.command, definition.environment)  # noqa: S606
    except OSError as error:
        print(f"cannot start: {what}: {error.strerror}", file=sys.stderr)
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE


if __name__ == "__main__":
    main()
