"""Waits for ever, on some files, while its table is locked."""

from __future__ import annotations

import time

from mfdata import Done, File, Step


class Stuck(Step):
    """Hangs on every tenth file while ``var/bad_day/stuck`` is there."""

    def process(self, file: File) -> Done:
        """To the end, or for ever."""
        while file.basename.endswith("0") and (self.home.var / "bad_day" / "stuck").exists():
            time.sleep(3600)
        return Done(to=self.home.path / "out" / self.plugin / file.path.name)


if __name__ == "__main__":
    Stuck.main()
