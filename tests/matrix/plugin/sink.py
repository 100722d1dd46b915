"""Puts the file under its waiting name, so that what was handed over twice is there twice."""

from __future__ import annotations

from mfdata import Done, File, Step


class Sink(Step):
    """The end of all files."""

    def process(self, file: File) -> Done:
        """To where it can be counted."""
        return Done(to=self.home.path / "out" / self.name / file.path.name)


if __name__ == "__main__":
    Sink.main()
