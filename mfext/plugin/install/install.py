"""Install released plugins: check the archives, stage, validate, then one transaction; all of them or none."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.configuration.plugin_policy import signature_rule
from mfext.environment import Home
from mfext.errors import Conflict, MetworkError, PluginError, Several, UsageError, raise_all, retold
from mfext.fs.lock import exclusive
from mfext.layer import layers as known_layers
from mfext.owner import check_owner
from mfext.plugin.environments import python_tag
from mfext.plugin.install.background import aside
from mfext.plugin.install.candidate import Taken, offer_of, take
from mfext.plugin.install.offers import Ground, Standing
from mfext.plugin.install.plan import Permission, order, plan
from mfext.plugin.install.transaction import Change, Journal, Transaction
from mfext.plugin.installed import Installed, survey
from mfext.plugin.manifest import Plugin, load_plugin
from mfext.plugin.marker import Marker, markers, read_marker, write_marker
from mfext.plugin.package.archive import Archive, extract
from mfext.version import software_version

if TYPE_CHECKING:
    from mfext.lifecycle.preview import Preview
    from mfext.module import Module

#: Told how far an installation is: what is at work, how many of all are done.
Progress = Callable[[str, int, int], None]

#: Bytes that must stay free: what rpm's database and the processes that start again write.
_SPARE = 2_000_000

#: What the progress calls the time before anything is changed.
PREPARING = "Preparing..."


@dataclass(frozen=True)
class Wish:
    """What was asked for."""

    paths: Sequence[Path]
    allowed: Permission = field(default_factory=Permission)
    #: Under which name the one archive is installed; '' = its own.
    new_name: str = ""
    require_signature: bool = False


@dataclass(frozen=True)
class Installation:
    """What came of it."""

    installed: tuple[Marker, ...]
    #: Whether the module runs, and so do they.
    runs: bool = False
    #: What is worth a warning.
    problems: tuple[MetworkError, ...] = ()


def alone(home: Home, act: str) -> AbstractContextManager[None]:
    """Nobody else changes the plugins of *home* meanwhile: a second command waits, or gives up with a Conflict."""
    home.run.mkdir(parents=True, exist_ok=True)
    return exclusive(home.run / "plugins.lock", f"the plugins of {home.module}", act)


def install(wish: Wish, module: Module, home: Home, progress: Progress = lambda *_: None) -> Installation:
    """Install, upgrade or downgrade the plugins that *wish* names, and run them; all of them or none.

    Raises:
        MetworkError: nothing was changed, or what was there before goes on.
    """
    from mfext.configuration.module_config import module_config
    from mfext.lifecycle import lifecycle

    _check_wish(wish)
    lifecycle.init(module, home)
    with alone(home, "install"):
        required = _signatures(wish, module, home)
        transaction = Transaction(module, home)
        told = transaction.recover()
        progress(PREPARING, 0, 1)
        with prepared(transaction):
            places = survey(home, module, module_config(module, home))
            chosen = _chosen(wish, transaction, required, places)
            done = put_in(chosen, transaction, progress, places)
    return replace(done, problems=(*told, *done.problems))


def preview(wish: Wish, module: Module, home: Home) -> Preview:
    """What ``install`` would do; the archives are unpacked and looked at as it does, and nothing is put in force.

    Raises:
        MetworkError: nothing would be changed, for this reason.
    """
    from mfext.configuration.module_config import module_config
    from mfext.lifecycle.preview import preview_plugins

    _check_wish(wish)
    check_owner(home)
    with alone(home, "install --dry-run"):
        transaction = Transaction(module, home)
        check_ended(transaction)
        with prepared(transaction):
            places = survey(home, module, module_config(module, home))
            chosen = _chosen(wish, transaction, _signatures(wish, module, home), places)
            _, unused = aside(lambda: _ready(chosen, transaction, places))
            new = [load_plugin(transaction.folder / one.archive.name, module, home) for one in chosen]
            found = preview_plugins(module, home, new, ())
    installed = ground(module, places).installed
    acts = []
    for one in chosen:
        name, version = one.archive.name, one.archive.full_version
        before = installed.get(name)
        if before is None:
            acts.append(f"install {name} {version}")
        else:
            act = "downgrade" if order(version, before.version) < 0 else "upgrade"
            acts.append(f"{act} {name} from {before.version} to {version}")
    return replace(found, plugins=acts, problems=unused)


def check_ended(transaction: Transaction) -> None:
    """Make sure that no killed change is left, which every command but a look would bring to its end first.

    Raises:
        Conflict: there is one.
    """
    if transaction.is_written:
        raise Conflict(
            "a killed command left a change of plugins unfinished",
            where=str(transaction.home.plugins),
            mend="plugins.repair ends it.",
        )


def _check_wish(wish: Wish) -> None:
    if wish.new_name and len(wish.paths) != 1:
        raise UsageError("--new-name names one plugin", expected="one archive")


def _signatures(wish: Wish, module: Module, home: Home) -> str:
    """Who says that archives must be signed; '' = nobody."""
    from mfext.configuration.module_config import module_config

    required = "--require-signature" if wish.require_signature else signature_rule(module_config(module, home))
    if wish.new_name and required not in ("", "--require-signature"):
        raise UsageError(
            "a plugin under another name is another archive, which nobody has signed",
            expected=f"signed ones, as {required} says",
            mend="Change its name, release and sign it.",
        )
    return required


def _chosen(wish: Wish, transaction: Transaction, required: str, places: Sequence[Installed]) -> list[Taken]:
    """What of the archives that were asked for changes something, in the order in which it is put in."""
    taken = aside(lambda: [_taken(path, wish, at, transaction, required) for at, path in enumerate(wish.paths)])
    stands = ground(transaction.module, places)
    offers = plan([offer_of(one.archive, one.given) for one in taken], stands, wish.allowed)
    by_name = {one.archive.name: one for one in taken}
    return [by_name[offer.name] for offer in offers]


def put_in(
    chosen: Sequence[Taken], transaction: Transaction, progress: Progress, places: Sequence[Installed]
) -> Installation:
    """Stage and validate what was *chosen*, in this order, and carry it out.

    Args:
        chosen: what is installed.
        transaction: the one that was begun.
        progress: is told how far it is.
        places: where something is installed so far.

    Raises:
        MetworkError: nothing was changed, or what was there before goes on.
    """
    placed: list[str] = []

    def is_placed(name: str) -> None:
        placed.append(name)
        progress(name, len(placed), len(chosen))

    stamps, unused = aside(lambda: _ready(chosen, transaction, places))
    progress(PREPARING, 1, 1)
    if not chosen:
        return Installation(())
    for one in chosen:
        one.archive.path.rename(transaction.releases / _kept_name(one.archive))
    journal = Journal(tuple(_change(name, stamp, transaction.home) for name, stamp in stamps.items()))
    try:
        result = replace(transaction, placed=is_placed).carry_out(journal)
    except MetworkError as error:
        raise _with_consequence(error, [one.archive.name for one in chosen], transaction) from error
    found = markers(transaction.home)
    done = tuple(found[one.archive.name] for one in chosen)
    return Installation(done, result.changed, (*unused, *result.problems))


def _ready(
    chosen: Sequence[Taken], transaction: Transaction, places: Sequence[Installed]
) -> tuple[dict[str, str], list[MetworkError]]:
    """Stage and validate what was *chosen*: the stamp of each by its name, and overrides that they do not know."""
    staged = [(one, _staged(one, transaction)) for one in chosen]
    unused = _validate([(one, place) for one, (place, _) in staged], transaction, places)
    return {one.archive.name: stamp for one, (_, stamp) in staged}, unused


class prepared:  # noqa: N801  # read as words: with prepared(transaction)
    """The empty folder of a transaction; if nothing is carried out, nothing is left of it."""

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction

    def __enter__(self) -> None:
        self.transaction.begin()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not self.transaction.is_written:
            self.transaction.abandon()
        if isinstance(error, OSError):
            raise MetworkError(
                f"the plugins cannot be written: {error.strerror}",
                where=str(self.transaction.home.plugins),
                mend="Nothing was changed.",
            ) from error


def ground(module: Module, places: Sequence[Installed]) -> Ground:
    """What an installation stands on in a home where *places* are installed."""
    layers = {one.name for one in known_layers() if one.site.is_dir()}
    return Ground(module.name, software_version(), python_tag(), {one.name: _standing(one) for one in places}, layers)


def _taken(path: Path, wish: Wish, number: int, transaction: Transaction, required: str) -> Taken:
    place = transaction.folder / f"{number}.plugin"
    taken = take(path, place, transaction.home, required)
    if wish.new_name and wish.new_name != taken.archive.name:
        from mfext.plugin.install.rename import renamed

        archive = renamed(taken.archive, wish.new_name, transaction)
        return Taken(archive, taken.signature, path)
    return taken


def _standing(one: Installed) -> Standing:
    marker = None if one.dev_link or one.builtin else read_marker(one.place)
    plugin = one.plugin
    version = f"{plugin.version}-{plugin.release}" if plugin else "0"
    return Standing(
        one.name,
        marker.full_version if marker else version,
        marker.digest if marker else "",
        marker.requires if marker else (),
        one.place.resolve() if one.dev_link else None,
        one.builtin,
    )


def _staged(taken: Taken, transaction: Transaction) -> tuple[Path, str]:
    """The new folder of a plugin, complete with its note, and the stamp in that."""
    archive = taken.archive
    place = transaction.folder / archive.name
    now = transaction.home.plugins / archive.name
    if now.is_symlink():
        raise Conflict("there is a dev-link", where=str(now), mend=f"plugins.uninstall {archive.name}")
    _check_room(archive, transaction)
    try:
        extract(archive, place)
    except PluginError as error:
        raise retold(error, archive.path, taken.given) from None
    before = read_marker(now)
    stamp = secrets.token_hex(8)
    marker = Marker(
        archive.name,
        archive.version,
        archive.release,
        archive=_kept_name(archive),
        digest=archive.header.digest,
        stamp=stamp,
        signature=str(taken.signature),
        installed=time.time(),
        requires=tuple(map(str, archive.requires)),
        previous=_previous(before, archive),
    )
    write_marker(place, marker)
    return place, stamp


def _change(name: str, stamp: str, home: Home) -> Change:
    return Change(name, stamp, replaces=(home.plugins / name).exists())


def _previous(before: Marker | None, archive: Archive) -> str:
    """The archive to go back to: that of another version, also when one is installed once more."""
    if before is None:
        return ""
    return before.previous if before.digest == archive.header.digest else before.archive


def _kept_name(archive: Archive) -> str:
    return f"{archive.name}-{archive.full_version}.{archive.header.digest[:12]}.plugin"


def _check_room(archive: Archive, transaction: Transaction) -> None:
    """A disk that is too small is told before anything is written."""
    free = shutil.disk_usage(transaction.folder).free
    needed = archive.room + _SPARE
    if needed > free:
        raise MetworkError(
            f"there is no room for the plugin {archive.name}: {free // 1000} kB are free",
            where=str(transaction.home.plugins),
            expected=f"{needed // 1000} kB",
            mend="Nothing was changed.",
        )


def _validate(
    staged: Sequence[tuple[Taken, Path]], transaction: Transaction, places: Sequence[Installed]
) -> list[MetworkError]:
    """Check staged plugins as they will run, together and with those that stay; overrides that they do not know.

    Raises:
        MetworkError: what is wrong, all of it at once.
    """
    from mfext.configuration.module_config import module_config
    from mfext.plugin.author.check import faults, new_warnings

    module, home = transaction.module, transaction.home
    config = module_config(module, home)
    plugins = [_loaded(taken, place, module, home) for taken, place in staged]
    names = {plugin.name for plugin in plugins}
    stay = [one.plugin for one in places if one.plugin and one.name not in names]
    found: list[MetworkError] = []
    for plugin, (taken, place) in zip(plugins, staged, strict=True):
        found += [
            retold(fault, place, taken.given) for fault in faults(plugin, home, module, config, [*stay, *plugins])
        ]
    raise_all(found)
    worth: list[MetworkError] = [unused for plugin in plugins for unused in plugin.unused]
    for plugin, (taken, place) in zip(plugins, staged, strict=True):
        others = [*stay, *plugins]
        worth += [retold(one, place, taken.given) for one in new_warnings(plugin, home, module, config, others)]
    return worth


def _loaded(taken: Taken, place: Path, module: Module, home: Home) -> Plugin:
    try:
        plugin = load_plugin(place, module, home)
    except MetworkError as error:
        raise retold(error, place, taken.given) from None
    if plugin.name != taken.archive.name:
        raise PluginError(
            f'its config.ini says that it is the plugin "{plugin.name}"',
            where=str(taken.given),
            expected=f'"{taken.archive.name}", as its header says',
        )
    return plugin


def _with_consequence(error: MetworkError, names: Sequence[str], transaction: Transaction) -> MetworkError:
    """*error* with what became of the plugins *names*."""
    there = markers(transaction.home)
    parts = [
        f"{name} {there[name].full_version} goes on" if name in there else f"{name} is not installed" for name in names
    ]
    return (
        type(error)(f"{error.message.rstrip()}\nNothing was installed: {', '.join(parts)}")
        if not isinstance(error, Several)
        else Several([*error.errors, PluginError(f"Nothing was installed: {', '.join(parts)}")])
    )
