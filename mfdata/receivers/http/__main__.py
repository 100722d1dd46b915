"""``python -m mfdata.receivers.http``."""

from __future__ import annotations

from mfdata.receivers.common_receiver import run_receiver
from mfdata.receivers.http.receiver import HttpReceiverKeys, serve

if __name__ == "__main__":
    run_receiver(HttpReceiverKeys, serve)
