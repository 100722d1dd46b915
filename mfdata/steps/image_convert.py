"""Image convert: every image in one format, the colours kept as well as the format can."""

from __future__ import annotations

import struct
import warnings
import zlib
from dataclasses import dataclass

from PIL import Image, ImageColor

from mfdata import Done, Failed, File, Step
from mfdata.steps.naming import fitted
from mfext.errors import ConfigError
from mfext.option import option
from mfext.section import Section

#: Suffix of each format that can be asked for.
SUFFIXES = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "tiff": ".tif", "gif": ".gif", "bmp": ".bmp"}

#: Modes that each format stores as they are; others become RGB, or L for what is grey.
_KEPT = {
    "jpeg": {"L", "RGB", "CMYK"},
    "png": {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"},
    "webp": {"L", "RGB", "RGBA"},
    "tiff": {"1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"},
    "gif": {"1", "L", "P", "LA", "RGB", "RGBA"},
    "bmp": {"1", "L", "P", "RGB"},
}
#: Formats that store the transparent entry of a palette.
_TRANSPARENT_ENTRY = ("png", "gif")
#: Modes whose colour profile still holds after the conversion.
_KEEP_PROFILE = ("L", "LA", "P", "RGB", "RGBA")
#: What Pillow raises for an image that is broken, each with a file of its own.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, OverflowError, struct.error, zlib.error)


@dataclass(frozen=True)
class ImageConvertKeys(Section):
    """What images become."""

    destination: str = option("switch/main", help="The step that gets the converted image, as PLUGIN/STEP.")
    format: str = option("jpeg", choices=tuple(SUFFIXES), help="Format of the converted image.")
    quality: int = option(85, minimum=1, maximum=100, help="Quality of jpeg and webp: higher is better and larger.")
    background: str = option(
        "white",
        help="What stands behind transparent parts in a format without transparency: a name or #RRGGBB.",
        example="#3366cc",
    )
    max_pixels: int = option(
        200_000_000, minimum=1, help="An image of more pixels than this fails: decoding it could take all memory."
    )

    def __post_init__(self) -> None:
        try:
            ImageColor.getrgb(self.background)
        except ValueError as error:
            raise ConfigError(str(error), where="[custom] background", expected="a name or #RRGGBB") from error


class ImageConvert(Step):
    """Takes whatever Pillow reads; of an image with several frames the first."""

    Custom = ImageConvertKeys
    custom: ImageConvertKeys

    def open(self) -> None:
        """Let Pillow's own limit, which counts what lies inside of files too, be ours."""
        Image.MAX_IMAGE_PIXELS = self.custom.max_pixels
        warnings.simplefilter("error", Image.DecompressionBombWarning)

    def process(self, file: File) -> Done | Failed:
        keys = self.custom
        try:
            with Image.open(file.path) as image:
                if image.width * image.height > keys.max_pixels:
                    return _too_large(f"{image.width} x {image.height} pixels", keys.max_pixels)
                image.load()
                converted = fitting(image, keys.format, keys.background)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            return _too_large(str(error), keys.max_pixels)
        except _BROKEN as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk, not the image
            return Failed(f"the image cannot be read: {_plain(error)}", permanent=True)
        made = self.output(fitted(f"{file.stem}{SUFFIXES[keys.format]}"))
        profile = image.info.get("icc_profile") if image.mode in _KEEP_PROFILE else None
        quality = {"quality": keys.quality} if keys.format in ("jpeg", "webp") else {}
        converted.save(made, keys.format, icc_profile=profile, **quality)
        return Done(made, to=keys.destination)


def fitting(image: Image.Image, format_name: str, background: str) -> Image.Image:
    """*image* in a mode that the format stores."""
    kept = _KEPT[format_name]
    if image.has_transparency_data:
        if image.mode in kept and (image.mode in ("RGBA", "LA") or _has_entry(image, format_name)):
            return image
        return _with_alpha(image) if "RGBA" in kept else _on_background(image, background)
    if image.mode in kept:
        return image
    if image.mode.startswith(("I", "F")):
        return _eight_bits(image)
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _has_entry(image: Image.Image, format_name: str) -> bool:
    return image.mode == "P" and format_name in _TRANSPARENT_ENTRY


def _with_alpha(image: Image.Image) -> Image.Image:
    if image.mode == "La":  # Pillow converts it to nothing else
        image = image.convert("LA")
    return image if image.mode == "RGBA" else image.convert("RGBA")


def _on_background(image: Image.Image, colour: str) -> Image.Image:
    seen = _with_alpha(image)
    alpha = seen.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return seen.convert("RGB")
    below = Image.new("RGB", image.size, colour)
    below.paste(seen, mask=alpha)
    return below


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey values of 16 bits by their high byte; wider or floating ones stretched from the least to the greatest."""
    if image.mode.startswith("I;16"):
        image = image.convert("I")
        least, greatest = 0.0, 65535.0
    else:
        found = image.getextrema()
        least, greatest = float(found[0]), float(found[1])  # type: ignore[arg-type]
        if image.mode == "I" and least >= 0 and greatest <= 65535:
            least, greatest = 0.0, 65535.0
    scale = 255.0 / (greatest - least) if greatest > least else 0.0
    return image.point(lambda value: value * scale + (0.0 - least * scale)).convert("L")


def _too_large(found: str, limit: int) -> Failed:
    return Failed(f"the image is larger than max_pixels, {limit}: {found}", permanent=True)


def _plain(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    ImageConvert.main()
