"""The commands of mfserv."""
