"""The reference: all is always well here."""

from __future__ import annotations

from mfdata import Done, File, Step


class Good(Step):
    """Puts the file where it can be counted."""

    def process(self, file: File) -> Done:
        """To the end."""
        return Done(to=self.home.path / "out" / self.plugin / file.path.name)


if __name__ == "__main__":
    Good.main()
