"""The HTTP receiver; ``python -m mfdata.receivers.http``."""
