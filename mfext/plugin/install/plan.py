"""What an installation is to do, decided from the archives and from what is installed (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mfext.errors import Conflict, MetworkError, PluginError, raise_all
from mfext.plugin.install.offers import Ground, Offer
from mfext.plugin.install.plugin_requirements import CHECKOUT, required_plugins, unmet_requirements
from mfext.plugin.package.rpm_version import compare_full


@dataclass(frozen=True)
class Permission:
    """Which changes of a plugin that is there already were asked for."""

    upgrade: bool = False
    downgrade: bool = False


def plan(offers: Sequence[Offer], ground: Ground, allowed: Permission) -> list[Offer]:
    """Those of *offers* that change something, each after those that it requires.

    Raises:
        MetworkError: they cannot be installed; everything that speaks against it at once.
    """
    raise_all([fault for offer in offers if (fault := _fault(offer, ground, allowed))])
    raise_all(list(_doubles(offers)))
    wanted = [offer for offer in offers if not _is_there(offer, ground)]
    raise_all(list(unmet_requirements(wanted, ground)))
    return in_order(wanted)


def in_order(offers: Sequence[Offer]) -> list[Offer]:
    """*offers* with each after those that it requires; those in a circle as they come."""
    left, done = {offer.name: offer for offer in offers}, dict[str, Offer]()
    while left:
        free = [offer for offer in left.values() if not (required_plugins(offer) & left.keys()) - {offer.name}]
        for offer in free or [next(iter(left.values()))]:
            done[offer.name] = left.pop(offer.name)
    return list(done.values())


def _fault(offer: Offer, ground: Ground, allowed: Permission) -> MetworkError | None:
    standing = ground.installed.get(offer.name)
    where = str(offer.path)
    if standing is None or _is_there(offer, ground):
        return None
    if standing.builtin:
        return Conflict(f'the plugin "{offer.name}" is built in', where=where, mend="Give it another name: --new-name.")
    if standing.dev_link:
        return Conflict(
            f'the plugin "{offer.name}" is dev-linked to {standing.dev_link}',
            where=where,
            mend=f"Remove the link first, its files stay: plugins.uninstall {offer.name}",
        )
    newer = order(offer.version, standing.version)
    if newer < 0 and not allowed.downgrade:
        return Conflict(
            f"it is version {offer.version}, older than {standing.version}, which is installed",
            where=where,
            mend="If that is meant: --downgrade.",
        )
    if newer >= 0 and not allowed.upgrade and not (newer == 0 and allowed.downgrade):
        return Conflict(
            f'the plugin "{offer.name}" is installed in version {standing.version}, this is {offer.version}',
            where=where,
            mend="If it shall take its place: --upgrade.",
        )
    return None


def order(version: str, other: str) -> int:
    """The order of two versions; of two without an order, the one to be installed is taken for the newer one."""
    if CHECKOUT.fullmatch(version) or CHECKOUT.fullmatch(other):
        return 0 if version == other else 1
    return compare_full(version, other)


def _is_there(offer: Offer, ground: Ground) -> bool:
    standing = ground.installed.get(offer.name)
    return standing is not None and standing.digest == offer.digest != ""


def _doubles(offers: Sequence[Offer]) -> Iterator[MetworkError]:
    by_name: dict[str, list[Offer]] = {}
    for offer in offers:
        by_name.setdefault(offer.name, []).append(offer)
    for name, same in by_name.items():
        if len(same) > 1:
            paths = " and ".join(str(offer.path) for offer in same)
            yield PluginError(f'several archives of the plugin "{name}": {paths}', expected="one of them")
