"""Keeps some memory of every file."""

from __future__ import annotations

from mfdata import Done, File, Step

_kept: list[bytearray] = []


class Leaky(Step):
    """Takes 20 MB a file while ``var/bad_day/leaky`` is there, and gives none back."""

    def process(self, file: File) -> Done:
        """To the end, as long as there is memory."""
        if (self.home.var / "bad_day" / "leaky").exists():
            _kept.append(bytearray(20_000_000))
        return Done(to=self.home.path / "out" / self.plugin / file.path.name)


if __name__ == "__main__":
    Leaky.main()
