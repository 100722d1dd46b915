"""Image convert: every image in one format, the colours kept as well as the format can."""

from __future__ import annotations

import struct
import warnings
import zlib
from dataclasses import dataclass

from PIL import Image, ImageColor, ImageMath, ImageOps

from mfdata import Done, Failed, File, Step
from mfdata.storage.file_names import fitted
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
    "gif": {"1", "L", "P", "RGB", "RGBA"},
    "bmp": {"1", "L", "P", "RGB"},
}
#: Modes of which each format stores which value or entry is transparent.
_TRANSPARENT_VALUE = {"png": ("1", "L", "P", "RGB", "I;16"), "gif": ("P",)}
#: What a colour profile says that it is for, by the modes for which that holds.
_PROFILES = {b"GRAY": ("1", "L", "LA", "I;16", "I", "F"), b"RGB ": ("P", "RGB", "RGBA"), b"CMYK": ("CMYK",)}
#: Greys of more than eight bits.
_WIDE = ("I", "F")
_GREY = ("1", "L", "LA", "La", *_WIDE)
_LARGEST_FLOAT = 3.4028234663852886e38
#: So many values are looked at in one go.
_STRIP = 1 << 22
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
                converted = fitting(upright(image), keys.format, keys.background)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            return _too_large(str(error), keys.max_pixels)
        except _BROKEN as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk, not the image
            return Failed(f"the image cannot be read: {_plain(error)}", permanent=True)
        made = self.output(fitted(f"{file.stem}{SUFFIXES[keys.format]}"))
        profile = fitting_profile(image.info.get("icc_profile"), converted.mode)
        quality = {"quality": keys.quality} if keys.format in ("jpeg", "webp") else {}
        converted.save(made, keys.format, icc_profile=profile, **quality)
        return Done(made, to=keys.destination)


def upright(image: Image.Image) -> Image.Image:
    """*image* turned as its EXIF data say; those that cannot be read say nothing."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # anybody's bytes, of which Pillow raises anything
        return image


def fitting(image: Image.Image, format_name: str, background: str) -> Image.Image:
    """*image* in a mode that the format stores."""
    kept = _KEPT[format_name]
    if image.has_transparency_data:
        if image.mode in kept and (image.mode in ("RGBA", "LA") or _has_value(image, format_name)):
            return image
        return _with_alpha(image) if "RGBA" in kept else _on_background(image, background)
    if image.mode in kept:
        return image
    if image.mode.startswith(_WIDE):
        return _eight_bits(image)
    if image.mode == "LAB":
        return _from_lab(image)
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def fitting_profile(profile: bytes | None, mode: str) -> bytes | None:
    """*profile*, unless it says that it is for other colours than those of *mode* (pure)."""
    space = (profile or b"")[16:20]
    known = _PROFILES.get(space)
    if known is None:
        return profile if len(space) < 4 else None
    return profile if mode in known else None


def _has_value(image: Image.Image, format_name: str) -> bool:
    return image.mode in _TRANSPARENT_VALUE.get(format_name, ())


def _with_alpha(image: Image.Image) -> Image.Image:
    if image.mode.startswith(_WIDE):
        return _wide_with_alpha(image)
    if image.mode == "La":  # Pillow converts it to nothing else
        image = image.convert("LA")
    return image if image.mode == "RGBA" else image.convert("RGBA")


def _wide_with_alpha(image: Image.Image) -> Image.Image:
    """Greys of more than eight bits, of which one value is transparent."""
    transparent = float(image.info["transparency"])
    wide = image.convert("I") if image.mode.startswith("I;16") else image
    differs = ImageMath.lambda_eval(lambda images: images["values"] != transparent, values=wide)
    seen = _eight_bits(image).convert("RGBA")
    seen.putalpha(_mask(differs).convert("L"))
    return seen


def _on_background(image: Image.Image, colour: str) -> Image.Image:
    seen = _with_alpha(image)
    alpha = seen.getchannel("A")
    red, green, blue = ImageColor.getrgb(colour)[:3]
    if image.mode.startswith(_GREY) and (red == green == blue or alpha.getextrema() == (255, 255)):
        below = Image.new("L", image.size, red)
        below.paste(seen.getchannel("R"), mask=alpha)
        return below
    if alpha.getextrema() == (255, 255):
        return seen.convert("RGB")
    below = Image.new("RGB", image.size, colour)
    below.paste(seen, mask=alpha)
    return below


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey values of 16 bits by their high byte; wider or floating ones stretched from the least to the greatest.

    Infinite ones are as the least or the greatest, and what is no number is black.
    """
    if image.mode.startswith("I;16"):
        image = image.convert("I")
        least, greatest = 0.0, 65535.0
    elif image.mode == "F":
        return _eight_bits_of_floats(image)
    else:
        found = image.getextrema()
        least, greatest = float(found[0]), float(found[1])  # type: ignore[arg-type]
        if least >= 0 and greatest <= 65535:
            least, greatest = 0.0, 65535.0
    return _stretched(image, least, greatest)


def _stretched(image: Image.Image, least: float, greatest: float) -> Image.Image:
    # Divided first, since the difference of two finite values need not be one.
    span = greatest / 255.0 - least / 255.0
    scale = 1.0 / span if span else 0.0
    return image.point(lambda value: value * scale + (0.0 - least * scale)).convert("L")


def _eight_bits_of_floats(image: Image.Image) -> Image.Image:
    height = max(1, _STRIP // image.width)
    boxes = [(0, top, image.width, min(top + height, image.height)) for top in range(0, image.height, height)]
    extremes = [found for box in boxes if (found := _finite_extremes(image.crop(box)))]
    least = min((one for one, _ in extremes), default=0.0)
    greatest = max((one for _, one in extremes), default=0.0)
    made = Image.new("L", image.size)
    for box in boxes:
        strip = image.crop(box)
        numbers = _mask(ImageMath.lambda_eval(lambda images: images["values"] == images["values"], values=strip))
        strip = Image.composite(strip, Image.new("F", strip.size, least), numbers)
        bounded = ImageMath.lambda_eval(
            lambda images: images["max"](images["min"](images["values"], greatest), least), values=strip
        )
        made.paste(_stretched(bounded, least, greatest), box)
    return made


def _finite_extremes(image: Image.Image) -> tuple[float, float] | None:
    """The least and the greatest finite value; None = there is none."""
    finite = _mask(ImageMath.lambda_eval(lambda images: abs(images["values"]) <= _LARGEST_FLOAT, values=image))
    if finite.getbbox() is None:
        return None
    low = Image.composite(image, Image.new("F", image.size, _LARGEST_FLOAT), finite).getextrema()[0]
    high = Image.composite(image, Image.new("F", image.size, -_LARGEST_FLOAT), finite).getextrema()[1]
    return float(low), float(high)  # type: ignore[arg-type]


def _mask(truth: Image.Image) -> Image.Image:
    """Where *truth* is not 0, as an image of one bit."""
    return truth.convert("L").point(lambda value: 255 if value else 0).convert("1")


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    made = ImageCms.applyTransform(image, transform)
    assert made is not None  # it is not changed in place
    return made


def _too_large(found: str, limit: int) -> Failed:
    return Failed(f"the image is larger than max_pixels, {limit}: {found}", permanent=True)


def _plain(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    ImageConvert.main()
