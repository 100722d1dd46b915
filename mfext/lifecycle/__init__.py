"""Start, stop, apply, status and upgrade of a module."""
