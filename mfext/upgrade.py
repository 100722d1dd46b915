"""The scriptlets of RPMs ask for this name, before and after the files are replaced."""

from __future__ import annotations

import sys

from mfext.lifecycle.upgrade import main

if __name__ == "__main__":
    sys.exit(main())
