"""The files of the demo."""

from __future__ import annotations

import gzip
from io import BytesIO

import pytest
from PIL import Image

from demo.inputs import Input, inputs, jpeg_name

FILES = inputs()


def test_every_run_has_the_same_files() -> None:
    assert inputs() == FILES


def test_no_two_files_and_no_two_jpegs_have_one_name() -> None:
    jpegs = [file.jpeg for file in FILES if file.jpeg]
    assert len({file.name for file in FILES}) == len(FILES)
    assert len(set(jpegs)) == len(jpegs)


@pytest.mark.parametrize("file", [file for file in FILES if file.jpeg], ids=lambda file: ascii(file.name))
def test_what_shall_be_sent_can_be_decoded(file: Input) -> None:
    content = gzip.decompress(file.content) if file.name.endswith(".gz") else file.content
    with Image.open(BytesIO(content)) as image:
        image.load()
        assert image.format == "PNG"


@pytest.mark.parametrize("part", [" ", "é", "\udce9", "-rf"])
def test_there_are_awkward_names(part: str) -> None:
    assert any(part in file.name for file in FILES)


@pytest.mark.parametrize("kind", ["text", "truncated PNG", "broken gzip", "truncated gzip", "empty file"])
def test_there_are_files_that_must_be_kept(kind: str) -> None:
    assert any(file.kind == kind and not file.jpeg for file in FILES)


@pytest.mark.parametrize(("name", "jpeg"), [("a.png", "a.jpg"), ("a", "a.jpg"), ("a.b.png", "a.b.jpg")])
def test_a_jpeg_has_the_name_of_its_image(name: str, jpeg: str) -> None:
    assert jpeg_name(name) == jpeg
