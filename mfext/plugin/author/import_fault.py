"""What kept a plugin's program from being imported, from what Python said on stderr: the cause first (pure)."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path

from mfext.environment import SOFTWARE
from mfext.errors import PluginError

_FRAME = re.compile(r'  File "(?P<file>[^"]+)", line (?P<line>\d+)')
_STACK = "Traceback (most recent call last):\n"


def import_fault(said: str, folder: Path, program: str) -> PluginError:
    """The fault of *program*, of the plugin in *folder*, whose import said this on stderr.

    It begins with the line of the plugin that raised, and what it raised; frames of MetWork and of Python are left out.
    """
    text = said.strip()
    _, found, stack = text.rpartition(_STACK)
    if not found:
        return PluginError(f"cannot be imported:\n{text}" if text else "cannot be imported", where=program)
    frames, cause = _parts(stack)
    own = [frame for frame in frames if _is_shown(frame[0])]
    of_plugin = [frame for frame in own if Path(frame[0]).is_relative_to(folder)]
    where = program
    if of_plugin:
        file, number, _ = of_plugin[-1]
        where = f"{folder.name}/{Path(file).relative_to(folder)}:{number}"
    first, *more = cause.split("\n")
    below = [line for _, _, lines in own for line in lines] if len(own) > 1 else []
    return PluginError("\n".join([f"{first} (cannot be imported)", *more, *below]), where=where)


def _parts(stack: str) -> tuple[list[tuple[str, int, list[str]]], str]:
    """The frames of a *stack*, each with file, line and the text that shows it; and the exception below them."""
    frames: list[tuple[str, int, list[str]]] = []
    lines = stack.split("\n")
    for at, line in enumerate(lines):
        if frame := _FRAME.match(line):
            frames.append((frame["file"], int(frame["line"]), [line]))
        elif line.startswith("  ") and frames:
            frames[-1][2].append(line)
        else:
            return frames, "\n".join(lines[at:])
    return frames, ""


def _is_shown(file: str) -> bool:
    """Whether a frame in *file* says something: it is neither of MetWork nor of Python itself."""
    ours = ("<", *(f"{SOFTWARE}/{name}/" for name in ("mfext", "mfdata", "mfserv")))
    standard = f"{sysconfig.get_path('stdlib')}/"
    is_standard = file.startswith(standard) and "site-packages" not in file
    return not (file.startswith(ours) or is_standard)
