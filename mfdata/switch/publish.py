"""Put in force what running processes take without a restart: the switch's rules."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mfdata.storage.places import Places
from mfdata.switch.switch import Published, published
from mfext.environment import Home
from mfext.errors import ServiceUnavailable
from mfext.mainloop import ready_facts

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin
    from mfext.section import Config

SWITCH = "step.switch.main"
_WAIT_S = 10.0


def publish(home: Home, config: Config, plugins: Sequence[Plugin]) -> None:
    """Write the rules of *plugins* and return once every switch process that runs has taken them.

    Raises:
        ConfigError: a rule is wrong; the old rules stay in force.
        ServiceUnavailable: a switch process did not take the rules in time.
    """
    rules = published(config, plugins)
    fingerprint = rules.fingerprint(rules.compiled())
    rules.write(Places(home))
    _wait(home, rules, fingerprint)


def _wait(home: Home, rules: Published, fingerprint: str) -> None:
    deadline = time.monotonic() + _WAIT_S
    while late := [pid for pid, taken in _switches(home) if taken != fingerprint]:
        if time.monotonic() > deadline:
            raise ServiceUnavailable(
                f"the switch has not taken {len(rules.rules)} rules within {_WAIT_S:g} s",
                where=f"process {', '.join(map(str, late))} of {SWITCH}",
                mend="See its log; the files wait until it does.",
            )
        time.sleep(0.01)


def _switches(home: Home) -> Iterator[tuple[int, str]]:
    """Pid of every switch process that is ready, and the fingerprint of the rules that it has."""
    for pid, facts in ready_facts(home, SWITCH).items():
        yield pid, facts.get("rules", "")
