"""The router's certificate: how long it is still good for."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from mfserv.routerlink import RouterLink


def days_left(link: RouterLink, certificate: str, now: datetime | None = None) -> float | None:
    """Days until the certificate in force ends, less than 0 when it has; None when the router does not tell."""
    end = not_after(link.try_to(f"show ssl cert {certificate}"))
    return None if end is None else round((end - (now or datetime.now(UTC))).total_seconds() / 86400, 1)


def not_after(answer: str) -> datetime | None:
    """The end of a certificate as HAProxy tells it (pure)."""
    match = re.search(r"^notAfter: (.+ GMT)$", answer, re.MULTILINE)
    return datetime.strptime(match[1], "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC) if match else None
