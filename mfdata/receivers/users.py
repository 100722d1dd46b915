"""What was the command ``mfdata.users`` before there was one."""

from __future__ import annotations

import sys

from mfext.net.users import main

if __name__ == "__main__":
    sys.exit(main())
