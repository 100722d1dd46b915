"""Answers for each file of a batch; one that is sour spoils the others, until it is alone."""

from __future__ import annotations

from collections.abc import Sequence

from mfdata import BatchStep, Done, Failed, File
from mfdata.outcome import Outcome


class Each(BatchStep):
    """Several files in, each on its own way."""

    def process_batch(self, files: Sequence[File]) -> Sequence[Outcome]:
        """An outcome for each."""
        sour = any(file.basename.startswith("sour") for file in files)
        if sour and len(files) > 1:
            raise ValueError("one of them is sour")
        return [Failed("sour", permanent=True) if sour else Done(to=["a", "b*"]) for _ in files]


if __name__ == "__main__":
    Each.main()
