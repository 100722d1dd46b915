"""HAProxy's own metrics: all that it counts, for the process that shows metrics."""

from __future__ import annotations

import http.client

from mfext.environment import Home
from mfext.errors import ServiceUnavailable
from mfext.metrics.foreign import mended
from mfext.net.unix import UnixHTTPConnection
from mfserv.router.names import EXPORTER

#: Seconds that HAProxy may take for its page.
_ANSWER = 10.0


def page(home: Home, query: str) -> str:
    """What HAProxy of *home* counts; *query* is for its exporter (``scope=server``, ...).

    Raises:
        ServiceUnavailable: it does not answer.
    """
    try:
        return mended(_asked(home, f"/?{query}"))
    except (OSError, http.client.HTTPException) as error:
        raise ServiceUnavailable(f"the router does not answer: {error}", where=str(home.run / EXPORTER)) from None


def _asked(home: Home, path: str) -> str:
    connection = UnixHTTPConnection(home.run / EXPORTER, _ANSWER)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
    finally:
        connection.close()
    if answer.status != 200:
        raise ServiceUnavailable(f"HAProxy shows no metrics: {text}")
    return text
