"""Needs a table at its start."""

from __future__ import annotations

from mfdata import Done, File, Step


class Shaky(Step):
    """Does not start while ``var/bad_day/shaky`` is there."""

    def open(self) -> None:
        """Read the table."""
        if (self.home.var / "bad_day" / "shaky").exists():
            raise RuntimeError("the table of stations cannot be read")

    def process(self, file: File) -> Done:
        """To the end."""
        return Done(to=self.home.path / "out" / self.plugin / file.path.name)


if __name__ == "__main__":
    Shaky.main()
