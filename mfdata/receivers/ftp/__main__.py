"""``python -m mfdata.receivers.ftp``."""

from __future__ import annotations

from mfdata.receivers.common_receiver import run_receiver
from mfdata.receivers.ftp.receiver import FtpReceiverKeys, serve

if __name__ == "__main__":
    run_receiver(FtpReceiverKeys, serve)
