"""Completion of commands in bash, zsh and fish: what click has for each, once for all our programs."""

from __future__ import annotations

from collections.abc import Sequence

from click.shell_completion import BashComplete, FishComplete, ZshComplete

from mfext.commands.output import COMPLETE

_FUNCTION = "_metwork_completion"
#: Stands for the one name for which click writes its script; none of its own words.
_NAME = "@program@"
#: How the script of a shell calls the program that is completed.
_TYPED = {"bash": _NAME, "zsh": "${words[1]}", "fish": "(commandline -opc)[1]"}
SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


def script(shell: str, programs: Sequence[str]) -> str:
    """What *shell* reads to complete the commands of *programs* (pure)."""
    given = {"complete_func": _FUNCTION, "complete_var": COMPLETE, "prog_name": _NAME}
    text = SHELLS[shell].source_template % given
    names = " ".join(programs)
    # Where the script names what it is for, click has room for one name.
    for before, after in (
        (f"#compdef {_NAME}", f"#compdef {names}"),
        (f"compdef {_FUNCTION} {_NAME}", f"compdef {_FUNCTION} {names}"),
        (f"-F {_FUNCTION} {_NAME}", f"-F {_FUNCTION} {names}"),
        (f"--command {_NAME}", " ".join(f"--command {name}" for name in programs)),
        (f"$+commands[{_NAME}]", "$+commands[${words[1]:t}]"),
    ):
        text = text.replace(before, after)
    return text.replace(_NAME, _TYPED[shell])


def programs_here() -> list[str]:
    """The programs that are installed here, by the metadata of the distribution, of modules that are here."""
    from importlib.metadata import PackageNotFoundError, distribution

    from mfext.module import has_module

    try:
        points = distribution("metwork").entry_points
    except PackageNotFoundError:
        return ["metwork"]
    names = sorted(point.name for point in points if point.group == "console_scripts")
    return [name for name in names if not name.startswith(("_", "mf")) or has_module(name.partition(".")[0])]
