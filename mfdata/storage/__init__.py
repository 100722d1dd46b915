"""What is on disk: the folders of each state, names, tags, the trace, and syncs for many files at once."""
