"""Puts all files of a batch into one."""

from __future__ import annotations

from collections.abc import Sequence

from mfdata import BatchStep, Done, File


class Pack(BatchStep):
    """Several files in, one out."""

    def process_batch(self, files: Sequence[File]) -> Done:
        """One output, a line a file."""
        out = self.output("packed")
        out.write_bytes(b"\n".join(file.path.read_bytes() for file in files))
        return Done(out, to="a")


if __name__ == "__main__":
    Pack.main()
