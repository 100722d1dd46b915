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

    A plugin extends :meth:`process`; what it returns or raises decides what happens to the file. The process makes the
    step, before :meth:`open`: plugins need no constructor of their own.

    Args:
        home: the home of the module in which it runs.
        plugin: the name of its plugin.
        name: its own name: ``main`` for ``[step_main]``.
        config: the values of its section ``[step_NAME]``.
        custom: the values of ``[custom]``, as ``Custom`` declares them.
    """

    #: The class, a frozen dataclass, that declares the keys of ``[custom]``; by default any key is taken, as text.
    Custom: ClassVar[type[Section]] = FreeSection

    #: Folders, besides the queue, in which a new name ends the wait for files.
    watched: tuple[Path, ...] = ()

    def __init__(self, home: Home, plugin: str, name: str, config: StepConfig, custom: Any) -> None:
        self.home = home
        self.plugin = plugin
        self.name = name
        self.config = config
        self.custom = custom
        #: What it logs with: lines have the name ``PLUGIN.STEP``.
        self.log: Logger = get_logger(f"{plugin}.{name}")
        #: The folders of the home by what is in them, of class ``mfdata.storage.places.Places``.
        self.places = Places(home)
        #: The plugins that its plugin declares in ``requires``.
        self.required: frozenset[str] = frozenset()
        self._claimed = ""
        self._outputs = 0
        self._say: Callable[..., None] = _say_nothing

    def open(self) -> None:
        """Prepare what all files need; called once in each process before the first file."""

    def close(self) -> None:
        """Give back what :meth:`open` took; called once in each process after the last file."""

    def process(self, file: File) -> Outcome | None:
        """The outcome of one file; None = ``Done()``, an exception = ``Failed``.

        Args:
            file: the file, which the step reads and leaves where it is.
        """
        raise TypeError(f"{type(self).__name__} has no method process(self, file)")

    def idle(self) -> float | None:
        """Seconds after which to be called again, None = when a file comes; called whenever no file waits."""
        return None

    def output(self, basename: str) -> Path:
        """A new path to write an output to, in a folder of its own; nobody sees the file before ``process`` returns it.

        Args:
            basename: the name that the next step sees, without a folder, as ``os.fsdecode`` gives it.

        Raises:
            ValueError: *basename* is not a plain file name, or no file is being processed.
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
        """Show facts about this process in the answer of ``status``.

        Args:
            facts: JSON values by name; they replace those of the same name.
        """
        self._say(**facts)

    @property
    def made_outputs(self) -> bool:
        """Whether, True or False, a path for an output was asked for while the present file was processed."""
        return self._outputs > 0

    def report_through(self, say: Callable[..., None]) -> None:
        """For the worker, not for plugins: say where the facts of :meth:`say` go.

        Args:
            say: gets them as keywords.
        """
        self._say = say

    def begin(self, claimed: str) -> None:
        """For the worker, not for plugins: say which file comes next.

        Args:
            claimed: the path of the file in the folder of claims.
        """
        self._claimed, self._outputs = claimed, 0

    @classmethod
    def main(cls) -> None:
        """Run as the step's process; with the argument FILE, run once on a copy of that file and say what came out."""
        from mfdata.worker.process import main

        main(cls)


def _say_nothing(**_facts: object) -> None:
    return None
