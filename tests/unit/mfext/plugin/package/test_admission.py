"""What speaks against an archive, by its header."""

from __future__ import annotations

import stat

import pytest

from mfext.errors import PluginError
from mfext.plugin.package import rpm_header as tags
from mfext.plugin.package.admission import header_faults
from mfext.plugin.package.rpm_header import Header, Values

FOLDER, FILE, LINK = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777
DIGEST = "ab" * 32

#: Path, mode, digest, target.
File = tuple[str, int, str, str]
GOOD: tuple[File, ...] = (
    ("/metwork_plugin/one", FOLDER, "", ""),
    ("/metwork_plugin/one/config.ini", FILE, DIGEST, ""),
    ("/metwork_plugin/one/lib/x", LINK, "", "../config.ini"),
)


def header(*files: File, **more: Values) -> Header:
    chosen = files or GOOD
    folders = list(dict.fromkeys(path.rpartition("/")[0] + "/" for path, *_ in chosen))
    values: dict[int, Values] = {
        tags.NAME: ("one",),
        tags.VERSION: ("1.0",),
        tags.RELEASE: ("1",),
        tags.PREFIXES: ("/metwork_plugin",),
        tags.PROVIDENAME: ("one", "metwork_plugin(one)", "one(x86-64)"),
        tags.PROVIDEVERSION: ("1.0-1", "1.0-1", "1.0-1"),
        tags.REQUIRENAME: ("metwork-mfdata", "rpmlib(FileDigests)"),
        tags.REQUIREVERSION: ("", "4.6"),
        tags.REQUIREFLAGS: (0, 10),
        tags.FILEDIGESTALGO: (8,),
        tags.BASENAMES: tuple(path.rpartition("/")[2] for path, *_ in chosen),
        tags.DIRNAMES: tuple(folders),
        tags.DIRINDEXES: tuple(folders.index(path.rpartition("/")[0] + "/") for path, *_ in chosen),
        tags.FILEMODES: tuple(mode for _, mode, *_ in chosen),
        tags.FILESIZES: tuple(10 for _ in chosen),
        tags.FILEDIGESTS: tuple(digest for *_, digest, _ in chosen),
        tags.FILELINKTOS: tuple(target for *_, target in chosen),
    }
    values.update({getattr(tags, name): value for name, value in more.items()})
    return Header(values, {}, 0)


def test_an_archive_as_we_make_it_is_in_order() -> None:
    assert header_faults(header()) == []


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        (("/root/.ssh/authorized_keys", FILE, DIGEST, ""), "a file outside the plugin's folder"),
        (("/metwork_plugin/two/main.py", FILE, DIGEST, ""), "a file outside the plugin's folder"),
        (("/metwork_plugin/onelonger/main.py", FILE, DIGEST, ""), "a file outside the plugin's folder"),
        (("/metwork_plugin/one/../../x", FILE, DIGEST, ""), "a path that is not plain"),
        (("/metwork_plugin/one//x", FILE, DIGEST, ""), "a path that is not plain"),
        (("/metwork_plugin/one/./x", FILE, DIGEST, ""), "a path that is not plain"),
        (("/metwork_plugin/one/.installed", FILE, DIGEST, ""), "a file that only the installation makes"),
        (("/metwork_plugin/one/x", stat.S_IFREG | 0o4755, DIGEST, ""), "a setuid, setgid or sticky bit"),
        (("/metwork_plugin/one/x", stat.S_IFREG | 0o2755, DIGEST, ""), "a setuid, setgid or sticky bit"),
        (("/metwork_plugin/one/x", stat.S_IFDIR | 0o1777, "", ""), "a setuid, setgid or sticky bit"),
        (("/metwork_plugin/one/x", stat.S_IFREG | 0o666, DIGEST, ""), "writable for everybody"),
        (("/metwork_plugin/one/x", stat.S_IFCHR | 0o600, "", ""), "neither a file nor a folder nor a link"),
        (("/metwork_plugin/one/x", stat.S_IFIFO | 0o600, "", ""), "neither a file nor a folder nor a link"),
        (("/metwork_plugin/one/x", LINK, "", "/etc/passwd"), 'a link out of the plugin, to "/etc/passwd"'),
        (("/metwork_plugin/one/x", LINK, "", "../two"), 'a link out of the plugin, to "../two"'),
        (("/metwork_plugin/one/a/x", LINK, "", "../../two"), 'a link out of the plugin, to "../../two"'),
        (("/metwork_plugin/one/x", LINK, "", ""), "a link out of the plugin"),
        (("/metwork_plugin/one/lib/x/y", FILE, DIGEST, ""), "a file below a link"),
        (("/metwork_plugin/one/x", FILE, "", ""), "a file without a digest"),
        (("/metwork_plugin/one/config.ini", FILE, DIGEST, ""), "a file that stands twice"),
    ],
)
def test_a_file_that_must_not_be_there_is_named(file: File, fault: str) -> None:
    found = header_faults(header(*GOOD, file))
    assert len(found) == 1
    assert found[0].startswith(fault)
    assert found[0].endswith(file[0])


def test_the_folder_itself_is_no_link() -> None:
    assert header_faults(header(("/metwork_plugin/one", LINK, "", "two")))


@pytest.mark.parametrize(
    ("tag", "value", "fault"),
    [
        (1023, ("rm -rf ~",), "it has a script that runs at installation"),
        (1024, ("x",), "it has a script that runs at installation"),
        (1086, ("/bin/sh",), "it has a script that runs at installation"),
        (1151, ("x",), "it has a script that runs at installation"),
        (1079, ("x",), "it has a script that runs at installation"),
        (1066, ("bash",), "it has a trigger"),
        (5069, ("/usr",), "it has a trigger"),
        (1090, ("other",), "it has an Obsoletes, which removes other plugins"),
        (1054, ("other",), "it has a Conflicts"),
        (tags.EPOCH, (1,), "it has an Epoch"),
        (tags.FILECAPS, ("cap_net_raw=ep",), "it has a capability of a file"),
        (tags.PREFIXES, ("/",), "its prefix is /, not /metwork_plugin"),
        (tags.PREFIXES, ("/metwork_plugin", "/etc"), "its prefix is /metwork_plugin /etc, not /metwork_plugin"),
        (tags.PREFIXES, (), "its prefix is missing"),
        (tags.PROVIDENAME, ("one", "metwork_plugin(one)", "metwork_plugin(two)"), "it claims to be something else too"),
        (tags.PROVIDENAME, ("one", "one(a)", "one(b)"), 'it does not say that it is the plugin "one"'),
        (tags.PROVIDEVERSION, ("1.0-1", "9.0-1", "1.0-1"), 'it claims to be another version: "9.0-1"'),
        (tags.REQUIRENAME, ("rpmlib(FileDigests)", "x"), "it does not say for which module it is"),
        (tags.REQUIRENAME, ("metwork-mfdata", "metwork-mfserv"), "it does not say for which module it is"),
        (tags.FILEDIGESTALGO, (1,), "its files have no digests that are good enough"),
        (tags.NAME, ("../one",), '"../one" cannot be the name of a plugin'),
        (tags.NAME, (), '"" cannot be the name of a plugin'),
    ],
)
def test_what_could_run_or_act_on_others_is_refused(tag: int, value: Values, fault: str) -> None:
    found = header_faults(Header({**header().values, tag: value}, {}, 0))
    assert fault in "\n".join(found)


def test_an_archive_without_files_is_refused() -> None:
    empty: dict[int, Values] = dict.fromkeys((tags.BASENAMES, tags.DIRNAMES, tags.DIRINDEXES, tags.FILEMODES), ())
    empty |= dict.fromkeys((tags.FILESIZES, tags.FILEDIGESTS, tags.FILELINKTOS), ())
    assert header_faults(Header({**header().values, **empty}, {}, 0)) == ["it has no files: one"]


@pytest.mark.parametrize("tag", [tags.FILEMODES, tags.FILELINKTOS, tags.DIRINDEXES])
def test_a_list_of_files_with_gaps_is_refused(tag: int) -> None:
    values = header().values
    with pytest.raises(PluginError, match="list of files is damaged"):
        header_faults(Header({**values, tag: values[tag][:1]}, {}, 0))
