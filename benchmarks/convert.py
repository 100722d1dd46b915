"""PNG to JPEG by a step with one process, beside a bare Pillow loop over the same images, by turns in the same run."""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from pathlib import Path

from PIL import Image

from benchmarks.running import FOLDER, Running, running, wait_for

_RULE = "( x['latest.switch.main.system_magic'].startswith(b'PNG image') )"
_STEP = "step.convert.main"
_SIZE = (640, 480)


def main() -> None:
    """Measure by turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=500, help="images of each run (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs, of which the median counts (default %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where all files lie (default run/benchmarks)")
    options = parser.parse_args()
    loops, steps, ratios = [], [], []
    content = picture(options.folder)
    with running(folder=options.folder) as module:
        module.add_plugin("away", "delete", {})
        module.add_plugin("convert", "image_convert", {"destination": "away/main", "switch_logical_condition": _RULE})
        for _ in range(options.rounds):
            loops.append(bare(options.folder, content, options.images))
            steps.append(metwork(module, content, options.images))
            ratios.append(steps[-1] / loops[-1])
    print(f"bare Pillow loop     {statistics.median(loops):6.1f} images/s")
    print(f"step with 1 process  {statistics.median(steps):6.1f} images/s", end="")
    print(f"   ratio {statistics.median(ratios):.2f}   goal >= 0.9")


def picture(folder: Path) -> bytes:
    """A PNG such as a weather chart: smooth areas, sharp lines."""
    folder.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", _SIZE)
    for x in range(_SIZE[0]):
        for y in range(_SIZE[1]):
            wave = int(127 + 80 * math.sin(x / 40) + 40 * math.cos(y / 25))
            image.putpixel((x, y), (wave, 255 - wave, 0) if (x + y) % 64 else (0, 0, 0))
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".png") as file:
        image.save(file, "PNG")
        file.flush()
        return Path(file.name).read_bytes()


def written(folder: Path, content: bytes, count: int) -> list[Path]:
    """*count* images in *folder*."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"chart{number:06}.png" for number in range(count)]
    for path in paths:
        path.write_bytes(content)
    return paths


def bare(folder: Path, content: bytes, count: int) -> float:
    """Images a second of the bare loop."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        paths = written(Path(name) / "in", content, count)
        start = time.monotonic()
        for path in paths:
            with Image.open(path) as image:
                image.convert("RGB").save(path.with_suffix(".jpg"), quality=85)
            path.unlink()
        return count / (time.monotonic() - start)


def metwork(module: Running, content: bytes, count: int) -> float:
    """Images a second of the step, all images waiting when it begins."""
    paths, queue = written(module.home / "staged", content, count), module.queue("convert")
    through = module.lines("step.away.main")
    with module.stopped(_STEP):
        for path in paths:
            path.rename(module.incoming / path.name)
        wait_for(lambda: len(list(queue.iterdir())) >= count, pause=0.05)
        start = time.monotonic()
    return count / (wait_for(lambda: through() >= count) - start)


if __name__ == "__main__":
    main()
