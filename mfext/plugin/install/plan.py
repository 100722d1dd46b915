"""What an installation is to do, decided from the archives and from what is installed (pure)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mfext.errors import Conflict, MetworkError, PluginError, raise_all
from mfext.layer import PREFIX as LAYER
from mfext.plugin.package.rpm_version import Capability, compare_full

_PLUGIN = re.compile(r"metwork_plugin\((.*)\)")
#: BRANCH.COMMIT of a checkout: such versions have no order.
_CHECKOUT = re.compile(r"[^-]*\.[0-9a-f]{7}(-.*)?")


@dataclass(frozen=True)
class Standing:
    """A plugin that is installed."""

    name: str
    #: ``VERSION-RELEASE``.
    version: str
    #: Of the header of the archive that it came from; '' when it came from none.
    digest: str = ""
    requires: tuple[str, ...] = ()
    #: The developer's folder that it is linked to.
    dev_link: Path | None = None
    builtin: bool = False


@dataclass(frozen=True)
class Offer:
    """A plugin that an archive brings."""

    name: str
    version: str
    digest: str
    path: Path
    requires: tuple[Capability, ...] = ()


@dataclass(frozen=True)
class Ground:
    """What an installation stands on."""

    module: str
    #: Version of the module.
    version: str
    #: Tag of the Python that runs plugins.
    python: str
    installed: Mapping[str, Standing]
    #: Names of the layers that are on this machine, for that Python.
    layers: Collection[str] = ()


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
    raise_all(list(_unmet(wanted, ground)))
    return in_order(wanted)


def in_order(offers: Sequence[Offer]) -> list[Offer]:
    """*offers* with each after those that it requires; those in a circle as they come."""
    left, done = {offer.name: offer for offer in offers}, dict[str, Offer]()
    while left:
        free = [offer for offer in left.values() if not (_required_plugins(offer) & left.keys()) - {offer.name}]
        for offer in free or [next(iter(left.values()))]:
            done[offer.name] = left.pop(offer.name)
    return list(done.values())


def needed_by(removed: Collection[str], installed: Mapping[str, Standing]) -> list[MetworkError]:
    """What speaks against the removal of the plugins *removed*: others that require them."""
    return [
        PluginError(f'the plugin "{standing.name}" requires {requirement}', mend=f'Uninstall "{standing.name}" first.')
        for standing in installed.values()
        if standing.name not in removed
        for requirement in map(parse, standing.requires)
        if plugin_named(requirement) in removed
    ]


def parse(text: str) -> Capability:
    """The capability that ``str`` made *text* of."""
    from mfext.plugin.package.rpm_version import SENSES

    name, _, rest = text.partition(" ")
    sign, _, version = rest.partition(" ")
    return Capability(name, version, SENSES.get(sign, 0))


def plugin_named(requirement: Capability) -> str:
    """The plugin that is required; '' when it is something else."""
    match = _PLUGIN.fullmatch(requirement.name)
    return match[1] if match else ""


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
    if _CHECKOUT.fullmatch(version) or _CHECKOUT.fullmatch(other):
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


def _unmet(offers: Sequence[Offer], ground: Ground) -> Iterator[MetworkError]:
    """Requirements that are not met once *offers* are installed: theirs, and those of what is there on them."""
    versions = {name: standing.version for name, standing in ground.installed.items() if not standing.dev_link}
    versions |= {offer.name: offer.version for offer in offers}
    # A developer's plugin is what it is at the moment: it will do for any version.
    linked = {name for name, standing in ground.installed.items() if standing.dev_link}
    for offer in offers:
        for requirement in offer.requires:
            fault = _unmet_one(requirement, versions, linked, ground)
            if fault:
                mend = f"Install the package {requirement.name}." if requirement.name.startswith(LAYER) else ""
                yield PluginError(f"it requires {_said(requirement)}, {fault}", where=str(offer.path), mend=mend)
    changed = {offer.name for offer in offers}
    for standing in ground.installed.values():
        for requirement in map(parse, standing.requires):
            if standing.name not in changed and plugin_named(requirement) in changed:
                fault = _unmet_one(requirement, versions, linked, ground)
                if fault:
                    yield PluginError(f'the plugin "{standing.name}" requires {_said(requirement)}, {fault}')


def _unmet_one(requirement: Capability, versions: Mapping[str, str], linked: Collection[str], ground: Ground) -> str:
    plugin = plugin_named(requirement)
    if plugin:
        if plugin in linked:
            return ""
        if plugin not in versions:
            return "which is not installed"
        met = requirement.is_met_by(versions[plugin])
        return "" if met else f"and that would be version {versions[plugin]}"
    if requirement.name == f"metwork-{ground.module}":
        met = _CHECKOUT.fullmatch(ground.version) is not None or requirement.is_met_by(ground.version)
        return "" if met else f"and this is version {ground.version}"
    if requirement.name == f"metwork_python({ground.python})":
        return ""
    if requirement.name.startswith("metwork_python("):
        return f"and this is {ground.python}"
    if requirement.name.startswith(LAYER):
        name = requirement.name.removeprefix(LAYER)
        return "" if name in ground.layers else f'and the layer "{name}" is not on this machine'
    return "which is none of MetWork's"


def _required_plugins(offer: Offer) -> set[str]:
    return {plugin_named(requirement) for requirement in offer.requires} - {""}


def _said(requirement: Capability) -> str:
    plugin = plugin_named(requirement)
    return str(requirement).replace(requirement.name, f'the plugin "{plugin}"', 1) if plugin else str(requirement)
