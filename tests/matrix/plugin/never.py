"""Fails for good: the policy sends the file on to another step."""

from __future__ import annotations

from mfdata import Failed, File, Step


class Never(Step):
    """Nothing ever works here."""

    def process(self, file: File) -> Failed:
        """Refuse it."""
        return Failed(f"{file.basename} is no good here", permanent=True)


if __name__ == "__main__":
    Never.main()
