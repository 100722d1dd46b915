"""The tree of a package, as it will lie below ``/``, the same to the bit whenever and wherever it is made."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mfext.commands.completion import script
from mfext.commands.manual import manual_pages
from mfext.configuration.module_config import default_config
from mfext.module import load_module
from mfext.version import RELEASE
from rpm.contents import ROOT, Facts, LayerPackage, ModulePackage, commands_of, lock_of
from rpm.target import Target
from rpm.wheels import names_in, site_of

#: What a checkout holds besides sources.
JUNK_PARTS = frozenset(("__pycache__", ".ruff_cache", ".mypy_cache", ".pytest_cache"))
_JUNK = shutil.ignore_patterns(*JUNK_PARTS, "*.pyc", "*.egg-info")
_FILES = Path(__file__).with_name("files")
_MFEXT = Path("opt/metwork-mfext")
#: Where shells look for the completion of commands; Debian's zsh looks elsewhere.
BASH = Path("usr/share/bash-completion/completions")
FISH = Path("usr/share/fish/vendor_completions.d")
ZSH, DEBIAN_ZSH = Path("usr/share/zsh/site-functions"), Path("usr/share/zsh/vendor-completions")


def stage_module(package: ModulePackage, tree: Path, target: Target, build: Path, facts: Facts) -> None:
    """Fill the folder *tree* with what the package of a module holds."""
    name = package.module
    home = tree / "opt" / package.name
    if name == "mfext":
        _stage_framework(tree, target, build, facts)
    else:
        _stage_plain_module(name, tree, home, target)
    _stage_commands(name, tree, home, facts.version)
    _finish(name, tree, target, facts.epoch)


def stage_layer(package: LayerPackage, tree: Path, target: Target, build: Path, facts: Facts) -> None:
    """Fill the folder *tree* with what the package of a layer holds: nothing that mfext brings in its own version."""
    place = Path("opt") / package.name / target.site
    there = names_in(_framework_site(target, build))
    shutil.copytree(site_of(lock_of(package.layer), "/" / place, target, build, without=there), tree / place)
    _even_out(tree, facts.epoch)


def _framework_site(target: Target, build: Path) -> Path:
    return site_of(lock_of("mfext"), "/" / _MFEXT / target.site, target, build)


def _stage_framework(tree: Path, target: Target, build: Path, facts: Facts) -> None:
    home = tree / _MFEXT
    site = home / target.site
    shutil.copytree(_framework_site(target, build), site)
    shutil.copytree(ROOT / "mfext", site / "mfext", ignore=_JUNK)
    shutil.copytree(ROOT / "docs", home / "share" / "doc", ignore=_JUNK)
    for name in ("LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, home / "share" / "doc")
    _stage_metadata(site, facts)
    # With pyvenv.cfg beside it, the system's Python is one of our own: it finds our packages and no others.
    (home / "bin").mkdir()
    (home / "bin" / "python3").symlink_to(target.python)
    (home / "pyvenv.cfg").write_text(f"home = {target.python.parent}\ninclude-system-site-packages = false\n")
    _copy("metwork.sh", tree / "etc/profile.d/metwork.sh")
    _copy("profile", home / "share/profile")
    _copy("service", home / "share/service", mode=0o755)
    _write(home / "share/shell.rc", (ROOT / "mfext/shell.rc").read_text("utf-8"))
    _copy("metwork.target", tree / "usr/lib/systemd/system/metwork.target")
    _write(tree / "usr/lib/sysusers.d/metwork-mfext.conf", "g metwork -\n")
    _copy("sysctl.conf", tree / "usr/lib/sysctl.d/60-metwork.conf")
    for folder in ("etc/metwork.config.d", "usr/lib/systemd/system/metwork.target.wants"):
        (tree / folder).mkdir()


def _stage_plain_module(name: str, tree: Path, home: Path, target: Target) -> None:
    shutil.copytree(ROOT / name, home / "lib" / name, ignore=_JUNK)
    templates = ROOT / "plugin_templates" / name
    if templates.is_dir():
        shutil.copytree(templates, home / "lib" / "plugin_templates" / name, ignore=_JUNK)
    _write(tree / _MFEXT / target.site / f"metwork-{name}.pth", f"/opt/metwork-{name}/lib\n")
    unit = (_FILES / "module.service").read_text("utf-8").replace("MODULE", name)
    _write(tree / f"usr/lib/systemd/system/metwork-{name}.service", unit)
    wants = tree / "usr/lib/systemd/system/metwork.target.wants"
    wants.mkdir()
    (wants / f"metwork-{name}.service").symlink_to(f"../metwork-{name}.service")
    user = f'u {name} - "MetWork module {name}" /home/{name} /bin/bash\nm {name} metwork\n'
    _write(tree / f"usr/lib/sysusers.d/metwork-{name}.conf", user)
    config = tree / "etc/metwork.config.d" / name
    (config / "plugins").mkdir(parents=True)
    _write(config / "config.ini", default_config(load_module(name)))
    (tree / "home" / name).mkdir(parents=True)


def _stage_metadata(site: Path, facts: Facts) -> None:
    """The metadata of the distribution, which announce the modules, as pip would write them; and our release."""
    metadata = site / f"metwork-{facts.version}.dist-info"
    _write(metadata / RELEASE, f"{facts.release}\n")
    settings = _setup_cfg()
    _write(
        metadata / "METADATA",
        f"Metadata-Version: 2.1\nName: metwork\nVersion: {facts.version}\n"
        f"Summary: {settings['metadata']['description']}\nLicense: {settings['metadata']['license']}\n",
    )
    groups = settings["options.entry_points"].items()
    _write(metadata / "entry_points.txt", "".join(f"[{name}]{points}\n\n" for name, points in groups))


def _stage_commands(module: str, tree: Path, home: Path, software: str) -> None:
    """One program under many names: it does what its name says; with manual pages, and completion for shells."""
    points = _setup_cfg()["options.entry_points"]["console_scripts"].splitlines()
    scripts = [point.split("=")[0].strip() for point in points]
    folder = home / "bin"
    folder.mkdir(exist_ok=True)
    # Each package has the program itself: none of its commands leads into another package.
    _copy("metwork", folder / "metwork", mode=0o755)
    names = [name for name in commands_of(module, scripts) if name]
    for name in names:
        if name != "metwork":
            (folder / name).symlink_to("metwork")
    for page, text in manual_pages(names, software).items():
        _write(home / "share/man/man1" / page, text)
    _stage_completion(module, tree, [name for name in names if not name.startswith("_")])


def _stage_completion(module: str, tree: Path, names: Sequence[str]) -> None:
    """What the shells of the distribution read when one of *names* is completed first."""
    first = "metwork" if "metwork" in names else names[0]
    # bash and fish look for a file that has the name of the command, zsh into the first line of all.
    for shell, folder, suffix in (("bash", BASH, ""), ("fish", FISH, ".fish")):
        _write(tree / folder / f"{first}{suffix}", script(shell, names))
        for name in names:
            if name != first:
                (tree / folder / f"{name}{suffix}").symlink_to(f"{first}{suffix}")
    _write(tree / ZSH / ("_metwork" if module == "mfext" else f"_metwork-{module}"), script("zsh", names))


def version() -> str:
    """The version of the software."""
    return _setup_cfg()["metadata"]["version"]


def _setup_cfg() -> configparser.ConfigParser:
    settings = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    settings.optionxform = str  # type: ignore[assignment,method-assign]
    settings.read(ROOT / "setup.cfg", "utf-8")
    return settings


def _finish(module: str, tree: Path, target: Target, epoch: int) -> None:
    """Give all the same time and plain modes, and make the bytecode, which notes the time of its source."""
    _even_out(tree, epoch)
    package = next(tree.glob(f"opt/*/lib/**/{module}/__init__.py")).parent
    # One process: what several write may come out in another form.
    compiling = ["-I", "-m", "compileall", "-q", "-j", "1", "--invalidation-mode", "timestamp"]
    subprocess.run([target.python, *compiling, "-s", tree, "-p", "/", package], check=True)
    _even_out(tree, epoch)


def _even_out(tree: Path, epoch: int) -> None:
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            is_open = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if is_open else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def _copy(name: str, path: Path, mode: int = 0o644) -> None:
    _write(path, (_FILES / name).read_text("utf-8"))
    path.chmod(mode)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
