"""The abbreviated heading of a bulletin, in every envelope that is met."""

from __future__ import annotations

import pytest

from mfdata.steps.wmo_heading import bare, heading_of


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"SAFR30 LFPW 241200\r\r\nMETAR", "SAFR30 LFPW 241200"),
        (b"SAFR30 LFPW 241200 CCA\r\r\nMETAR", "SAFR30 LFPW 241200 CCA"),
        (b"\x01\r\r\n123\r\r\nSAFR30 LFPW 241200 RRB\r\r\nMETAR", "SAFR30 LFPW 241200 RRB"),
        (b"\x01\r\r\n12345 \r\r\nSAFR30 LFPW 241200\r\r\n", "SAFR30 LFPW 241200"),
        (b"0000012300\x01\r\r\n123\r\r\nSAFR30 LFPW 241200\r\r\n", "SAFR30 LFPW 241200"),
        (b"0000012301\r\r\nSAFR30 LFPW 241200\r\r\n", "SAFR30 LFPW 241200"),
        (b"SAFR30 LFPW 241200  \r\r\nMETAR", "SAFR30 LFPW 241200"),
        (b"SAFR30 LFPW 241200 CCA \nMETAR", "SAFR30 LFPW 241200 CCA"),
        (b"SAFR30 LFPW 241200Z\nMETAR", "SAFR30 LFPW 241200"),
        (b"  SAFR30  LFPW  241200\nMETAR", "SAFR30 LFPW 241200"),
        (b"ISMD01 K1AB 241200 AAX\r\r\nBUFR\0\1", "ISMD01 K1AB 241200 AAX"),
        (b"SAFR30 LFPW 241200", "SAFR30 LFPW 241200"),
        (b"SAFR30 LFPW 241200\r\r\n\x03", "SAFR30 LFPW 241200"),
    ],
)
def test_a_bulletin_has_a_heading(head: bytes, expected: str) -> None:
    assert str(heading_of(head)) == expected


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"GRIB\0\0",
        b"BUFR",
        b"safr30 lfpw 241200\n",
        b"SAFR LFPW 241200\n",
        b"SAFR30 LFPW 2412\n",
        b"SAFR30 LFPW 241200 and more\n",
        b"some text\nSAFR30 LFPW 241200\n",
    ],
)
def test_another_file_has_none(head: bytes) -> None:
    assert heading_of(head) is None


def test_what_circuits_add_does_not_change_a_bulletin() -> None:
    contents = [
        b"\x01\r\r\n123\r\r\nSAFR30 LFPW 241200\r\r\nMETAR LFPG=  \r\r\nMETAR LFPO=\r\r\n\x03",
        b"\x01\r\r\n4567\r\r\nSAFR30 LFPW 241200 \r\r\nMETAR LFPG=\r\nMETAR LFPO=",
        b"SAFR30 LFPW 241200\nMETAR LFPG=\nMETAR LFPO=\n",
    ]
    found = set()
    for content in contents:
        heading = heading_of(content)
        assert heading
        found.add(bare(content, heading))
    assert found == {b"SAFR30 LFPW 241200\nMETAR LFPG=\nMETAR LFPO="}


def test_binary_content_is_left_as_it_is() -> None:
    content = b"ISMD01 LFPW 241200\r\r\nBUFR\xff\r\n \r\n7777"
    heading = heading_of(content)
    assert heading
    assert bare(content, heading) == b"ISMD01 LFPW 241200\n\r\nBUFR\xff\r\n \r\n7777"
