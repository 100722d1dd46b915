"""Content tags: made when asked for, once, and never believed from before."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfdata.switch.identify import ASCII_HEADER, SIZE, SYSTEM_MAGIC, ContentTags, Identifier, Unidentified
from mfdata.switch.rules import Destination, Rule, RuleSet


class Counting(Identifier):
    """Says the same of every file, and counts how often it is asked."""

    def __init__(self, answer: bytes | Unidentified) -> None:
        super().__init__()
        self.answer = answer
        self.asked = 0

    def system_magic(self, path: str | Path) -> bytes:
        self.asked += 1
        if isinstance(self.answer, Unidentified):
            raise self.answer
        return self.answer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bulletin"
    path.write_bytes(b"\x01\r\r\n123 \r\r\nSAFR31 LFPW 241200\r\r\nMETAR LFPG 241200Z 18010KT 9999 FEW030 15/10 Q1015=")
    return path


def test_nothing_is_computed_that_is_not_asked_for(file: Path) -> None:
    identifier = Counting(b"data")
    tags = ContentTags(file, {"a": b"1"}, identifier)
    assert tags["a"] == tags.get("a") == b"1"
    assert tags.get("b", b"") == b""
    assert "b" not in tags
    assert (identifier.asked, tags.computed) == (0, {})


def test_what_is_asked_for_is_computed_once(file: Path) -> None:
    identifier = Counting(b"data")
    tags = ContentTags(file, {}, identifier)
    assert tags[SYSTEM_MAGIC] == tags.get(SYSTEM_MAGIC, b"") == b"data"
    assert identifier.asked == 1
    assert tags.computed == {SYSTEM_MAGIC: b"data"}


def test_size_and_ascii_header(file: Path) -> None:
    tags = ContentTags(file, {}, Counting(b"data"))
    assert tags[SIZE] == b"%d" % file.stat().st_size
    # 60 bytes, of which the printable ASCII ones, without blanks around
    assert tags[ASCII_HEADER] == b"123 SAFR31 LFPW 241200METAR LFPG 241200Z 18010KT 9"
    assert set(tags.computed) == {SIZE, ASCII_HEADER}


def test_an_empty_file_has_an_empty_header(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    tags = ContentTags(tmp_path / "empty", {}, Counting(b"empty"))
    assert (tags[ASCII_HEADER], tags[SIZE]) == (b"", b"0")


def test_a_stored_content_tag_is_not_believed(file: Path) -> None:
    tags = ContentTags(file, {SYSTEM_MAGIC: b"gzip compressed data", "a": b"1"}, Counting(b"PNG image data"))
    assert tags[SYSTEM_MAGIC] == b"PNG image data"
    assert sorted(tags) == sorted(["a", SYSTEM_MAGIC, SIZE, ASCII_HEADER])
    assert len(tags) == 4


def test_the_names_of_before_the_switch_made_them_mean_the_same(file: Path) -> None:
    identifier = Counting(b"PNG image data")
    tags = ContentTags(file, {}, identifier)
    assert tags.get("latest.guess_file_type.main.system_magic", b"") == b"PNG image data"
    assert tags["latest.guess_file_type.main.size"] == tags[SIZE]
    assert tags[SYSTEM_MAGIC] == b"PNG image data"
    assert (identifier.asked, sorted(tags.computed)) == (1, [SIZE, SYSTEM_MAGIC])


def test_a_failure_is_told_again_without_a_new_try(file: Path) -> None:
    identifier = Counting(Unidentified("libmagic: regex error"))
    tags = ContentTags(file, {}, identifier)
    for _ in range(2):
        with pytest.raises(Unidentified, match="regex error"):
            tags.get(SYSTEM_MAGIC)
    assert identifier.asked == 1
    assert tags.failure is identifier.answer
    assert tags.computed == {}


def test_a_file_that_is_gone_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    for tag in (SIZE, ASCII_HEADER, SYSTEM_MAGIC):
        with pytest.raises(Unidentified, match=r"gone: .*No such file or directory"):
            ContentTags(tmp_path / "gone", {})[tag]


def test_a_failure_is_the_error_of_the_rule_that_asked(file: Path) -> None:
    to = (Destination("p", "main"),)
    declared = [
        Rule("p", "c:1", "fnmatch", "first.core.original_basename", "*", to),
        Rule("p", "c:2", "magic", SYSTEM_MAGIC, "PNG*", to),
    ]
    match = RuleSet(declared, {"p/main"}).match(ContentTags(file, {}, Counting(Unidentified("libmagic: regex error"))))
    assert match.error is not None
    assert match.error.rule is declared[1]
    assert match.error.text == "Unidentified: libmagic: regex error"
