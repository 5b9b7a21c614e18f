"""Open image files from untrusted sources. Torch-free.

- Only JPEG, PNG and WebP are parsed; bytes, pixels and frames are checked before a pixel is decoded.
- Pillow's global limits are not changed: a library that does so changes the behaviour of its host program.
- A damaged file is an error that names it: with half a picture, a model would train or be scored on other data.
- Pixels are kept as stored: boxes refer to them, so an EXIF rotation is not applied. Transparent pixels become white.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import zlib
from pathlib import Path

from PIL import Image, ImageFile

from model.images.splitting import MAX_SIDE_PX, MIN_SIDE_PX

FORMATS = ("JPEG", "PNG", "WEBP")
"""Accepted formats, by Pillow's names."""
MAX_BYTES = 64 * 2**20
"""Largest accepted file: 40 million pixels of PNG noise would be 120 MB, a scan of that size is 10 to 50 MB."""
MAX_PIXELS = 40_000_000
"""Largest accepted image: ten times the pixels that MM1.5 can see (9 tiles of 672 px)."""

DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, struct.error, zlib.error)
"""Exceptions that Pillow raises for damaged files."""
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
"""Pillow's exceptions for too many pixels. The warning is raised only where warnings are errors; elsewhere our check
finds the same images."""


def open_image(path: Path, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read and decode one image file.

    Args:
        path: a regular file, not a symbolic link.
        max_bytes: largest accepted size of the file.
        max_pixels: largest accepted width x height.

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
    return decode_image(content, str(path), max_bytes=max_bytes, max_pixels=max_pixels)


def decode_image(content: bytes, name: str, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode one image from memory, such as a record of an archive.

    Args:
        content: the bytes of the file.
        name: stands for the file in messages.
        max_bytes: largest accepted size of the file.
        max_pixels: largest accepted width x height.

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
            image.load()
            return to_rgb(image)
    except _Refused as error:
        raise ValueError(f"{name}: {error}") from error
    except BOMBS as error:
        raise ValueError(f"{name}: {error}; allowed: {max_pixels} pixels") from error
    except DAMAGE as error:
        raise ValueError(f"{name}: damaged, or not one of {', '.join(FORMATS)} ({error})") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the image in RGB: transparent pixels become white, 16-bit greys keep their upper eight bits."""
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    paper = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(paper, layer).convert("RGB")


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
