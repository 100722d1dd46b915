"""Where jobs are kept: what every engine promises, and the engines."""
