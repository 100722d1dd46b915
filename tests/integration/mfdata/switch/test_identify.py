"""What libmagic says through us is what ``file -b`` prints."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest
from PIL import Image

from mfdata.switch.identify import HEAD_BYTES, SYSTEM_MAGIC, ContentTags, Identifier, Unidentified

NOISE = random.Random(1).randbytes(20_000)
BULLETIN = b"\x01\r\r\n123 \r\r\nSAFR31 LFPW 241200\r\r\nMETAR LFPG 241200Z 18010KT 9999 FEW030 15/10 Q1015=\r\r\n\x03"
TABLE = b"\n".join(b"%d,%d,station %d" % (n, n * 3, n) for n in range(400))


def image(kind: str) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((90, 60), 50).save(out, kind)
    return out.getvalue()


def archive(kind: str) -> bytes:
    out = io.BytesIO()
    if kind == "tar":
        with tarfile.open(fileobj=out, mode="w") as tar:
            member = tarfile.TarInfo("a.grib")
            member.size = 3000
            tar.addfile(member, io.BytesIO(NOISE))
        return out.getvalue()
    names = {"zip": ["a.grib", "b.grib"], "docx": ["[Content_Types].xml", "_rels/.rels", "word/document.xml"]}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in names[kind]:
            packed.writestr(name, NOISE[:3000])
    return out.getvalue()


def gzip_with_name() -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile("W_fr-meteofrance.bin", "wb", fileobj=out, mtime=1) as packed:
        packed.write(NOISE[:5000])
    return out.getvalue()


def contents() -> dict[str, bytes]:
    """Files of the kinds that weather services meet, longer and shorter than what libmagic sees of them."""
    png = image("PNG")
    return {
        "empty": b"",
        "one byte": b"a",
        "png": png,
        "png cut in its header": png[:20],
        "png cut": png[:1000],
        "jpeg": image("JPEG"),
        "gif": image("GIF"),
        "tiff": image("TIFF"),
        "gzip": gzip.compress(NOISE[:5000], mtime=1),
        "gzip, small": gzip.compress(b"a", mtime=1),
        "gzip with a name": gzip_with_name(),
        "zlib": zlib.compress(NOISE[:100]),
        "text": b"wind 12.5\n" * 50,
        "text, long": b"wind 12.5\n" * 5000,
        "text, CRLF": b"wind 12.5\r\n" * 500,
        "text, UTF-8": "température 12,5\n".encode() * 500,
        "text, latin-1": "température 12,5\n".encode("latin-1") * 500,
        "bulletin": BULLETIN,
        "bulletins": BULLETIN * 50,
        "GRIB 1": b"GRIB" + struct.pack(">I", 5000)[1:] + b"\x01" + NOISE[:5000],
        "GRIB 2": b"GRIB\x00\x00\x00\x02" + struct.pack(">Q", 5000) + NOISE[:5000],
        "GRIB 2 after a heading": b"HHXX80 LFPW 241200\r\r\nGRIB\x00\x00\x00\x02" + NOISE[:5000],
        "BUFR": b"BUFR\x00\x10\x00\x04" + NOISE[:3000],
        "NetCDF 3": b"CDF\x01" + bytes(3000),
        "HDF 5, NetCDF 4": b"\x89HDF\r\n\x1a\n" + NOISE[:3000],
        "HDF 4": b"\x0e\x03\x13\x01" + NOISE[:3000],
        "PDF": b"%PDF-1.4\n" + NOISE[:3000],
        "XML": b'<?xml version="1.0"?>\n<a>\n' + b"<b/>\n" * 1000 + b"</a>\n",
        "HTML": b"<!DOCTYPE html>\n<html>\n" + b"<p>wind</p>\n" * 500,
        "shell": b"#!/bin/sh\n" + b"echo wind\n" * 500,
        "JSON": json.dumps([NOISE.hex()[n : n + 9] for n in range(3000)]).encode(),
        "JSON on lines": b'{"a": 1}\n' * 900,
        "GeoJSON, indented": json.dumps(
            {"type": "FeatureCollection", "features": [{"id": n} for n in range(900)]}, indent=1
        ).encode(),
        "CSV": TABLE,
        "CSV, long lines": b"\n".join(b",".join(b"%d" % n for n in range(900)) for _ in range(20)),
        "tar": archive("tar"),
        "zip": archive("zip"),
        "Word": archive("docx"),
        "noise": NOISE,
        "zeros": bytes(5000),
    }


CONTENTS = contents()


@pytest.fixture(scope="module")
def identifier() -> Identifier:
    return Identifier()


@pytest.mark.parametrize("name", CONTENTS)
def test_the_answer_is_that_of_file(name: str, tmp_path: Path, identifier: Identifier) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENTS[name])
    assert identifier.system_magic(path) == printed_by_file(path)


def printed_by_file(path: Path) -> bytes:
    return subprocess.run(["file", "-b", path], capture_output=True, check=True).stdout.removesuffix(b"\n")


def test_programs_are_told_with_their_details(identifier: Identifier) -> None:
    path = Path(sys.executable).resolve()
    assert identifier.system_magic(path) == printed_by_file(path)


@pytest.mark.parametrize(
    ("content", "ours", "of_file"),
    [
        (b"x" * 5000, b"ASCII text, with very long lines (2048)", b"ASCII text, with very long lines (5000)"),
        (b"wind\n" * 1000 + "é".encode(), b"ASCII text", b"Unicode text, UTF-8 text"),
        (b"\n" * 3000 + b"<html>\n", b"ASCII text", b"HTML document, ASCII text"),
    ],
)
def test_what_the_head_cannot_tell(
    content: bytes, ours: bytes, of_file: bytes, tmp_path: Path, identifier: Identifier
) -> None:
    """The documented limits: when one of these fails, the documentation must be mended."""
    path = tmp_path / "file"
    path.write_bytes(content)
    assert identifier.system_magic(path).startswith(ours)
    assert printed_by_file(path).startswith(of_file)
    assert Identifier(head_bytes=1 << 20).system_magic(path) == printed_by_file(path)


def test_a_name_of_any_bytes_is_read(tmp_path: Path, identifier: Identifier) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/-caf\xe9 \n.png"))
    path.write_bytes(image("PNG"))
    assert identifier.system_magic(path) == b"PNG image data, 90 x 60, 8-bit grayscale, non-interlaced"


def test_only_the_head_of_a_large_file_is_read(tmp_path: Path, identifier: Identifier) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"GRIB\x00\x00\x00\x02" + bytes(HEAD_BYTES))
    os.truncate(path, 1 << 40)
    assert identifier.system_magic(path) == b"Gridded binary (GRIB) version 2"


def test_a_broken_database_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "broken.mgc").write_bytes(b"not a magic file")
    (tmp_path / "file").write_bytes(b"a")
    for _ in range(2):
        with pytest.raises(Unidentified, match="libmagic: "):
            Identifier(database=tmp_path / "broken.mgc").system_magic(tmp_path / "file")


def test_a_missing_file_is_a_failure_and_the_next_is_identified(tmp_path: Path, identifier: Identifier) -> None:
    with pytest.raises(Unidentified, match="No such file"):
        identifier.system_magic(tmp_path / "gone")
    (tmp_path / "file").write_bytes(b"GRIB\x00\x00\x00\x02")
    assert ContentTags(tmp_path / "file", {}, identifier)[SYSTEM_MAGIC].startswith(b"Gridded binary")


def test_no_descriptor_is_left_open(tmp_path: Path, identifier: Identifier) -> None:
    (tmp_path / "file").write_bytes(b"a" * 5000)
    identifier.system_magic(tmp_path / "file")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        identifier.system_magic(tmp_path / "file")
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_libmagic_is_loaded_only_when_something_asks(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a")
    code = (
        "import sys; from pathlib import Path; from mfdata.switch.identify import ContentTags, SIZE, SYSTEM_MAGIC\n"
        "tags = ContentTags(Path(sys.argv[1]), {'a': b'1'}); tags['a'], tags[SIZE]\n"
        "print('magic' in sys.modules, 're2' in sys.modules); tags[SYSTEM_MAGIC]; print('magic' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code, tmp_path / "file"], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False", "True"]


def test_what_a_signature_rules_out_libmagic_never_says() -> None:
    """Over the files of this system: an answer with a known beginning comes with its first bytes only."""
    from mfdata.switch.identify import signature_of

    identifier = Identifier()
    looked_at = 0
    for folder in ("/usr/share", "/usr/lib", "/etc"):
        readable = (path for path in Path(folder).rglob("*.*") if path.is_file() and os.access(path, os.R_OK))
        for path in islice(readable, 500):
            with suppress(FileNotFoundError):  # gone while we look
                said = identifier.system_magic(path)
                signature = signature_of(said)
                if signature:
                    looked_at += 1
                    with path.open("rb") as file:
                        assert file.read(8).startswith(signature), f"{path}: {said!r}"
    assert looked_at, "no picture and no compressed file was met"


def test_a_rule_on_the_beginning_of_the_magic_does_not_ask_libmagic_in_vain(tmp_path: Path) -> None:
    from mfdata.switch.rules import RuleSet, parse_condition

    condition = "( x['latest.switch.main.system_magic'].startswith(b'PNG image') )"
    rules = RuleSet([parse_condition("p", "main", condition, "config.ini:1")], {"p/main"})
    text, picture = tmp_path / "text", tmp_path / "picture"
    text.write_bytes(b"some text\n")
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10\x08\x02\0\0\0\x90\x91h6")
    no, yes = ContentTags(text, {}), ContentTags(picture, {})
    assert not rules.match(no).destinations
    assert no.computed == {}
    assert [str(to) for to in rules.match(yes).destinations] == ["p/main"]
    assert yes.computed[SYSTEM_MAGIC].startswith(b"PNG image data, 16 x 16")
