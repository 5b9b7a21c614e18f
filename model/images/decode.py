"""Open image files from untrusted sources. Torch-free.

- Only JPEG, PNG and WebP are parsed; bytes, pixels and frames are checked before a pixel is decoded.
- Pillow's global limits are not changed: a library that does so changes the behaviour of its host program.
- A damaged file is an error that names it, with the same text each time: with half a picture, a model would train or be
  scored on other data.
- The image setting decides whether an EXIF rotation is applied (`ImageConfig.orientation`). Transparent pixels become
  white.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from model.config.stages import Orientation
from model.images.splitting import MAX_SIDE_PX, MIN_SIDE_PX

FORMATS = ("JPEG", "PNG", "WEBP")
"""Accepted formats, by Pillow's names."""
ALLOWED = "allowed: JPEG, PNG, WebP"
"""End of the messages about other formats."""
OTHER_PICTURES = ("gif", "bmp", "tif", "tiff", "jp2", "heic", "heif", "avif", "svg", "ppm", "ico")
"""Endings of image files in formats that are not accepted."""
_BEGINNINGS = (
    (rb"GIF8", "a GIF"),
    (rb"BM.{4}\0\0\0\0", "a BMP"),
    (rb"II\*\0|MM\0\*", "a TIFF"),
    (rb"\0\0\0\x0cjP|\xff\x4f\xff\x51", "a JPEG 2000"),
    (rb".{4}ftyp(?:avif|avis)", "an AVIF"),
    (rb".{4}ftyp(?:hei|hev|mif1|msf1)", "a HEIC"),
    (rb".{4}ftyp|\x1aE\xdf\xa3|RIFF.{4}AVI ", "a film"),
    (rb"P[1-6]\s", "a PNM"),
    (rb"%PDF", "a PDF"),
    (rb"\s*<(?:\?xml|svg)", "an SVG or XML"),
    (rb"\s*<(?i:!doctype|html)", "a web page"),
    (rb"version https://git-lfs", "a pointer of Git LFS, not the file that it stands for"),
    (rb"PK\x03\x04|\x1f\x8b", "an archive"),
    (rb"SIMPLE  =", "a FITS"),
    (rb"%!PS", "a PostScript"),
    (rb"\Z", "empty"),
)
_OTHER_KINDS = tuple((re.compile(beginning, re.DOTALL), kind) for beginning, kind in _BEGINNINGS)
"""Pattern of the first bytes to the name of a kind that is not accepted. Names of files are no guide: OCR-VQA has GIFs
that are called .jpg."""
MAX_BYTES = 64 * 2**20
"""Largest accepted file: 40 million pixels of PNG noise would be 120 MB, a scan of that size is 10 to 50 MB."""
MAX_PIXELS = 40_000_000
"""Largest accepted image: ten times the pixels that MM1.5 can see (9 tiles of 672 px)."""

DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, struct.error, zlib.error)
"""Exceptions that Pillow raises for damaged files."""
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
"""Pillow's exceptions for too many pixels. The warning is raised only where warnings are errors; elsewhere our check
finds the same images."""


def open_image(path: Path, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS,
               orientation: Orientation = "stored") -> Image.Image:
    """Read and decode one image file.

    Args:
        path: a regular file, not a symbolic link.
        max_bytes: largest accepted size of the file.
        max_pixels: largest accepted width x height.
        orientation: `exif` applies the rotation in the EXIF data, `stored` does not.

    Returns:
        the decoded image, RGB.

    Raises:
        ValueError: the file cannot be read, is too large, of another format, animated or damaged; the message names it.
    """
    try:
        with open(path, "rb", opener=_open_directly) as file:
            # Asked of the open file: the path could name another file a moment later.
            is_regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            content = file.read(max_bytes + 1) if is_regular else b""
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({error}); allowed: a readable file, no symbolic link") from error
    if not is_regular:
        raise ValueError(f"{path}: is a pipe, a socket or a device; allowed: a regular file")
    return decode_image(content, str(path), max_bytes=max_bytes, max_pixels=max_pixels, orientation=orientation)


def decode_image(content: bytes, name: str, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS,
                 orientation: Orientation = "stored") -> Image.Image:
    """Decode one image from memory, such as a record of an archive.

    Args:
        content: the bytes of the file.
        name: stands for the file in messages.
        max_bytes: largest accepted size of the file.
        max_pixels: largest accepted width x height.
        orientation: `exif` applies the rotation in the EXIF data, `stored` does not.

    Returns:
        the decoded image, RGB.

    Raises:
        ValueError: the image is too large, of another format, animated or damaged; the message names it.
    """
    if len(content) > max_bytes:
        raise ValueError(f"{name}: more than {max_bytes} bytes; allowed: {max_bytes} bytes")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_header(image, max_pixels)
            # Before `load`, which forgets in which form the file stores its pixels.
            key = _colour_key(image)
            image.load()
            if key is not None:
                image.info["transparency"] = key
            return to_rgb(oriented(image, orientation))
    except _Refused as error:
        raise ValueError(f"{name}: {error}") from error
    except BOMBS as error:
        raise ValueError(f"{name}: {error}; allowed: {max_pixels} pixels") from error
    except DAMAGE as error:
        raise ValueError(f"{name}: {_problem(content, error)}") from error


def oriented(image: Image.Image, orientation: Orientation) -> Image.Image:
    """Return the image as stored, or rotated as its EXIF data say. Applying it twice changes nothing more."""
    return ImageOps.exif_transpose(image) if orientation == "exif" else image


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the image in RGB: transparent pixels become white, 16-bit greys keep their upper eight bits."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    paper = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(paper, layer).convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    grey = image.convert("I").point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
    key = image.info.get("transparency")
    if key is None:
        return grey
    is_key = Image.fromarray(np.asarray(image.convert("I")) == key)
    return Image.composite(Image.new("RGB", grey.size, "white"), grey, is_key)


def _colour_key(image: ImageFile.ImageFile) -> int | tuple[int, ...] | None:
    """Return the transparent colour of a PNG on the scale of its decoded pixels; None if no change is needed.

    Pillow keeps the number as the file has it. With fewer or more than eight bits per channel, that is another scale
    than the one of the decoded pixels. Of 16-bit colours Pillow decodes the upper eight bits, so the key is reduced to
    those.
    """
    key, raw_mode = image.info.get("transparency"), _raw_mode(image)
    if isinstance(key, tuple) and raw_mode == "RGB;16B":
        return tuple(value >> 8 for value in key)
    scale = {"L;2": 255 // 3, "L;4": 255 // 15}.get(raw_mode)
    return key * scale if isinstance(key, int) and scale else None


def _raw_mode(image: ImageFile.ImageFile) -> str:
    arguments = image.tile[0].args if image.format == "PNG" and image.tile else ""
    return arguments if isinstance(arguments, str) else str((arguments or ("",))[0])


def _problem(content: bytes, error: Exception) -> str:
    """Return a description of what is wrong with a file, without memory addresses, so that it is the same each time."""
    kind = next((kind for begins, kind in _OTHER_KINDS if begins.match(content)), "")
    if kind:
        return f"is {kind}; {ALLOWED}"
    if isinstance(error, UnidentifiedImageError):
        return f"damaged, or of another format; {ALLOWED}"
    return f"damaged ({re.sub(r' at 0x[0-9a-fA-F]+', '', str(error)) or type(error).__name__})"


def _open_directly(path: str, flags: int) -> int:
    """Open a file without following a symbolic link and without waiting for the other end of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


class _Refused(Exception):
    """The header announces an image that is not accepted. Not a ValueError, since Pillow raises those itself."""


def _check_header(image: ImageFile.ImageFile, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise _Refused(f"{width} x {height} px are {width * height} pixels; allowed: {max_pixels}")
    if not (MIN_SIDE_PX <= width <= MAX_SIDE_PX and MIN_SIDE_PX <= height <= MAX_SIDE_PX):
        raise _Refused(f"{width} x {height} px; allowed: sides of {MIN_SIDE_PX} to {MAX_SIDE_PX} px")
    # A phone's JPEG may hold a second picture (depth, gain map; Pillow calls it MPO): the first is the photograph.
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        raise _Refused(f"animated, {frames} frames; allowed: 1")
