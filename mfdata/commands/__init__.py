"""The commands of mfdata."""
