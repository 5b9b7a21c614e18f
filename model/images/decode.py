"""Open image files that nobody vouches for. Torch-free.

- Only JPEG, PNG and WebP are ever parsed; bytes, pixels and frames are bounded before a pixel is decoded.
- Pillow's own global limits stay as they are: a library that edits them would change its host's behaviour.
- Damage is an error that names the file. Half a picture would train or score something else than was asked for.
- Pixels are kept as stored: boxes refer to them, so an EXIF rotation is not applied. Transparency becomes white paper.
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
MAX_BYTES = 64 * 2**20
"""Largest file accepted: 40 million pixels of PNG noise would be 120 MB, a scan of that size is 10 to 50 MB."""
MAX_PIXELS = 40_000_000
"""Largest picture accepted: ten times what MM1.5 can look at (9 tiles of 672 px)."""

DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, struct.error, zlib.error)
"""What Pillow raises for damaged files."""
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
"""Pillow's own words for too many pixels; the second is raised where warnings are errors, else our check follows it."""


def open_image(path: Path, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read and decode one image file.

    Args:
        path: a regular file, not a symbolic link.
        max_bytes: size of the largest file.
        max_pixels: width x height of the largest picture.

    Returns:
        the decoded image, RGB.

    Raises:
        ValueError: the file cannot be read, is too large, of another format, animated or damaged; the message names it.
    """
    try:
        with open(path, "rb", opener=_open_directly) as file:
            is_regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            content = file.read(max_bytes + 1) if is_regular else b""
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({error}); allowed: a readable file, no symbolic link") from error
    if not is_regular:
        raise ValueError(f"{path}: is a pipe, a socket or a device; allowed: a regular file")
    return decode_image(content, str(path), max_bytes=max_bytes, max_pixels=max_pixels)


def decode_image(content: bytes, name: str, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode one image from memory, for records of an archive; as `open_image`, with `name` in messages.

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
        raise ValueError(f"{name}: damaged, or of another kind than {', '.join(FORMATS)} ({error})") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the image in RGB; transparent pixels show white, 16-bit greys keep their upper eight bits."""
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
    """Open without following a link, and without waiting for the other end of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


class _Refused(Exception):
    """A header that asks for too much; no ValueError, so that Pillow's own are told apart from it."""


def _check_header(image: ImageFile.ImageFile, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise _Refused(f"{width} x {height} px are {width * height} pixels; allowed: {max_pixels}")
    if not (MIN_SIDE_PX <= width <= MAX_SIDE_PX and MIN_SIDE_PX <= height <= MAX_SIDE_PX):
        raise _Refused(f"{width} x {height} px; allowed: sides of {MIN_SIDE_PX} to {MAX_SIDE_PX} px")
    # A phone's JPEG may carry a second picture (depth, gain map; Pillow calls it MPO): the first is the photograph.
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        raise _Refused(f"animated, {frames} frames; allowed: 1")
