"""The switch: what a file is, which rules hold for it, and how rules are compiled and published."""
