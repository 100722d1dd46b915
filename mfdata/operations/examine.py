"""What doctor looks at for mfdata: libmagic, the ports of the receivers, where incoming directories are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mfdata.intake.directories import directories_of
from mfdata.storage.places import Places
from mfdata.switch.identify import Identifier, Unidentified
from mfext.doctor import OK, WARNING, Finding, port
from mfext.environment import Home
from mfext.section import Config
from mfext.supervision.supervisor import Supervisor

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin


def examine(home: Home, config: Config, plugins: Sequence[Plugin]) -> Iterator[Finding]:
    """All that mfdata needs of the machine."""
    yield libmagic()
    is_ours = Supervisor(home).is_running()
    for plugin in plugins:
        if plugin.builtin and plugin.name in ("ftp_receiver", "http_receiver"):
            yield _receiver(plugin, is_ours)
    yield incoming(home, config, plugins)


def libmagic() -> Finding:
    """Whether what a file is can be told from its content; only rules that ask for it need it."""
    try:
        Identifier().open()
    except Unidentified as error:
        return Finding("libmagic", WARNING, error.found or error.message, error.mend)
    return Finding("libmagic", OK, "it tells what a file is")


def incoming(home: Home, config: Config, plugins: Sequence[Plugin]) -> Finding:
    """Whether files that come in are renamed into the queues; from another file system each is copied."""
    if not home.var.is_dir():
        return Finding("incoming directories", OK, "there is no home yet")
    device = home.var.stat().st_dev
    found = directories_of(Places(home), config, plugins)
    there = [one.path for one in found if one.path.is_dir()]
    others = [str(path) for path in there if path.stat().st_dev != device]
    if others:
        text = f"on another file system than the home: {', '.join(others)}; each file is copied"
        return Finding("incoming directories", WARNING, text, "Put them below the home, or the home beside them.")
    return Finding("incoming directories", OK, f"{len(there)}, on the file system of the home")


def _receiver(plugin: Plugin, is_ours: bool) -> Finding:
    from mfdata.receivers.ftp.receiver import FtpReceiverKeys
    from mfdata.receivers.http.receiver import HttpReceiverKeys

    kind = FtpReceiverKeys if plugin.name == "ftp_receiver" else HttpReceiverKeys
    keys = plugin.config.section("custom", kind)
    return port(plugin.name, keys.host, keys.port, is_ours)
