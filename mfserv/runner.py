"""Processes of a plugin that goes on as it was accepted by an earlier version have this name."""

from __future__ import annotations

from mfserv.workers.worker import main

if __name__ == "__main__":
    main()
