"""``python -m mfext``: the command ``metwork``."""

from __future__ import annotations

import sys

from mfext.commands.cli import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
