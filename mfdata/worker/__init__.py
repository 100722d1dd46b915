"""The loop of a step process: claim, run, decide, settle."""
