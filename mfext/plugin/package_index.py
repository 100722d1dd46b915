"""Where Python packages are fetched from: the settings of pip, given to uv as well.

Which of the two installs depends on the machine; an index, a proxy or a certificate that one of them is to use is
therefore said once, where pip reads it: in ``pip.conf`` or in variables that begin with ``PIP_``.
"""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

#: Sections of pip.conf that count for an installation; the last wins.
_SECTIONS = ("global", "install")
#: pip's setting, uv's variable for it, and what stands between several values there; '' = there is one.
_SAME = (
    ("index-url", "UV_DEFAULT_INDEX", ""),
    ("extra-index-url", "UV_INDEX", " "),
    ("find-links", "UV_FIND_LINKS", ","),
    ("trusted-host", "UV_INSECURE_HOST", " "),
    ("default-timeout", "UV_HTTP_TIMEOUT", ""),
    ("timeout", "UV_HTTP_TIMEOUT", ""),
    ("retries", "UV_HTTP_RETRIES", ""),
    ("keyring-provider", "UV_KEYRING_PROVIDER", ""),
    ("cert", "SSL_CERT_FILE", ""),
    ("client-cert", "SSL_CLIENT_CERT", ""),
    ("proxy", "ALL_PROXY", ""),
)
#: pip's switches, uv's variables for them, and their values.
_SWITCHES = (("no-cache-dir", "UV_NO_CACHE", "1"), ("pre", "UV_PRERELEASE", "allow"))
#: pip's settings for which uv has an option of the same name and no variable.
_OPTIONS = ("only-binary", "no-binary")
#: Other names that uv reads for the same; what somebody has said to uv itself stays.
_OTHER_NAMES = {
    "UV_DEFAULT_INDEX": ("UV_INDEX_URL",),
    "UV_INDEX": ("UV_EXTRA_INDEX_URL",),
    "UV_HTTP_TIMEOUT": ("UV_REQUEST_TIMEOUT", "HTTP_TIMEOUT"),
    # One for the scheme goes before that for all.
    "ALL_PROXY": ("HTTPS_PROXY", "https_proxy", "all_proxy"),
}
_PYPI = "https://pypi.org/simple"
_YES = ("1", "true", "yes", "on", "y", "t")


def pip_settings(variables: Mapping[str, str], prefix: Path = Path(sys.prefix)) -> dict[str, str]:
    """The settings of pip that are in force for an installation, by their names in ``pip.conf``.

    pip itself need not be there.

    Args:
        variables: the environment.
        prefix: the environment of Python, which may have a ``pip.conf`` of its own.
    """
    found: dict[str, str] = {}
    for file in _files(variables, prefix):
        reader = configparser.RawConfigParser(strict=False)
        try:
            reader.read(file, "utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip says it, where it is the one that installs
        for section in _SECTIONS:
            if reader.has_section(section):
                found.update({key.replace("_", "-"): value for key, value in reader.items(section)})
    for name, value in variables.items():
        if name.startswith("PIP_") and value:
            found[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return found


def uv_variables(settings: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that make uv do what pip does with *settings*; what *variables* say to uv already stays (pure)."""
    # pip trusts whom the system trusts, and takes the best version of all indexes.
    wanted = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
    for setting, variable, between in _SAME:
        values = settings.get(setting, "").split()
        if values:
            wanted[variable] = between.join(values) if between else values[0]
    wanted |= {variable: value for switch, variable, value in _SWITCHES if _is_on(settings, switch)}
    if "UV_INDEX" in wanted:
        wanted["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {
        name: value
        for name, value in wanted.items()
        if not any(variables.get(other) for other in (name, *_OTHER_NAMES.get(name, ())))
    }


def uv_options(settings: Mapping[str, str], *, resolves: bool = False) -> list[str]:
    """What has no variable, or counts only where versions are still chosen (*resolves*) (pure)."""
    constraints = settings.get("constraint", "").split() if resolves else ()
    options = [word for file in constraints for word in ("--constraint", file)]
    options += [word for name in _OPTIONS for one in _words(settings.get(name, "")) for word in (f"--{name}", one)]
    return [*options, "--no-index"] if _is_on(settings, "no-index") else options


def index_name(settings: Mapping[str, str]) -> str:
    """The indexes that *settings* name, without passwords (pure)."""
    if _is_on(settings, "no-index"):
        named = settings.get("find-links", "").split()
    else:
        named = [settings.get("index-url", _PYPI), *settings.get("extra-index-url", "").split()]
    return ", ".join(re.sub(r"//[^/@]*@", "//", one) for one in named) or "no index"


def _is_on(settings: Mapping[str, str], switch: str) -> bool:
    return settings.get(switch, "").lower() in _YES


def _words(text: str) -> list[str]:
    """The names in *text*, which pip lets stand with commas or blanks between them."""
    return text.replace(",", " ").split()


def _files(variables: Mapping[str, str], prefix: Path) -> list[Path]:
    """The files that pip reads, the last with the last word."""
    own = variables.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return []
    home = Path(variables.get("HOME") or Path.home())
    for_all = (variables.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    personal = Path(variables.get("XDG_CONFIG_HOME") or home / ".config")
    return [
        *(Path(folder, "pip", "pip.conf") for folder in reversed(for_all) if folder),
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        personal / "pip" / "pip.conf",
        prefix / "pip.conf",
        *([Path(own)] if own else []),
    ]
