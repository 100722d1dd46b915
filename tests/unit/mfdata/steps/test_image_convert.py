"""image_convert: what images become, and which are refused."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mfdata import Done, Failed
from mfdata.steps.image_convert import SUFFIXES, ImageConvert, fitting
from mfdata.testing import Result, run_step
from mfext.errors import ConfigError

MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "LAB", "I;16", "I", "F")


@pytest.fixture(autouse=True)
def pillow_as_it_was() -> Iterator[None]:
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        yield
    Image.MAX_IMAGE_PIXELS = limit


def encoded(image: Image.Image, kind: str = "png", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def run(folder: Path, data: bytes, name: str = "radar 1.png", **custom: str) -> Result:
    source = folder / "source"
    source.write_bytes(data)
    return run_step(ImageConvert, source, name=name, custom=custom, folder=folder / "home")


def image_of(result: Result, name: str = "radar 1.jpg") -> Image.Image:
    assert isinstance(result.outcome, Done), result.outcome
    with Image.open(result.outputs[name]) as image:
        image.load()
        return image


def reason_of(result: Result) -> str:
    assert isinstance(result.outcome, Failed), result.outcome
    assert result.outcome.permanent
    assert not result.outcome.traceback
    return result.outcome.reason


def test_a_png_becomes_a_jpeg_for_the_switch(tmp_path: Path) -> None:
    result = run(tmp_path, encoded(Image.new("RGB", (30, 20), "#ff0000")))
    image = image_of(result)
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (30, 20))
    assert image.getpixel((5, 5))[0] > 250  # type: ignore[index]
    assert result.outcome.to == ("switch/main",)  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("format_name", SUFFIXES)
def test_every_mode_can_be_stored_in_every_format(mode: str, format_name: str) -> None:
    image = Image.new(mode, (4, 4))
    encoded(fitting(image, format_name, "white"), format_name)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_the_background_shows_through_what_is_transparent(mode: str, tmp_path: Path) -> None:
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 0)).convert(mode)
    options: dict[str, Any] = {"transparency": image.getpixel((0, 0))} if mode == "P" else {}
    image = image_of(run(tmp_path, encoded(image, **options), background="#0000ff"))
    red, _, blue = image.getpixel((8, 8))  # type: ignore[misc]
    assert (red < 10, blue > 245) == (True, True)


def test_half_transparent_is_half_background(tmp_path: Path) -> None:
    image = image_of(run(tmp_path, encoded(Image.new("RGBA", (16, 16), (0, 0, 0, 128)))))
    assert 120 < image.getpixel((8, 8))[0] < 135  # type: ignore[index]


def test_transparency_is_kept_where_the_format_can(tmp_path: Path) -> None:
    image = image_of(run(tmp_path, encoded(Image.new("RGBA", (9, 9), (9, 8, 7, 6))), format="webp"), "radar 1.webp")
    assert image.mode == "RGBA"


def test_sixteen_bits_become_eight_by_their_high_byte(tmp_path: Path) -> None:
    image = Image.new("I;16", (48, 16))
    for x in range(48):
        for y in range(16):
            image.putpixel((x, y), (0, 0x8000, 0xFFFF)[x // 16])
    made = image_of(run(tmp_path, encoded(image)))
    assert made.mode == "L"
    found = [made.getpixel((x, 8)) for x in (8, 24, 40)]
    assert [abs(value - wanted) < 6 for value, wanted in zip(found, (0, 128, 255), strict=True)] == [True] * 3  # type: ignore[operator]


def test_floating_point_values_are_stretched() -> None:
    image = Image.new("F", (2, 1), -40.0)
    image.putpixel((1, 0), 60.0)
    eight = fitting(image, "jpeg", "white")
    assert [eight.getpixel((x, 0)) for x in (0, 1)] == [0, 255]


def test_a_flat_image_of_wide_values_is_no_division_by_nothing() -> None:
    assert fitting(Image.new("F", (2, 1), 7.0), "jpeg", "white").getpixel((0, 0)) == 0


def test_the_colour_profile_is_kept(tmp_path: Path) -> None:
    image = image_of(run(tmp_path, encoded(Image.new("RGB", (8, 8)), icc_profile=b"profile")))
    assert image.info["icc_profile"] == b"profile"


@pytest.mark.parametrize("keep", [0.02, 0.3, 0.6, 0.95])
def test_a_truncated_image_is_refused(keep: float, tmp_path: Path) -> None:
    noise = Image.effect_noise((120, 120), 50)
    for kind in ("png", "jpeg", "gif"):
        data = encoded(noise, kind)
        assert "cannot be read" in reason_of(run(tmp_path, data[: int(len(data) * keep)]))


@pytest.mark.parametrize(
    "data", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP"]
)
def test_what_is_no_image_is_refused(data: bytes, tmp_path: Path) -> None:
    assert "cannot be read" in reason_of(run(tmp_path, data))


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    assert "max_pixels" in reason_of(run(tmp_path, bomb))


@pytest.mark.parametrize(("limit", "done"), [("100", True), ("99", False), ("30", False)])
def test_the_limit_of_pixels_is_exact(limit: str, done: bool, tmp_path: Path) -> None:
    result = run(tmp_path, encoded(Image.new("L", (10, 10))), max_pixels=limit)
    assert result.done is done
    assert done or "max_pixels" in reason_of(result)


def test_of_several_frames_the_first_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "gif", save_all=True, append_images=frames[1:])
    assert image_of(run(tmp_path, data)).getpixel((4, 4))[0] > 245  # type: ignore[index]


@pytest.mark.parametrize("custom", [{"format": "jpg"}, {"quality": "0"}, {"background": "whitish"}])
def test_bad_keys_are_refused(custom: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        run(tmp_path, b"", **custom)


def test_the_name_keeps_its_bytes(tmp_path: Path) -> None:
    result = run(tmp_path, encoded(Image.new("L", (4, 4))), name="-caf\udce9 x.png")
    assert list(result.outputs) == ["-caf\udce9 x.jpg"]
