"""Whether every file came to its end, and every image whole to the other machine."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Mapping, Sequence
from io import BytesIO

from PIL import Image, ImageChops, ImageStat

from demo.inputs import Input
from demo.lives import Life
from demo.other_machine import OtherMachine
from mfext.log import printable
from mfext.table import Column, table

#: Seen from afar, which evens out what JPEG does at sharp edges, colours may differ by this mean, of 255.
AFAR, LOSS = (60, 45), 3.0


def faults(files: Sequence[Input], lives: Mapping[str, Life], machine: OtherMachine) -> list[str]:
    """Everything that is not as it must be, one line each, ready to be shown."""
    found = [
        f"{file.name}: it ended {_words(lives[file.name].ends)}, expected {_words(file.ends)}"
        for file in files
        if lives[file.name].ends != tuple(sorted(file.ends))
    ]
    expected = {file.jpeg: file for file in files if file.jpeg}
    received = set(machine.received())
    found += [f"{name}: the other machine has it, although nobody sent it" for name in received - set(expected)]
    for name, file in expected.items():
        fault = _image_fault(file, machine) if name in received else "the other machine does not have it"
        found += [f"{name}: {fault}"] if fault else []
    return [printable(fault) for fault in found]


def _image_fault(file: Input, machine: OtherMachine) -> str:
    """What is wrong with the JPEG that came of *file*, '' when nothing is."""
    content = gzip.decompress(file.content) if file.name.endswith(".gz") else file.content
    try:
        with Image.open(machine.folder / file.jpeg) as image, Image.open(BytesIO(content)) as original:
            if image.format != "JPEG":
                return f"it is {image.format}, not JPEG"
            if image.size != original.size:
                return f"its size is {image.size}, not {original.size}"
            seen = [one.convert("RGB").resize(AFAR, Image.Resampling.BOX) for one in (image, original)]
    except OSError as error:
        return f"it cannot be decoded: {error}"
    loss = max(ImageStat.Stat(ImageChops.difference(*seen)).mean)
    return f"it shows something else: {loss:.1f} of 255 is the mean difference" if loss > LOSS else ""


def lives_text(files: Sequence[Input], lives: Mapping[str, Life], width: int | None = None) -> str:
    """Every file, its life and its end; then why some were kept. *width* = characters of a line, None = any number."""
    rows = sorted(
        (_words(lives[file.name].ends), file.name, file.kind, " > ".join(lives[file.name].steps)) for file in files
    )
    columns = (
        *(Column("FILE", least=16), Column("WHAT IT IS", least=10, leaves=1)),
        *(Column("ITS LIFE", least=16, keeps_end=True), Column("ITS END", least=12)),
    )
    grid = table(columns, [(name, kind, life, end) for end, name, kind, life in rows], width)
    reasons = Counter(life.reason for life in lives.values() if life.reason)
    kept = "\n".join(f"  {count:2} x {printable(reason.splitlines()[0])}" for reason, count in reasons.most_common())
    return f"{grid}\n\nKept, with the reason beside each file (mfdata.quarantine list):\n{kept}\n"


def _words(words: Sequence[str]) -> str:
    return ", ".join(words) or "nowhere"
