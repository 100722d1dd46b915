"""Delete: let every file end, on record."""

from __future__ import annotations

from dataclasses import dataclass

from mfdata import Done, File, Step
from mfext.section import Section


@dataclass(frozen=True)
class DeleteKeys(Section):
    """Nothing to set: which files are deleted is what the switch sends here."""


class Delete(Step):
    """The trace names the step as the rule by which the file was dropped."""

    Custom = DeleteKeys
    custom: DeleteKeys

    def process(self, file: File) -> Done:
        return Done(dropped_by=f"{self.plugin}/{self.name}")


if __name__ == "__main__":
    Delete.main()
