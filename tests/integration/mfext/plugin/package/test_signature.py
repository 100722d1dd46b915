"""Archives that are signed, and homes that want signed ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mfext.commands.cli import run
from mfext.plugin.package.archive import read_archive
from tests.integration.mfext.conftest import GOOD, Site


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The public key of a new pair; gpg has the other half."""
    gpg = shutil.which("gpg")
    if gpg is None or shutil.which("rpmsign") is None:
        if "CI" in os.environ:
            pytest.fail("gpg or rpmsign is missing")
        pytest.skip("gpg or rpmsign is missing")
    folder = tmp_path / "g"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(folder))
    parameters = (
        "Key-Type: RSA\nKey-Length: 2048\nName-Email: signer@example.org\nExpire-Date: 0\n%no-protection\n%commit\n"
    )
    subprocess.run([gpg, "--batch", "--gen-key"], input=parameters.encode(), check=True, capture_output=True)
    public = tmp_path / "signer.asc"
    exported = subprocess.run([gpg, "--armor", "--export", "signer@example.org"], check=True, capture_output=True)
    public.write_bytes(exported.stdout)
    yield public
    subprocess.run(["gpgconf", "--kill", "all"], check=False, capture_output=True)


def test_signatures_are_made_and_required(site: Site, key: Path) -> None:
    archive = site.release("one")
    assert "it is not signed" in site.refuses("install", "--require-signature", archive)
    site.does("sign", "--key", "signer@example.org", archive)
    assert "which is not trusted here" in site.refuses("install", "--require-signature", archive)
    keys = site.home.config / "keys"
    keys.mkdir()
    shutil.copy(key, keys)
    site.does("install", "--require-signature", archive)
    assert site.listed()["one"]["signature"].startswith("trusted, key ")
    assert json.loads(site.does("info", "--json", archive))["signature"].startswith("trusted")


def _rule(site: Site) -> Path:
    """The administrator requires signatures."""
    rule = site.folder / "etc" / "mfdata" / "config.ini"
    rule.parent.mkdir(parents=True, exist_ok=True)
    rule.write_text("[plugins]\nrequire_signature = 1\n")
    return rule


def _trust(site: Site, key: Path) -> Path:
    keys = site.home.config / "keys"
    keys.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(key, keys))


def test_an_administrator_requires_signatures_of_whatever_is_installed(site: Site, key: Path) -> None:
    rule = _rule(site)
    archive = site.release("one")
    expected = f"expected a signature with a trusted key, as {rule}:2 [plugins] require_signature says"
    assert expected in site.refuses("install", archive)
    assert expected in site.refuses("check", archive)
    site.does("sign", "--key", "signer@example.org", archive)
    message = site.refuses("install", archive)
    assert "which is not trusted here" in message
    assert f"gpg --armor --export {read_key(message)} > {site.home.config}/keys/" in message
    _trust(site, key)
    assert "which nobody has signed" in site.refuses("install", "--new-name", "other", archive)
    site.does("install", archive)


def read_key(message: str) -> str:
    """The number of the key that is not trusted."""
    return message.partition("with the key ")[2].partition(",")[0]


def test_what_goes_back_or_is_repaired_is_signed_too(site: Site, key: Path) -> None:
    old, new = site.release("one"), site.release("one", "1.1")
    site.does("install", old)
    site.does("sign", "--key", "signer@example.org", new)
    _trust(site, key)
    _rule(site)
    site.does("install", "--upgrade", new)
    assert "it is not signed" in site.refuses("rollback", "one")
    (site.home.plugins / "one" / "main.py").write_text("changed")
    site.does("repair")
    assert (site.home.plugins / "one" / "main.py").read_text() == GOOD
    (site.home.plugins / "one" / "main.py").write_text("changed")
    _trust(site, key).unlink()
    assert "which is not trusted here" in site.refuses("repair")
    assert site.versions() == {"one": "1.1"}


def test_what_is_provided_is_signed_too(site: Site, key: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _rule(site)
    provided = site.folder / "etc" / "mfdata" / "plugins"
    provided.mkdir(parents=True)
    unsigned, signed = site.release("one"), site.release("two")
    site.does("sign", "--key", "signer@example.org", signed)
    for archive in (unsigned, signed):
        shutil.copy(archive, provided)
    _trust(site, key)
    run(["mfdata", "start"])
    assert "one-1.0-1.metwork.mfdata.plugin: it is not signed" in capfd.readouterr().err
    assert site.versions() == {"two": "1.0"}


def test_what_was_changed_after_it_was_signed_is_refused(site: Site, key: Path) -> None:
    archive = site.release("one")
    site.does("sign", "--key", "signer@example.org", archive)
    keys = site.folder / "etc" / "mfdata" / "keys"
    keys.mkdir(parents=True)
    shutil.copy(key, keys)
    data = bytearray(archive.read_bytes())
    data[read_archive(archive).header.size - 20] ^= 1
    archive.write_bytes(data)
    assert "damaged" in site.refuses("install", archive)
    assert site.listed() == {}


def test_a_key_that_is_not_there_signs_nothing(site: Site, key: Path) -> None:
    archive = site.release("one")
    before = archive.read_bytes()
    assert "it cannot be signed" in site.refuses("sign", "--key", "nobody@example.org", archive)
    assert archive.read_bytes() == before
    assert key.is_file()
