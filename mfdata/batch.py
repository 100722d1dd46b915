"""BatchStep: what plugins extend to deal with many files in one call."""

from __future__ import annotations

from collections.abc import Sequence

from mfdata.file import File
from mfdata.outcome import Done, Outcome
from mfdata.step import Step

#: What a batch may be answered with: one outcome for all, or one for each, in order.
BatchOutcome = Outcome | Sequence[Outcome | None] | None


class BatchStep(Step):
    """A step that gets several files at once: ``batch_max_size`` at most, after ``batch_max_wait`` at the latest.

    A plugin extends :meth:`process_batch`.
    """

    def process_batch(self, files: Sequence[File]) -> BatchOutcome:
        """One outcome for all *files*, or a list with one for each, in order; None = ``Done()``.

        One outcome holds for all; a list has one for each, in order. One ``Done`` with outputs says that all files
        went into these outputs: the files end and the outputs are handed over in the same instant, or none of it.

        When it raises, or answers ``Failed`` for several files, it is called again for each of them alone, so that
        only those fail which are to blame. When it kills the process, the same is done after the restart.

        Args:
            files: the files of this batch, one at least, in the order of the queue.
        """
        raise TypeError(f"{type(self).__name__} has no method process_batch(self, files)")

    def process(self, file: File) -> Outcome | None:
        """The outcome of a batch of one.

        Args:
            file: the only file of the batch.
        """
        said = self.process_batch([file])
        return outcomes_of(said, 1)[0] if isinstance(said, Sequence) else said


def outcomes_of(said: BatchOutcome, count: int) -> list[Outcome]:
    """One outcome for each of *count* files.

    Raises:
        TypeError: there are more or fewer of them.
    """
    if not isinstance(said, Sequence):
        return [said or Done()] * count
    if len(said) != count:
        raise TypeError(f"process_batch gave {len(said)} outcomes for {count} files")
    return [one or Done() for one in said]
