"""Answers as the name of the file asks."""

from __future__ import annotations

import time

from mfdata import Done, Failed, File, Output, Retry, Step
from mfdata.outcome import Outcome
from mfdata.storage.tags import PUT_BACK


class Main(Step):
    """Sends files every way there is."""

    def process(self, file: File) -> Outcome:
        """What the name asks for."""
        kind = file.basename.partition("-")[0]
        path = self.home.path / "out" / "path" / file.path.name
        if kind in ("made", "many"):
            return self.outputs(file, 1 if kind == "made" else 2)
        if kind in ("again", "later") and not file.tags.get("latest.core.attempt"):
            return Retry("not yet", after=0.3 if kind == "later" else 0.0)
        if kind == "bad" or (kind == "mended" and PUT_BACK not in file.tags):
            return Failed("no good", permanent=True, kind=kind)
        if kind == "stuck":
            self.hang_once(file)
        return {
            "two": Done(to=["a", "b"]),
            "linked": Done(to=["a*", "b*"]),
            "ends": Done(),
            "both": Done(),
            "named": Done(to=path),
            "named+one": Done(to=[path, "a"]),
            "packed": Done(to="pack"),
            "each": Done(to="each", priorities={"m/each": 2}),
            "sour": Done(to="each"),
            "moved": Done(to="never"),
            "twice": Done(to="once"),
        }.get(kind, Done(to="a"))

    def outputs(self, file: File, count: int) -> Done:
        """So many copies, all for A, and for B when there are several."""
        made = [self.output(f"{file.basename}.{number}") for number in range(count)]
        for path in made:
            path.write_bytes(file.path.read_bytes())
        return Done(*(Output(path, ("a",) if count == 1 else ("a", "b")) for path in made))

    def hang_once(self, file: File) -> None:
        """Take far too long, the first time."""
        mark = self.home.path / "stuck" / file.basename
        mark.parent.mkdir(exist_ok=True)
        if not mark.exists():
            mark.touch()
            time.sleep(60)


if __name__ == "__main__":
    Main.main()
