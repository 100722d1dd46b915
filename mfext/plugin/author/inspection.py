"""Everything that plugins.check finds out: of a folder, of an installed plugin, of an archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfext.environment import Home
from mfext.errors import Conflict, MetworkError, PluginError
from mfext.plugin.install.verify import Differences

if TYPE_CHECKING:
    from mfext.module import Module
    from mfext.plugin.installed import Installed
    from mfext.plugin.manifest import Plugin


@dataclass(frozen=True)
class Inspection:
    """What was found."""

    name: str
    faults: tuple[MetworkError, ...] = ()
    warnings: tuple[MetworkError, ...] = ()
    #: How the files of an installed release differ from its archive.
    differences: Differences = field(default_factory=Differences)

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "name": self.name,
            "faults": [fault.message for fault in self.faults],
            "warnings": [warning.message for warning in self.warnings],
            **asdict(self.differences),
        }


def inspect(which: str, module: Module, home: Home) -> Inspection:
    """What is wrong with *which*: the path of a folder or of an archive, or the name of an installed plugin.

    Raises:
        MetworkError: it cannot be found, or not be read at all; or it is installed in another user's home.
    """
    from mfext.configuration.module_config import module_config
    from mfext.owner import check_owner
    from mfext.plugin.author.check import faults, new_warnings
    from mfext.plugin.install.repair import interrupted
    from mfext.plugin.installed import chosen, survey
    from mfext.plugin.package.archive import is_archive
    from mfext.plugin.release.release import release_faults

    if is_archive(which):
        return _of_archive(Path(which), module, home)
    told = interrupted(module, home)
    config = module_config(module, home)
    plugin, installed = chosen(which, home, module)
    if installed:
        # The check imports the plugin's code, which is the module's user's, and perhaps not harmless for others.
        check_owner(home)
    places = survey(home, module, config)
    others = [one.plugin for one in places if one.plugin]
    found = faults(plugin, home, module, config, others)
    found = found or [*module.trial(home, plugin)]
    if not installed and any(one.builtin for one in others if one.name == plugin.name):
        where = f"{plugin.config.origin('general', 'name')} [general] name"
        found.append(Conflict(f'the plugin "{plugin.name}" is built in', where=where, mend="Give it another name."))
    lacking: list[MetworkError] = []
    if plugin.environments:
        found += _new_to(found, release_faults(plugin.folder, module, home))
        lacking = _lacking(plugin, module, places)
    differences = _differences(plugin, home) if installed else Differences()
    if differences.is_damaged:
        found.append(_damaged(plugin, differences))
    warnings = new_warnings(plugin, home, module, config, others)
    return Inspection(plugin.name, tuple(found), (*told, *plugin.unused, *lacking, *warnings), differences)


def _new_to(found: Sequence[MetworkError], others: Sequence[MetworkError]) -> list[MetworkError]:
    """Those of *others* that say something else than *found*."""
    known = {one.message for one in found}
    return [one for one in others if one.message not in known]


def _lacking(plugin: Plugin, module: Module, places: Sequence[Installed]) -> list[MetworkError]:
    """What a release of *plugin* requires and an installation would not find here."""
    from mfext.plugin.install.install import ground
    from mfext.plugin.install.offers import Offer
    from mfext.plugin.install.plugin_requirements import unmet_requirements
    from mfext.plugin.release.release import requirements_of

    try:
        required = tuple(requirements_of(plugin, is_compiled=False))
    except MetworkError:
        return []  # a fault of its own
    offer = Offer(plugin.name, f"{plugin.version}-{plugin.release}", "", plugin.folder, required)
    return [*unmet_requirements([offer], ground(module, places))]


def _of_archive(path: Path, module: Module, home: Home) -> Inspection:
    from mfext.configuration.module_config import module_config
    from mfext.configuration.plugin_policy import signature_rule
    from mfext.plugin.package.archive import check_payload, fits, read_archive
    from mfext.plugin.package.signature import check_signature

    archive = read_archive(path)
    check_payload(archive)
    check_signature(archive, home, required=signature_rule(module_config(module, home)))
    fault = fits(archive, home.module)
    return Inspection(archive.name, (fault,) if fault else ())


def _differences(plugin: Plugin, home: Home) -> Differences:
    from mfext.plugin.install.repair import difference
    from mfext.plugin.marker import read_marker

    marker = None if plugin.dev_link or plugin.builtin else read_marker(plugin.folder)
    return difference(marker, home) if marker else Differences()


def _damaged(plugin: Plugin, differences: Differences) -> MetworkError:
    count = len(differences.changed) + len(differences.missing)
    return PluginError(
        f"{count} file(s) are not as they were in the archive of {plugin.name} {plugin.version}",
        where=str(plugin.folder),
        mend=f"Bring them back: plugins.repair {plugin.name}",
    )
