"""Processes: the arbiter, what it keeps running, limits, ends, and how it is asked."""
