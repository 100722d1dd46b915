"""The home of a module: its folders, and a commented configuration."""

from __future__ import annotations

from pathlib import Path

from mfext.configuration.module_config import config_files, default_config
from mfext.environment import Home
from mfext.errors import NotAllowed
from mfext.fs.atomic import replace_file
from mfext.module import Module
from mfext.owner import check_owner


def make_home(module: Module, home: Home) -> bool:
    """Make what is missing of *home* whatever is configured, and a commented configuration; True when it is new.

    Nothing that is there is changed.

    Raises:
        NotAllowed: it belongs to another user, or cannot be made.
    """
    check_owner(home)
    is_new = not home.path.exists()
    # Configuration holds passwords, files may be anybody's: neither is for other users of the machine.
    make_folder(home.path, mode=0o750)
    for folder in (home.var, home.plugins, home.log, home.tmp, home.config, home.config / "plugins"):
        make_folder(folder)
    make_folder(home.run, mode=0o700)
    _write_default_config(module, home)
    return is_new


def make_folder(folder: Path, mode: int = 0o777) -> None:
    try:
        folder.mkdir(mode, parents=True, exist_ok=True)
    except OSError as error:
        raise NotAllowed(f"this folder cannot be made: {error.strerror}", where=str(folder)) from error


def _write_default_config(module: Module, home: Home) -> None:
    file = config_files(home)[0]
    if not file.exists():
        replace_file(file, default_config(module))
