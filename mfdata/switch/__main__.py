"""``python -m mfdata.switch``."""

from __future__ import annotations

from mfdata.switch.switch import Switch

if __name__ == "__main__":
    Switch.main()
