"""Foreign: pages of metrics that other programs make, as Prometheus' own checker wants them (pure)."""

from __future__ import annotations

import re

_COUNTER = re.compile(r"^#\s+TYPE\s+(\S+)\s+counter$", re.MULTILINE)


def mended(page: str) -> str:
    """The *page* with counters whose names end in ``_total``, as those of counters must."""
    wrong = [name for name in _COUNTER.findall(page) if not name.endswith("_total")]
    for name in wrong:
        place = rf"^((?:# (?:HELP|TYPE) )?){re.escape(name)}(?=[ {{])"
        page = re.sub(place, rf"\1{name}_total", page, flags=re.MULTILINE)
    return page
