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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor

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


INFINITE, NO_NUMBER = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ((-40.0, INFINITE, 60.0, -INFINITE, 10.0, NO_NUMBER), (0, 255, 255, 0, 127, 0)),
        ((NO_NUMBER, 1.0, 2.0), (0, 0, 255)),
        ((INFINITE, NO_NUMBER), (0, 0)),
        ((NO_NUMBER,), (0,)),
        ((-3e38, 0.0, 3e38), (0, 127, 255)),
        ((-INFINITE, 5.0), (0, 0)),
    ],
)
@pytest.mark.parametrize("strip", [1, 1 << 22])
def test_floating_point_values_are_stretched_between_the_finite_ones(
    values: tuple[float, ...], wanted: tuple[int, ...], strip: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfdata.steps.image_convert._STRIP", strip)
    image = Image.new("F", (1, len(values)))
    for y, value in enumerate(values):
        image.putpixel((0, y), value)
    made = image_of(run(tmp_path, encoded(image, "tiff"), format="png"), "radar 1.png")
    assert [made.getpixel((0, y)) for y in range(len(values))] == list(wanted)


def profile_for(space: bytes) -> bytes:
    return b"\0" * 16 + space + b"\0" * 108


@pytest.mark.parametrize(
    ("mode", "space", "format_name", "is_kept"),
    [
        ("LA", b"GRAY", "jpeg", True),
        ("L", b"GRAY", "webp", None),
        ("RGB", b"RGB ", "jpeg", True),
        ("RGB", b"GRAY", "jpeg", False),
        ("L", b"RGB ", "jpeg", False),
        ("RGBA", b"RGB ", "jpeg", True),
        ("P", b"RGB ", "jpeg", True),
        ("CMYK", b"CMYK", "jpeg", True),
        ("CMYK", b"CMYK", "png", False),
        ("RGB", b"Lab ", "jpeg", False),
    ],
)
def test_a_profile_is_kept_for_the_colours_that_it_is_of(
    mode: str, space: bytes, format_name: str, is_kept: bool | None, tmp_path: Path
) -> None:
    source = encoded(Image.new(mode, (8, 8)), "tiff", icc_profile=profile_for(space))
    name = f"radar 1{SUFFIXES[format_name]}"
    made = image_of(run(tmp_path, source, format=format_name), name)
    kept = made.info.get("icc_profile")
    if is_kept is None:  # what libwebp makes of grey has three colours
        assert kept is None or kept == profile_for(space)
    else:
        assert (kept == profile_for(space)) is is_kept


def test_grey_on_a_coloured_background_has_no_grey_profile(tmp_path: Path) -> None:
    source = encoded(Image.new("LA", (16, 16), (0, 0)), icc_profile=profile_for(b"GRAY"))
    made = image_of(run(tmp_path, source, background="#0000ff"))
    assert made.mode == "RGB"
    assert "icc_profile" not in made.info
    assert made.getpixel((8, 8))[2] > 245  # type: ignore[index]


#: Colours of the corners of a picture: left and right above, left and right below.
CORNERS = ("red", "lime", "blue", "white")
#: What the orientation N makes of them.
TURNED = {
    1: (0, 1, 2, 3),
    2: (1, 0, 3, 2),
    3: (3, 2, 1, 0),
    4: (2, 3, 0, 1),
    5: (0, 2, 1, 3),
    6: (2, 0, 3, 1),
    7: (3, 1, 2, 0),
    8: (1, 3, 0, 2),
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("source", ["jpeg", "png", "tiff", "webp"])
@pytest.mark.parametrize("format_name", SUFFIXES)
def test_a_picture_stands_as_it_was_meant(source: str, format_name: str, orientation: int, tmp_path: Path) -> None:
    image = Image.new("RGB", (48, 32))
    for number, colour in enumerate(CORNERS):
        image.paste(colour, (24 * (number % 2), 16 * (number // 2), 24 * (number % 2) + 24, 16 * (number // 2) + 16))
    exif = Image.Exif()
    exif[0x112] = orientation
    data = encoded(image, source, exif=exif, **({"lossless": True} if source == "webp" else {}))
    made = image_of(run(tmp_path, data, format=format_name), f"radar 1{SUFFIXES[format_name]}")
    assert made.getexif().get(0x112, 1) == 1
    assert made.size == ((48, 32) if orientation < 5 else (32, 48))
    seen = made.convert("RGB")
    at = [(x, y) for y in (5, seen.height - 6) for x in (5, seen.width - 6)]
    for place, number in zip(at, TURNED[orientation], strict=True):
        wanted = ImageColor.getrgb(CORNERS[number])
        found: Any = seen.getpixel(place)
        assert all(abs(one - other) < 60 for one, other in zip(found, wanted, strict=True)), (place, found, wanted)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 200), value=st.integers(0, 255), length=st.integers(0, 60))
def test_a_picture_is_no_worse_for_damaged_exif_data(place: int, value: int, length: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = 6, "maker"
    raw = bytearray(exif.tobytes())
    raw[place % len(raw)] = value
    data = encoded(Image.new("RGB", (8, 4), "red"), "jpeg", exif=bytes(raw[: len(raw) - length % len(raw)]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Pillow's of the damage
        made = image_of(run(tmp_path, data))
    assert {*made.size} == {8, 4}


def grey_16(transparent: int | None) -> bytes:
    """Black, middle grey, white, of which one may be transparent."""
    image = Image.new("I;16", (48, 16))
    for x in range(48):
        for y in range(16):
            image.putpixel((x, y), (0, 0x8000, 0xFFFF)[x // 16])
    return encoded(image, "png", **({} if transparent is None else {"transparency": transparent}))


@pytest.mark.parametrize("format_name", SUFFIXES)
@pytest.mark.parametrize("hole", [None, 0, 1, 2])
def test_a_grey_picture_of_sixteen_bits_shows_the_same_in_every_format(
    format_name: str, hole: int | None, tmp_path: Path
) -> None:
    values = (0, 0x8000, 0xFFFF)
    data = grey_16(None if hole is None else values[hole])
    name = f"radar 1{SUFFIXES[format_name]}"
    made = image_of(run(tmp_path, data, format=format_name, background="#646464"), name)
    wanted = [0, 128, 255]
    if hole is not None:
        wanted[hole] = 100
    assert [abs(seen(made, (x, 8))[0] - one) < 8 for x, one in zip((8, 24, 40), wanted, strict=True)] == [True] * 3


def seen(image: Image.Image, place: tuple[int, int], background: int = 100) -> tuple[int, ...]:
    """What somebody sees there before a grey background."""
    if image.mode.startswith("I;16"):
        value: Any = image.getpixel(place)
        return (background if image.info.get("transparency") == value else value >> 8,) * 3
    below = Image.new("RGBA", image.size, (background,) * 3 + (255,))
    found: Any = Image.alpha_composite(below, image.convert("RGBA")).convert("RGB").getpixel(place)
    return tuple(found)


def sources() -> dict[str, tuple[bytes, tuple[int, int, int], tuple[int, int, int]]]:
    """Pictures by name, with what is seen in their left and in their right half before a grey of 100."""
    grey, red = (100,) * 3, (255, 0, 0)

    def halves(mode: str, left: Any, right: Any) -> Image.Image:
        image = Image.new(mode, (32, 16), right)
        image.paste(left, (0, 0, 16, 16))
        return image

    palette = halves("RGB", "red", "blue").convert("P", palette=Image.Palette.ADAPTIVE, colors=2)
    entry: Any = palette.getpixel((0, 0))
    alphas = bytearray(b"\xff\xff")
    alphas[entry] = 0
    frames = [halves("RGB", "red", "blue"), Image.new("RGB", (32, 16), "lime")]
    more: dict[str, Any] = {"save_all": True, "append_images": frames[1:]}
    blue = (0, 0, 255)
    return {
        "1": (encoded(halves("1", 0, 255)), (0,) * 3, (255,) * 3),
        "1 tRNS": (encoded(halves("1", 0, 255), transparency=0), grey, (255,) * 3),
        "L": (encoded(halves("L", 10, 200)), (10,) * 3, (200,) * 3),
        "L tRNS": (encoded(halves("L", 10, 200), transparency=10), grey, (200,) * 3),
        "LA": (encoded(halves("LA", (10, 0), (200, 255))), grey, (200,) * 3),
        "LA whole": (encoded(halves("LA", (10, 255), (200, 255))), (10,) * 3, (200,) * 3),
        "RGB tRNS": (encoded(halves("RGB", red, blue), transparency=red), grey, blue),
        "RGBA": (encoded(halves("RGBA", (*red, 0), (*blue, 255))), grey, blue),
        "P": (encoded(palette), red, blue),
        "P tRNS": (encoded(palette, transparency=bytes(alphas)), grey, blue),
        "P gif": (encoded(palette, "gif", transparency=entry), grey, blue),
        "CMYK": (encoded(halves("CMYK", (0, 255, 255, 0), (255, 255, 0, 0)), "tiff"), red, blue),
        "CMYK jpeg": (encoded(halves("CMYK", (0, 255, 255, 0), (255, 255, 0, 0)), "jpeg"), red, blue),
        "LAB": (encoded(halves("LAB", (0, 128, 128), (255, 128, 128)), "tiff"), (0,) * 3, (255,) * 3),
        "I;16B": (encoded(halves("I;16B", 0x0A00, 0xC800), "tiff"), (10,) * 3, (200,) * 3),
        "I": (encoded(halves("I", -1000, 3000), "tiff"), (0,) * 3, (255,) * 3),
        "animated gif": (encoded(frames[0], "gif", **more), red, blue),
        "animated png": (encoded(frames[0], "png", **more), red, blue),
        "animated webp": (encoded(frames[0], "webp", lossless=True, **more), red, blue),
    }


SOURCES = sources()


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("format_name", SUFFIXES)
def test_the_same_is_seen_in_every_format(source: str, format_name: str, tmp_path: Path) -> None:
    data, *wanted = SOURCES[source]
    made = image_of(run(tmp_path, data, format=format_name, background="#646464"), f"radar 1{SUFFIXES[format_name]}")
    if made.mode in ("I", "F"):
        return  # wide values are kept as they are
    for place, colour in zip(((4, 8), (27, 8)), wanted, strict=True):
        found = seen(made, place)
        assert all(abs(one - other) < 16 for one, other in zip(found, colour, strict=True)), (made.mode, place, found)


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
