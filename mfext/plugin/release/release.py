"""Make the archive of a plugin, NAME-VERSION-RELEASE.metwork.MODULE.plugin: an RPM, the same wherever it is made."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.environment import Home
from mfext.errors import ConfigError, MetworkError, NotAllowed, raise_all, retold, singly
from mfext.fs.atomic import replacing_file
from mfext.layer import PREFIX as LAYER
from mfext.plugin.environments import REQUIREMENTS, python_tag
from mfext.plugin.manifest import Plugin, load_plugin
from mfext.plugin.package import rpm
from mfext.plugin.package.rpm_version import Capability, parse_requirement, rpm_version
from mfext.plugin.python_requirements import has_compiled, vendor
from mfext.plugin.release.build import Facts, nfpm, one_line, rpmbuild
from mfext.plugin.release.staging import settle, stage
from mfext.version import software_version

if TYPE_CHECKING:
    from mfext.module import Module

#: The licence of a plugin that names none, as SPDX has it.
_LICENSE = "LicenseRef-Proprietary"
#: Whom to ask about one that names nobody.
_MAINTAINER = "the author of the plugin"


def release(
    folder: Path, module: Module, home: Home, target: Path, *, say: Callable[[str], None] = lambda _: None
) -> Path:
    """Build the archive of the plugin in *folder* in the folder *target*, and give its path.

    *say* gets a line before something that takes its time.

    Raises:
        MetworkError: the plugin is not correct, as plugins.check says, or cannot be built; nothing is left then.
    """
    plugin = load_plugin(folder, module, home, overridden=False)
    with tempfile.TemporaryDirectory(prefix="metwork-release.") as name:
        work = Path(name)
        staged = work / plugin.name
        stage(plugin.folder, staged)
        if (plugin.folder / REQUIREMENTS).is_file():
            say(f"Fetching what {plugin.folder / REQUIREMENTS} names")
            vendor(plugin.folder, staged)
        try:
            _check(staged, module, home)
        except MetworkError as error:
            # Who asked for the archive knows nothing of where it is built.
            raise retold(error, staged, plugin.folder) from None
        return build(replace(plugin, folder=staged), work, target)


def release_faults(folder: Path, module: Module, home: Home) -> list[MetworkError]:
    """What ``release`` would refuse of the plugin in *folder*, but for what it fetches and for programs that build."""
    found: list[MetworkError] = []
    try:
        plugin = load_plugin(folder, module, home, overridden=False)
        try:
            requirements_of(plugin, is_compiled=False)
        except MetworkError as error:
            found.append(error)
        with tempfile.TemporaryDirectory(prefix="metwork-release.") as name:
            staged = Path(name) / plugin.name
            stage(plugin.folder, staged)
            try:
                _check(staged, module, home)
            except MetworkError as error:
                raise retold(error, staged, plugin.folder) from None
    except MetworkError as error:
        known = {one.message for one in found}
        found += [one for one in singly(error) if one.message not in known]
    return found


def build(plugin: Plugin, work: Path, target: Path) -> Path:
    """Build the archive of *plugin*, whose staged folder is used up, in *target*; *work* is a folder beside it."""
    version, release_ = rpm_version(plugin.version), rpm_version(plugin.release)
    settle(plugin.folder)
    facts = _facts(plugin, version, release_)
    made = rpmbuild(facts, plugin.folder, work) if rpm.program("rpmbuild") else nfpm(facts, plugin.folder, work)
    return _placed(made, target / f"{plugin.name}-{version}-{release_}.metwork.{plugin.module}.plugin")


def requirements_of(plugin: Plugin, *, is_compiled: bool) -> list[Capability]:
    """What *plugin* requires: its module, other plugins, layers, and the Python that its compiled packages are for."""
    where = f"{plugin.config.origin('general', 'requires')} [general] requires"
    named = [parse_requirement(text, where) for text in plugin.general.requires]
    own = f"metwork-{plugin.module}"
    wanted = [
        one if one.name.startswith("metwork-") else replace(one, name=f"metwork_plugin({one.name})") for one in named
    ]
    foreign = [one for one in wanted if one.name.startswith("metwork-") and one.name != own]
    if foreign:
        mend = "Name it in [general] layers." if foreign[0].name.startswith(LAYER) else ""
        raise ConfigError(f"a plugin of {plugin.module} cannot require {foreign[0].name}", where=where, mend=mend)
    if not any(one.name == own for one in wanted):
        wanted.insert(0, _module_requirement(own))
    wanted += [Capability(f"{LAYER}{name}") for name in dict.fromkeys(plugin.general.layers)]
    if is_compiled:
        wanted.append(Capability(f"metwork_python({python_tag()})"))
    return wanted


def _module_requirement(name: str) -> Capability:
    """The version of the module that a plugin was made for, where that is one that can be compared."""
    version = software_version()
    if re.fullmatch(r"\d+(\.\d+)+", version):
        return parse_requirement(f"{name} >= {'.'.join(version.split('.')[:2])}", "")
    return Capability(name)


def _check(staged: Path, module: Module, home: Home) -> None:
    from mfext.configuration.module_config import module_config
    from mfext.plugin.author.check import faults
    from mfext.plugin.installed import survey

    plugin = load_plugin(staged, module, home, overridden=False)
    requirements_of(plugin, is_compiled=False)
    config = module_config(module, home)
    others = [one.plugin for one in survey(home, module, config) if one.plugin]
    raise_all(faults(plugin, home, module, config, others))
    _forget_imports(staged)


def _forget_imports(staged: Path) -> None:
    """Remove what Python left when the plugin was tried."""
    for folder in list(staged.rglob("__pycache__")):
        shutil.rmtree(folder)


def _facts(plugin: Plugin, version: str, release_: str) -> Facts:
    general = plugin.general
    is_compiled = has_compiled(plugin.folder)
    return Facts(
        name=plugin.name,
        version=version,
        release=release_,
        module=plugin.module,
        summary=one_line(general.summary) or plugin.name,
        license=one_line(general.license) or _LICENSE,
        url=one_line(general.url),
        vendor=one_line(general.vendor),
        maintainer=one_line(general.maintainer) or one_line(general.vendor) or _MAINTAINER,
        requires=tuple(map(str, requirements_of(plugin, is_compiled=is_compiled))),
        noarch=not is_compiled,
    )


def _placed(made: Path, target: Path) -> Path:
    """*made* moved to *target*, which appears whole or not at all."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing_file(target, mode=0o644) as unfinished:
            shutil.copyfile(made, unfinished)
    except OSError as error:
        raise NotAllowed(f"the archive cannot be written: {error.strerror}", where=str(target)) from error
    return target
