"""Small files of three kinds: the material of the routing benchmark."""

from __future__ import annotations

import gzip
import random
from io import BytesIO
from pathlib import Path

from PIL import Image

SEED = 5000
#: Different contents of each kind; the files cycle through them.
VARIETY = 40


def contents() -> list[bytes]:
    """PNG, gzip and text by turns, 2 to 20 KB each, the same in every run."""
    chance = random.Random(SEED)
    return [content for _ in range(VARIETY) for content in (_png(chance), _gzip(chance), _text(chance))]


def write_files(folder: Path, count: int) -> list[Path]:
    """*count* files in *folder* whose names tell nothing of what they hold."""
    made = contents()
    paths = [folder / f"product_{number:06}" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(made[number % len(made)])
    return paths


def is_png(number: int) -> bool:
    """Whether the file of that *number* is a PNG."""
    return number % 3 == 0


def _png(chance: random.Random) -> bytes:
    # An image of random bytes does not shrink, so that its side gives the size.
    side = chance.randrange(45, 140)
    target = BytesIO()
    Image.frombytes("L", (side, side), chance.randbytes(side * side)).save(target, "PNG")
    return target.getvalue()


def _gzip(chance: random.Random) -> bytes:
    return gzip.compress(chance.randbytes(chance.randrange(2_000, 20_000)), mtime=0)


def _text(chance: random.Random) -> bytes:
    size, text = chance.randrange(2_000, 20_000), ""
    while len(text) < size:
        station, pressure, group = (
            chance.randrange(1_000, 99_999),
            chance.randrange(990, 1_030),
            chance.randrange(100_000),
        )
        text += f"{station:05} 31{group % 100:02} {group:05} 4{pressure % 1000:04}=\n"
    return text.encode("ascii")
