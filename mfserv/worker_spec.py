"""Spec: what one worker is to do, as it is told to it (pure)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Spec:
    """What a worker is to do."""

    app: str
    slot: int
    #: asgi, wsgi, tornado, auto, command or static.
    kind: str
    #: ``module:object``, a command line, or a folder.
    target: str
    #: Of its socket, in the home's folder of run-time state.
    socket: str
    concurrency: int
    max_body: int
    health: str
    graceful_timeout: float
    max_age: float
    debug: bool
    #: What placeholders in a command stand for.
    values: dict[str, str] = field(default_factory=dict)

    def as_text(self) -> str:
        """The spec as an argument of a command."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Spec:
        """The spec that ``as_text`` gave *text* of."""
        return cls(**json.loads(text))
