"""The FTP receiver; ``python -m mfdata.receivers.ftp``."""
