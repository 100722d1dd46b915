"""What is delivered: one RPM for each module and each layer. A new one is one entry here (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: The checkout.
ROOT = Path(__file__).resolve().parent.parent

#: The package that all others need.
FRAMEWORK = "metwork-mfext"


@dataclass(frozen=True)
class Facts:
    """What all packages of one build say of themselves."""

    version: str
    release: str
    license: str
    #: The time that all of it gets, in seconds since 1970.
    epoch: int
    #: Whom to ask about it.
    packager: str = "MetWork <https://github.com/metwork-framework>"

    @property
    def build(self) -> str:
        """``VERSION-RELEASE``."""
        return f"{self.version}-{self.release}"


@dataclass(frozen=True)
class Dependencies:
    """What a package needs, as the tags of a spec file have it."""

    #: Without it the package is not installed.
    requires: tuple[str, ...] = ()
    #: dnf brings it where it can.
    recommends: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModulePackage:
    """The RPM of one module: its Python package of the same name, its templates, its commands."""

    module: str
    summary: str
    #: Packages of the distribution that the module is of use with; dnf brings them, rpm does not insist.
    #: Debian's rpm knows nothing of what dpkg installed, so that nothing of the system may be required.
    recommends: tuple[str, ...] = ()
    #: What it needs of a Debian, whose dpkg knows what is there.
    debian: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the package."""
        return f"metwork-{self.module}"

    def dependencies(self, build: str, python: Path) -> Dependencies:
        """What it needs, of the software *build* (``VERSION-RELEASE``) that runs on *python*."""
        if self.module == "mfext":
            # A weak dependency: dnf brings it, while the rpm of a Debian, which does not know it, does not refuse.
            return Dependencies(recommends=(*self.recommends, str(python)))
        return Dependencies((f"{FRAMEWORK} = {build}",), self.recommends)


@dataclass(frozen=True)
class LayerPackage:
    """The RPM of one layer: Python packages that a plugin gets when it asks for them."""

    layer: str
    summary: str

    @property
    def name(self) -> str:
        """Name of the RPM."""
        return f"metwork-mfext-layer-{self.layer}"

    def dependencies(self, build: str, python: Path) -> Dependencies:
        """What it needs, of the software *build* (``VERSION-RELEASE``) that runs on *python*."""
        version = build.rpartition("-")[0]
        of_python = f"{FRAMEWORK}(python) = {python.name.removeprefix('python')}"
        return Dependencies((f"{FRAMEWORK} >= {version}", of_python))


MODULES = (
    ModulePackage(
        "mfext",
        "MetWork framework: configuration, supervision, plugins, third-party software",
        recommends=("bash", "make", "util-linux"),
        debian=("bash", "util-linux", "passwd", "rpm"),
    ),
    ModulePackage(
        "mfdata",
        "MetWork mfdata: custom actions on incoming files",
        recommends=("file-libs",),
        debian=("libmagic1",),
    ),
    ModulePackage(
        "mfserv", "MetWork mfserv: web services and their router", recommends=("haproxy",), debian=("haproxy",)
    ),
)
LAYERS = (
    LayerPackage("scientific", "MetWork layer: Python software for meteorology and other sciences of the earth"),
    LayerPackage("magics", "MetWork layer: Magics, plots of meteorological data"),
)


def lock_of(name: str) -> Path:
    """The lock file, with hashes, of the third-party software that *name* (``mfext`` or a layer) brings."""
    return ROOT / "rpm" / "locks" / f"{name}.txt"


def commands_of(module: str, scripts: Sequence[str]) -> list[str]:
    """Those of the console *scripts* that belong to *module*; what belongs to no other one is of mfext."""
    others = [f"{one.module}." for one in MODULES if one.module != "mfext"]
    if module == "mfext":
        return [script for script in scripts if not script.startswith(tuple(others))]
    return [script for script in scripts if script.startswith(f"{module}.")]
