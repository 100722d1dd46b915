"""Command: run a program on every file."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from mfdata import Done, Failed, File, Output, Retry, Step
from mfdata.steps.child import Ended, run
from mfdata.storage.file_names import fitted
from mfext.errors import ConfigError
from mfext.option import option
from mfext.section import Section

#: Exit statuses that say more than "it failed" (sysexits.h).
DATA_ERROR, TRY_AGAIN = 65, 75

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._+=@,:-]")


@dataclass(frozen=True)
class CommandKeys(Section):
    """What runs, and what becomes of what it writes."""

    command_template: str = option(
        help="The program and its arguments, quoted as for a shell but run without one. {PATH} stands for the "
        "absolute path of the file, which ends in the name that it has for people (in a word that holds more than "
        "{PATH}, as a script does, only letters, digits and ._+=@,:- of it are kept), {BASENAME} for its name, {UID} "
        "for its identity, {PLUGIN_DIR} for the folder of the plugin, {OUTPUT_DIR} for an empty folder whose files go "
        "to output_to. Exit status 0 = done, 75 = try again by the retry policy, 65 = the file is bad, another try is "
        "of no use; any other = failed.",
        example="gdal_translate -of PNG {PATH} {OUTPUT_DIR}/image.png",
    )
    output_to: str = option(
        "", help="The step that gets every file which the command wrote into {OUTPUT_DIR}, as PLUGIN/STEP."
    )
    output_required: bool = option(True, help="With output_to: a command that writes nothing has failed.")
    timeout: float = option(
        300.0, unit="s", minimum=0, help="Time after which the command and all that it started is killed; 0 = never."
    )

    def __post_init__(self) -> None:
        where = "[custom] command_template"
        try:
            named = any("{PATH}" in word for word in self.words)
        except ValueError as error:
            raise ConfigError(f"the command cannot be split into words: {error}", where=where) from error
        if not named:
            raise ConfigError("the command does not name the file", where=where, expected="{PATH} in it")
        if ("{OUTPUT_DIR}" in self.command_template) != bool(self.output_to):
            raise ConfigError("{OUTPUT_DIR} and output_to go together: one of them is missing", where=where)

    @property
    def words(self) -> list[str]:
        """The program and its arguments."""
        return shlex.split(self.command_template)


class Command(Step):
    """Runs the command once a file, in the folder of the plugin."""

    Custom = CommandKeys
    custom: CommandKeys

    def open(self) -> None:
        """Look for the program once.

        Raises:
            ConfigError: it is not there, or may not be run.
        """
        program = replaced(self.custom.words[0], {"{PLUGIN_DIR}": str(Path.cwd())})
        if "{" not in program and shutil.which(program) is None:
            where = f"{self.plugin} [custom] command_template"
            raise ConfigError(f'there is no program "{program}"', where=where, expected="one that may be run")

    def process(self, file: File) -> Done | Retry | Failed:
        folder = self.output("folder").parent if self.custom.output_to else None
        named = self._named(file)
        try:
            ended = run(self._command(file, named, folder), self.custom.timeout)
        finally:
            if named != file.path:
                named.unlink(missing_ok=True)
        failure = outcome_of(ended, self.custom.timeout)
        if failure is not None:
            return failure
        if ended.output.strip():
            self.log.debug("the command wrote", output=ended.output.strip())
        return self._handed_on(folder) if folder else Done()

    def _named(self, file: File) -> Path:
        """The file under its own name, for programs that look at names: in a folder of its own.

        Inside of a word the path may become a part of a script, in which a name must not say anything.
        """
        is_word = all(word == "{PATH}" for word in self.custom.words if "{PATH}" in word)
        name = file.basename if is_word else _NOT_PLAIN.sub("_", file.basename)
        try:
            named = self.output(fitted(name))
        except ValueError:  # it is no name that a file can have
            return file.path
        try:
            os.link(file.path, named)  # not a symbolic one, which some programs would take for the file
        except OSError:
            named.symlink_to(file.path.absolute())
        return named

    def _command(self, file: File, named: Path, folder: Path | None) -> list[str]:
        values = {
            "{PATH}": str(named.absolute()),
            "{BASENAME}": file.basename,
            "{UID}": file.uid,
            "{PLUGIN_DIR}": str(Path.cwd()),
            "{OUTPUT_DIR}": str(folder),
        }
        return [replaced(word, values) for word in self.custom.words]

    def _handed_on(self, folder: Path) -> Done | Failed:
        paths = sorted(Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
        strange = [path for path in paths if path.is_symlink() or not path.is_file()]
        if strange:
            return Failed(f"the command made {strange[0].name!r}, which is not a regular file")
        if not paths and self.custom.output_required:
            return Failed("the command ended well but wrote nothing into {OUTPUT_DIR}")
        return Done(*(Output(path, to=(self.custom.output_to,)) for path in paths))


def replaced(word: str, values: dict[str, str]) -> str:
    """*word* with each placeholder replaced once: what a value holds is never replaced."""
    for name, value in values.items():
        before, found, after = word.partition(name)
        if found:
            return replaced(before, values) + value + replaced(after, values)
    return word


def outcome_of(ended: Ended, timeout: float) -> Retry | Failed | None:
    """What the end of the command says; None = it did its work."""
    said = f": {' '.join(ended.output.split())[-1000:]}" if ended.output.strip() else ""
    if ended.timed_out:
        return Failed(f"the command did not end within {timeout:g} s and was killed{said}")
    if ended.status < 0:
        return Failed(f"the command was ended by {signal.Signals(-ended.status).name}{said}")
    if ended.status == TRY_AGAIN:
        return Retry(f"the command asks for another try (exit status {TRY_AGAIN}){said}")
    if ended.status:
        return Failed(f"the command ended with exit status {ended.status}{said}", permanent=ended.status == DATA_ERROR)
    return None


if __name__ == "__main__":
    Command.main()
