"""Daemon: one way to be a supervised process: its log as ``[log]`` says, its configuration, its errors.

``main()`` of a process is ``run_daemon(serve)``; ``serve`` opens the :class:`~mfext.mainloop.Mainloop`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cached_property

from mfext import log
from mfext.configuration.module_config import module_config
from mfext.configuration.module_sections import Log
from mfext.environment import Home, current_module, current_process, home_of
from mfext.errors import MetworkError, UsageError
from mfext.module import Module, load_module
from mfext.section import Config

_log = log.get_logger(__name__)


class Daemon:
    """The supervised process that this is: where it lives, what it is called, what its module is set to."""

    def __init__(self, home: Home, process: str) -> None:
        """Args: the home of its module; the process' name, '' when it was not started by a supervisor."""
        self.home = home
        self.process = process

    @cached_property
    def module(self) -> Module:
        """What the module of the process declares."""
        return load_module(self.home.module)

    @cached_property
    def config(self) -> Config:
        """The configuration of the module, as it was when it was first asked for.

        Raises:
            ConfigError: it must be mended.
        """
        return module_config(self.module, self.home)

    def set_up_log(self, *, debug: bool = False) -> str:
        """Write as ``[log]`` of the module says; *debug* = all lines, whatever it says. Returns the level in force.

        A configuration that became faulty after the start does not keep a process from being started again: then the
        defaults hold, and whatever else of it the process needs names the fault.
        """
        settings, fault = Log(), ""
        try:
            settings = self.config.section("log", Log)
        except MetworkError as error:
            fault = error.message
        level = "debug" if debug else settings.level
        log.set_up(self.home, self.process, level, max_size=settings.max_size, keep=settings.keep)
        if fault:
            _log.warning("[log] cannot be read; the defaults hold", reason=fault)
        return level


def run_daemon(
    serve: Callable[[Daemon], int | None],
    *,
    process: str = "",
    debug: bool = False,
    adopt_logging: Callable[[str], None] | None = None,
) -> None:
    """Be a supervised process: set up its log, call *serve*, and end with its exit status (None = 0).

    An error of ours becomes its message on standard error and its exit status; any other is left to end the process
    with a stack.

    Args:
        serve: does the work until it is told to stop.
        process: the name when no supervisor gave one; '' = such a process is refused.
        debug: every line is logged, whatever ``[log]`` says.
        adopt_logging: lets out what comes through the standard ``logging``; gets the level in force. None = nothing.
    """
    try:
        daemon = Daemon(home_of(current_module()), current_process() or process)
        if not daemon.process:
            raise UsageError("this process was not started by its module", mend="Its module's `start` command runs it")
        level = daemon.set_up_log(debug=debug)
        if adopt_logging:
            adopt_logging(level)
        status = serve(daemon)
    except MetworkError as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(error.exit_code)
    sys.exit(status or 0)
