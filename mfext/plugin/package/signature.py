"""Signatures of archives: who signed one, and whether an administrator trusts that key; and signing."""

from __future__ import annotations

import re
import shutil
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mfext.environment import Home, administrators_folder, variables
from mfext.errors import MetworkError, NotAllowed, PluginError, ServiceUnavailable
from mfext.fs.atomic import replacing_file
from mfext.plugin.package import rpm
from mfext.plugin.package.archive import Archive, read_archive

_LINE = re.compile(r"Signature, key ID ([0-9a-f]+): (\w+)")
#: Suffixes of files that hold public keys.
_KEYS = ("*.asc", "*.gpg", "*.key")


@dataclass(frozen=True)
class Signature:
    """What is known of the signature of an archive."""

    #: none, trusted, unknown (made with a key that nobody put among the trusted ones), bad.
    state: str
    #: The end of the key's number; '' without a signature.
    key: str = ""

    def __str__(self) -> str:
        return f"{self.state}, key {self.key}" if self.key else self.state


def key_folders(home: Home) -> tuple[Path, Path]:
    """Where an administrator puts the public keys to trust: for the home, and for the whole machine."""
    return home.config / "keys", administrators_folder() / home.module / "keys"


def trusted_keys(home: Home) -> list[Path]:
    """The files of public keys that are trusted in *home*."""
    return sorted(file for folder in key_folders(home) for pattern in _KEYS for file in folder.glob(pattern))


def signature_of(archive: Archive, keys: Sequence[Path]) -> Signature:
    """Who signed *archive*, as its file and the public *keys* say."""
    if not archive.is_signed:
        return Signature("none")
    with tempfile.TemporaryDirectory(prefix="metwork-keys.") as database:
        keyring = ["rpmkeys", "--dbpath", database]
        for file in keys:
            if rpm.run([*keyring, "--import", file]).returncode:
                raise MetworkError("this is no public key", where=str(file), mend="Remove it, or export the key anew.")
        done = rpm.run([*keyring, "--checksig", "--verbose", archive.path.absolute()])
    found = [(match[1], match[2]) for match in _LINE.finditer(done.stdout + done.stderr)]
    key = found[0][0] if found else ""
    verdicts = {verdict for _, verdict in found}
    if verdicts == {"OK"} and done.returncode == 0:
        return Signature("trusted", key)
    return Signature("unknown" if verdicts and verdicts <= {"NOKEY", "OK"} else "bad", key)


def check_signature(archive: Archive, home: Home, *, required: str = "") -> Signature:
    """The signature of *archive*.

    Args:
        archive: what is signed or not.
        home: whose trusted keys count.
        required: who says that it must be signed with one of them; '' = nobody.

    Raises:
        PluginError: it is bad, or it is required and is missing or not a trusted one.
    """
    found = signature_of(archive, trusted_keys(home))
    where = str(archive.path)
    if found.state == "bad":
        raise PluginError("its signature is wrong: it was changed after it was signed", where=where)
    expected = f"a signature with a trusted key, as {required} says"
    if required and found.state == "none":
        mend = "Ask who made it for a signed one: plugins.sign."
        raise PluginError("it is not signed", where=where, expected=expected, mend=mend)
    if required and found.state == "unknown":
        raise PluginError(
            f"it is signed with the key {found.key}, which is not trusted here",
            where=where,
            expected=expected,
            mend=_how_to_trust(found.key, home),
        )
    return found


def _how_to_trust(key: str, home: Home) -> str:
    own, machine = key_folders(home)
    return (
        "If you trust who signed it, get their public key and put it into a file NAME.asc, for example with "
        f"mkdir -p {own} && gpg --armor --export {key} > {own}/{key}.asc; for the whole machine, in {machine}."
    )


def sign(path: Path, key: str) -> None:
    """Sign the archive *path* with the user's gpg key *key*; it changes in one step.

    Raises:
        MetworkError: it cannot be signed, and stays as it was.
    """
    read_archive(path)
    gpg = rpm.program("gpg")
    if gpg is None:
        raise ServiceUnavailable("there is no gpg here", mend="Install the package gnupg2 (on Debian: gnupg).")
    # gpg needs the user's keys and agent.
    environment = {name: value for name, value in variables().items() if name != "SOURCE_DATE_EPOCH"}
    try:
        with replacing_file(path, mode=stat.S_IMODE(path.stat().st_mode)) as unfinished:
            shutil.copyfile(path, unfinished)
            archive = unfinished.absolute()
            done = rpm.run(
                ["rpmsign", "--define", f"_gpg_name {key}", "--define", f"__gpg {gpg}", "--resign", archive],
                environment=environment,
            )
            if done.returncode or not read_archive(unfinished).is_signed:
                raise MetworkError(f"it cannot be signed:\n{done.stderr.strip()}", where=str(path))
    except OSError as error:
        raise NotAllowed(f"it cannot be signed: {error.strerror}", where=str(path)) from error
