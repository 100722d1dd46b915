"""The files that arrive: made from a fixed seed, so that every run has the same ones.

``python -m demo.inputs FOLDER`` writes them into a folder.
"""

from __future__ import annotations

import gzip
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

SIZE = (480, 360)
SEED = 20171005

#: How a file must end: each of these once.
SENT = ("archived", "sent")
NO_MATCH = ("kept by switch",)
NOT_AN_IMAGE = ("archived", "kept by convert_png")
NOT_A_GZIP = ("kept by ungzip",)


@dataclass(frozen=True)
class Input:
    """A file that is going to arrive and the end it must come to."""

    #: Its name as Python holds names that are not UTF-8: surrogates for the odd bytes.
    name: str
    content: bytes
    #: What it is, for the table.
    kind: str
    #: Its ends, as above.
    ends: tuple[str, ...]
    #: Name of the JPEG that the other machine must receive, '' = none.
    jpeg: str = ""


def inputs() -> list[Input]:
    """All of them, in the order of arrival."""
    made = [*_plain_images(), *_compressed_images(), *_awkward_names(), *_other_files(), *_broken_files()]
    random.Random(SEED).shuffle(made)
    return made


def _plain_images() -> Iterator[Input]:
    for hour in range(6, 12):
        yield _png(f"radar_composite_20171005T{hour:02}00Z.png", radar(hour))
        yield _png(f"satellite_ir108_20171005T{hour:02}00Z.png", satellite(hour))
    for hour in (0, 6, 12, 18):
        yield _png(f"t2m_forecast_+{hour:02}h.png", temperature(hour))


def _compressed_images() -> Iterator[Input]:
    for minute in range(0, 60, 10):
        yield _gzip_png(f"radar_bretagne_20171005T09{minute:02}Z.png", radar(100 + minute))
    for hour in range(6, 10):
        yield _gzip_png(f"satellite_vis06_20171005T{hour:02}00Z.png", satellite(100 + hour))


def _awkward_names() -> Iterator[Input]:
    yield _png("radar composite of the whole country.png", radar(1))
    yield _png("température à 2 mètres.png", temperature(1))
    yield _png("-rf.png", satellite(1))
    yield _png(b"pr\xe9cipitations.png".decode("utf-8", "surrogateescape"), radar(2))
    yield _png("named_like_a_text.txt", satellite(2))
    yield _png("without_suffix", temperature(2))
    yield _gzip_png("nuages élevés 09h.png", satellite(3))


def _other_files() -> Iterator[Input]:
    for hour in range(6, 12):
        yield Input(f"SAFR31_LFPW_05{hour:02}00.txt", metars(hour), "text", NO_MATCH)
    yield Input("named_like_an_image.png", metars(20), "text", NO_MATCH)
    packed = gzip.compress(metars(21), mtime=0)
    yield Input("SAFR31_LFPW_051200.txt.gz", packed, "text, gzip-ed", NO_MATCH)
    yield Input("empty.png", b"", "empty file", NO_MATCH)


def _broken_files() -> Iterator[Input]:
    whole = encoded(radar(3))
    cut = whole[: len(whole) // 2]
    yield Input("radar_cut_by_the_line.png", cut, "truncated PNG", NOT_AN_IMAGE)
    packed = gzip.compress(encoded(satellite(4)), mtime=0)
    yield Input("satellite_cut_by_the_line.png.gz", packed[: len(packed) // 2], "truncated gzip", NOT_A_GZIP)
    # A bit that fell over: the length is right, the check sum is not.
    flipped = packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]
    yield Input("satellite_with_a_bad_checksum.png.gz", flipped, "broken gzip", NOT_A_GZIP)
    yield Input("radar_cut_before_packing.png.gz", gzip.compress(cut, mtime=0), "truncated PNG, gzip-ed", NOT_AN_IMAGE)


def _png(name: str, image: Image.Image) -> Input:
    return Input(name, encoded(image), "PNG", SENT, jpeg_name(name))


def _gzip_png(name: str, image: Image.Image) -> Input:
    return Input(f"{name}.gz", gzip.compress(encoded(image), mtime=0), "PNG, gzip-ed", SENT, jpeg_name(name))


def jpeg_name(name: str) -> str:
    """The name that ``convert_png`` gives to the JPEG of *name*."""
    stem, dot, _suffix = name.rpartition(".")
    return f"{stem if dot else name}.jpg"


def encoded(image: Image.Image) -> bytes:
    """*image* as PNG."""
    target = BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


def radar(seed: int) -> Image.Image:
    """Rain cells in the usual colours over a dark map with a coast."""
    rain = Image.blend(clouds(seed * 10, SIZE, 5), clouds(seed * 10 + 1, SIZE, 9), 0.45)
    colours = [0x101820, 0x0C3C78, 0x1E78D2, 0x28C8F0, 0x32D232, 0xF0E628, 0xF08C14, 0xDC1E1E, 0xC83CC8]
    levels = [min(max((value - 125) // 13, 0), len(colours) - 1) for value in range(256)]
    bands = [rain.point([colours[level] >> shift & 0xFF for level in levels]) for shift in (16, 8, 0)]
    return with_map(Image.merge("RGB", bands), (150, 160, 150), f"RADAR {seed:03}")


def satellite(seed: int) -> Image.Image:
    """Cloud tops in grey, as an infrared channel shows them."""
    layers = [clouds(seed * 10 + octave, SIZE, 4 * 2**octave) for octave in range(4)]
    image = layers[0]
    for weight, layer in zip((0.45, 0.35, 0.25), layers[1:], strict=True):
        image = Image.blend(image, layer, weight)
    stretched = image.point([min(max((value - 70) * 2, 0), 255) for value in range(256)])
    return with_map(stretched.convert("RGB"), (90, 140, 90), f"IR 10.8 {seed:03}")


def temperature(seed: int) -> Image.Image:
    """Bands of colour from cold blue in the north to warm red in the south."""
    north_south = Image.linear_gradient("L").resize(SIZE)
    field = Image.blend(north_south, clouds(seed * 10, SIZE, 4), 0.45)
    steps = field.point([value // 16 * 16 for value in range(256)])
    bands = [
        steps.point([min(2 * value, 255) for value in range(256)]),
        steps.point([255 - abs(2 * value - 255) for value in range(256)]),
        steps.point([min(2 * (255 - value), 255) for value in range(256)]),
    ]
    return with_map(Image.merge("RGB", bands), (20, 20, 20), f"T 2 m +{seed:02} h")


def clouds(seed: int, size: tuple[int, int], cells: int) -> Image.Image:
    """A smooth random field of about *cells* cells across."""
    width, height = cells + 3, cells * size[1] // size[0] + 3
    grid = Image.frombytes("L", (width, height), random.Random(SEED + seed).randbytes(width * height))
    return grid.resize(size, Image.Resampling.BICUBIC)


def with_map(image: Image.Image, ink: tuple[int, int, int], title: str) -> Image.Image:
    """*image* under a coast line, a grid of degrees and a title."""
    pen = ImageDraw.Draw(image)
    width, height = image.size
    for x in range(0, width, 80):
        pen.line([(x, 0), (x, height)], fill=ink)
    for y in range(0, height, 80):
        pen.line([(0, y), (width, y)], fill=ink)
    coast = clouds(7, SIZE, 5).point([255 if value > 128 else 0 for value in range(256)])
    image.paste(ink, mask=coast.filter(ImageFilter.FIND_EDGES))
    pen.rectangle([(8, 8), (160, 26)], fill=(0, 0, 0))
    pen.text((12, 11), title, fill=(255, 255, 255))
    return image


def metars(seed: int) -> bytes:
    """A bulletin of surface observations."""
    chance = random.Random(SEED + seed)
    lines = [f"SAFR31 LFPW 05{seed % 24:02}00"]
    for station in ("LFPG", "LFBO", "LFML", "LFRB", "LFLL", "LFST", "LFMN", "LFRS"):
        wind = f"{chance.randrange(0, 360, 10):03}{chance.randrange(2, 25):02}KT"
        temperature_c, pressure = chance.randrange(4, 24), chance.randrange(995, 1030)
        lines.append(f"METAR {station} 05{seed % 24:02}00Z {wind} 9999 SCT030 {temperature_c:02}/04 Q{pressure}=")
    return ("\r\r\n".join(lines) + "\r\r\n").encode("ascii")


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    for made in inputs():
        (Path(sys.argv[1]) / made.name).write_bytes(made.content)
