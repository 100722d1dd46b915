"""The queue of a step: what every engine promises, directories and rename, and files that are delayed."""
