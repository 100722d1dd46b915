"""Progress: how a service tells how far it is with a job, for those who ask for the job meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

from mfext.environment import Home, current_module, home_of

_TIMEOUT_S = 5.0


def report_progress(place: str, progress: float, message: str = "", home: Home | None = None) -> bool:
    """Report that a job is done to *progress* per cent, and say whether its result is still wanted.

    Args:
        place: what the request has in the header ``X-Metwork-Progress``; '' = it is no job, nothing is done.
        progress: per cent, from 0 to 100.
        message: what is being done, one line.
        home: of the module; by default the one in which the service runs.

    Returns:
        Whether the result is still wanted: False once the job was dismissed, or given to somebody else.

    Raises:
        OSError: the gateway cannot be reached; the job itself is not affected.
    """
    if not place:
        return True
    from mfserv.jobs.execution.attempt import UnixConnection  # every app imports this file, few report

    connection = UnixConnection(_socket(home or home_of(current_module())), timeout=_TIMEOUT_S)
    try:
        body = json.dumps({"progress": progress, "message": message})
        connection.request("PUT", place, body, {"Content-Type": "application/json"})
        return connection.getresponse().status != 409
    finally:
        connection.close()


#: Its name in services that were written before it was to be had from mfserv itself.
report = report_progress


def _socket(home: Home) -> Path:
    return home.run / "gateway.sock"
