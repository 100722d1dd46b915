"""The step on one file; run by ``make test``."""

from pathlib import Path

from main import ImageConvert
from PIL import Image

from mfdata import Failed
from mfdata.testing import run_step


def test_an_image_is_converted(tmp_path: Path) -> None:
    file = tmp_path / "some.png"
    Image.new("RGB", (4, 3), "red").save(file)
    result = run_step(ImageConvert, file, custom={"format": "jpeg"}, folder=tmp_path / "work")
    assert result.done, result.text()
    with Image.open(result.outputs["some.jpg"]) as image:
        assert (image.format, image.size) == ("JPEG", (4, 3))


def test_what_is_no_image_fails(tmp_path: Path) -> None:
    file = tmp_path / "some.png"
    file.write_text("some text\n")
    assert isinstance(run_step(ImageConvert, file, folder=tmp_path / "work").outcome, Failed)
