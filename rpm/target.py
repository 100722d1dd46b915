"""For which machines the RPMs are: the Python of the system, the processor, the oldest C library."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

#: Wheels for these C libraries run on RHEL 8 (glibc 2.28) and on whatever is newer.
_GLIBC_MINORS = (28, 27, 26, 24, 17, 12, 5)
#: Older names of 2.17, 2.12 and 2.5.
_OLDER_NAMES = ("manylinux2014", "manylinux2010", "manylinux1")


@dataclass(frozen=True)
class Target:
    """What the RPMs run on."""

    #: The interpreter by its full name, for example ``/usr/bin/python3.11``.
    python: Path
    #: ``x86_64`` or ``aarch64``.
    machine: str

    @property
    def version(self) -> str:
        """For example ``3.11``: wheels with compiled parts run with this one only."""
        return self.python.name.removeprefix("python")

    @property
    def site(self) -> Path:
        """Where Python packages lie below the folder of a module or a layer."""
        return Path("lib") / self.python.name / "site-packages"

    @property
    def platforms(self) -> list[str]:
        """Platform tags of the wheels that run there, best first."""
        names = [*(f"manylinux_2_{minor}" for minor in _GLIBC_MINORS), *_OLDER_NAMES, "linux"]
        return [f"{name}_{self.machine}" for name in names]


def target_of(python: Path) -> Target:
    """The target whose interpreter is *python*, by its name with the version.

    Raises:
        SystemExit: it is not there, or too old.
    """
    script = "import sys; print('%d.%d' % sys.version_info[:2])"
    asked = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, check=False)
    version = asked.stdout.strip()
    if asked.returncode or tuple(map(int, version.split("."))) < (3, 11):
        raise SystemExit(f"rpm: {python} is {version or 'not there'}: MetWork needs a system Python of 3.11 or later")
    return Target(Path(f"/usr/bin/python{version}"), os.uname().machine)
