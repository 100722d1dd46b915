"""Whether a plugin finds the other plugins, the module, the Python and the layers that it requires (pure)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from mfext.errors import MetworkError, PluginError
from mfext.layer import PREFIX as LAYER
from mfext.plugin.install.offers import Ground, Offer, Standing
from mfext.plugin.package.rpm_version import Capability

_PLUGIN = re.compile(r"metwork_plugin\((.*)\)")
#: BRANCH.COMMIT of a checkout: such versions have no order.
CHECKOUT = re.compile(r"[^-]*\.[0-9a-f]{7}(-.*)?")


def unmet_requirements(offers: Sequence[Offer], ground: Ground) -> Iterator[MetworkError]:
    """Requirements that are not met once *offers* are installed: theirs, and those of what is there on them."""
    versions = {name: standing.version for name, standing in ground.installed.items() if not standing.dev_link}
    versions |= {offer.name: offer.version for offer in offers}
    # A developer's plugin is what it is at the moment: it will do for any version.
    linked = {name for name, standing in ground.installed.items() if standing.dev_link}
    for offer in offers:
        for requirement in offer.requires:
            fault = _fault_of(requirement, versions, linked, ground)
            if fault:
                mend = f"Install the package {requirement.name}." if requirement.name.startswith(LAYER) else ""
                yield PluginError(f"it requires {_readable(requirement)}, {fault}", where=str(offer.path), mend=mend)
    changed = {offer.name for offer in offers}
    for standing in ground.installed.values():
        for requirement in map(parse, standing.requires):
            if standing.name not in changed and plugin_named(requirement) in changed:
                fault = _fault_of(requirement, versions, linked, ground)
                if fault:
                    yield PluginError(f'the plugin "{standing.name}" requires {_readable(requirement)}, {fault}')


def _fault_of(requirement: Capability, versions: Mapping[str, str], linked: Collection[str], ground: Ground) -> str:
    plugin = plugin_named(requirement)
    if plugin:
        if plugin in linked:
            return ""
        if plugin not in versions:
            return "which is not installed"
        met = requirement.is_met_by(versions[plugin])
        return "" if met else f"and that would be version {versions[plugin]}"
    if requirement.name == f"metwork-{ground.module}":
        met = CHECKOUT.fullmatch(ground.version) is not None or requirement.is_met_by(ground.version)
        return "" if met else f"and this is version {ground.version}"
    if requirement.name == f"metwork_python({ground.python})":
        return ""
    if requirement.name.startswith("metwork_python("):
        return f"and this is {ground.python}"
    if requirement.name.startswith(LAYER):
        name = requirement.name.removeprefix(LAYER)
        return "" if name in ground.layers else f'and the layer "{name}" is not on this machine'
    return "which is none of MetWork's"


def needed_by(removed: Collection[str], installed: Mapping[str, Standing]) -> list[MetworkError]:
    """What speaks against the removal of the plugins *removed*: others that require them."""
    return [
        PluginError(f'the plugin "{standing.name}" requires {requirement}', mend=f'Uninstall "{standing.name}" first.')
        for standing in installed.values()
        if standing.name not in removed
        for requirement in map(parse, standing.requires)
        if plugin_named(requirement) in removed
    ]


def required_plugins(offer: Offer) -> set[str]:
    return {plugin_named(requirement) for requirement in offer.requires} - {""}


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


def _readable(requirement: Capability) -> str:
    plugin = plugin_named(requirement)
    return str(requirement).replace(requirement.name, f'the plugin "{plugin}"', 1) if plugin else str(requirement)
