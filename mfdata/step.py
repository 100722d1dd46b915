"""Step: what plugins extend to say what they do with a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from mfdata.config import StepConfig
from mfdata.file import File
from mfdata.outcome import Outcome
from mfdata.storage.names import prepared_path
from mfdata.storage.places import Places
from mfext.environment import Home
from mfext.log import Logger, get_logger
from mfext.section import FreeSection, Section


class Step:
    """A step of a plugin: one object a process, which gets one file after the other.

    A plugin extends :meth:`process`; what it returns or raises decides what happens to the file.
    """

    #: Declares the keys of the plugin's [custom] section that this step reads, as a frozen dataclass.
    Custom: ClassVar[type[Section]] = FreeSection

    #: Folders, besides the queue, in which a new name ends the wait for files.
    watched: tuple[Path, ...] = ()

    def __init__(self, home: Home, plugin: str, name: str, config: StepConfig, custom: Any) -> None:
        self.home = home
        self.plugin = plugin
        self.name = name
        self.config = config
        self.custom = custom
        self.log: Logger = get_logger(f"{plugin}.{name}")
        self.places = Places(home)
        #: The plugins that its plugin declares in ``requires``.
        self.required: frozenset[str] = frozenset()
        self._claimed = ""
        self._outputs = 0
        self._say: Callable[..., None] = _say_nothing

    def open(self) -> None:
        """Called once in each process before the first file."""

    def close(self) -> None:
        """Called once in each process after the last file."""

    def process(self, file: File) -> Outcome | None:
        """Deal with one file; None means ``Done()``, an exception means ``Failed``."""
        raise TypeError(f"{type(self).__name__} has no method process(self, file)")

    def idle(self) -> float | None:
        """Called whenever no file waits; after how many seconds to be called again, None = when a file comes."""
        return None

    def output(self, basename: str) -> Path:
        """A path to write an output to; its name is the name that the next step sees.

        Raises:
            ValueError: *basename* is not a plain file name.
        """
        if not self._claimed:
            raise ValueError("outputs are made while a file is processed")
        if not basename or "/" in basename or "\0" in basename or basename in (".", ".."):
            raise ValueError(f"{basename!r} is not a plain file name")
        self._outputs += 1
        folder = prepared_path(self._claimed) / f"o.{self._outputs}"
        folder.mkdir(parents=True)
        return folder / basename

    def say(self, **facts: object) -> None:
        """Tell the supervisor facts about this process, any JSON values, which ``status`` shows."""
        self._say(**facts)

    @property
    def made_outputs(self) -> bool:
        """Whether a path for an output was asked for while the present file was processed."""
        return self._outputs > 0

    def report_through(self, say: Callable[..., None]) -> None:
        """The process says where the facts go that the step tells with ``say``."""
        self._say = say

    def begin(self, claimed: str) -> None:
        """The worker says which file comes next."""
        self._claimed, self._outputs = claimed, 0

    @classmethod
    def main(cls) -> None:
        """Run as the step's process; with the argument FILE, run once on a copy of that file and say what came out."""
        from mfdata.worker.process import main

        main(cls)


def _say_nothing(**_facts: object) -> None:
    return None
