"""The only reader of ``os.environ``: which module, which home, which process, facts of the host."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mfext.errors import UsageError

#: The folder that holds the packages: the top of a checkout, or the site folder of an installed module.
SOFTWARE = Path(__file__).resolve().parent.parent

#: The variable by which systemd says where it wants to hear from what it starts.
NOTIFY_SOCKET = "NOTIFY_SOCKET"


@dataclass(frozen=True)
class Home:
    """The runtime home of one module: everything that it writes lies below ``path``."""

    #: Lower-case name of the module, for example ``mfdata``.
    module: str
    #: Absolute folder, for example ``$METWORK_HOME/mfdata``.
    path: Path

    @property
    def var(self) -> Path:
        """State that must survive: files in every stage, installed plugins."""
        return self.path / "var"

    @property
    def plugins(self) -> Path:
        """Installed plugins: one folder or one link each."""
        return self.path / "var" / "plugins"

    @property
    def log(self) -> Path:
        """Logs and traces."""
        return self.path / "log"

    @property
    def tmp(self) -> Path:
        """Scratch space that may be emptied while the module is stopped."""
        return self.path / "tmp"

    @property
    def config(self) -> Path:
        """The administrator's configuration of this home."""
        return self.path / "config"

    @property
    def run(self) -> Path:
        """State of the running processes: sockets, pids, readiness; of no worth once stopped."""
        return self.path / "var" / "run"


def is_checkout() -> bool:
    """Whether this code runs from a checkout rather than from an installed module."""
    return (SOFTWARE / "setup.cfg").is_file()


def software_of(module: str) -> Path:
    """The folder that holds the package of *module*, and beside it what it ships; an installed module has its own."""
    # Processes that run do not ask; they need not pay for the import.
    from importlib.util import find_spec

    spec = find_spec(module)
    return Path(spec.origin).resolve().parent.parent if spec and spec.origin else SOFTWARE


def homes(module: str) -> Path:
    """The folder that holds the home of *module*.

    It is ``METWORK_HOME``, or ``run`` in a checkout. In an installed module it is where the home of the user lies who
    is called like the module, and without such a user where one's own lies.
    """
    given = os.environ.get("METWORK_HOME")
    if given:
        return Path(given).absolute()
    if is_checkout():
        return SOFTWARE / "run"
    try:
        home = Path(pwd.getpwnam(module).pw_dir)
    except KeyError:
        home = Path.home()
    return home.parent


def home_of(module: str) -> Home:
    """The runtime home of *module* (lower case)."""
    return Home(module, homes(module) / module)


def current_module() -> str:
    """The module that a bare command acts on, lower case, from ``MFMODULE``.

    Raises:
        UsageError: ``MFMODULE`` is not set.
    """
    name = os.environ.get("MFMODULE", "").lower()
    if not name:
        raise UsageError(
            "MFMODULE is not set, so it is not known which module is meant",
            mend='Run "metwork shell mfdata" first, or set MFMODULE=MFDATA.',
        )
    return name


def current_process() -> str:
    """Name of the supervised process that this is, or '' outside the supervisor."""
    return os.environ.get("METWORK_PROCESS", "")


def variables() -> Mapping[str, str]:
    """What ``{{NAME}}`` placeholders in configuration may name."""
    return os.environ


def wants_colour() -> bool:
    """Whether a person who reads a terminal has nothing against colours: ``NO_COLOR`` is not set."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def child_variables(home: Home) -> dict[str, str]:
    """The environment in which processes of *home* run, whoever starts them."""
    environment = dict(os.environ)
    environment["METWORK_HOME"] = str(home.path.parent)
    environment["MFMODULE"] = home.module.upper()
    # The module speaks to systemd, not what it runs.
    environment.pop(NOTIFY_SOCKET, None)
    return environment


def administrators_folder() -> Path:
    """Where administrators override configuration for the whole machine."""
    return Path(os.environ.get("METWORK_CONFIG_D", "/etc/metwork.config.d"))


def layers_folder() -> Path:
    """Where layers are installed."""
    return Path(os.environ.get("METWORK_LAYERS", "/opt"))
