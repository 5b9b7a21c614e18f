"""A video as the images of a sample: 24 evenly spaced frames, one tile each. Torch-free.

- The number of frames is that of MM1.5-Video (arXiv:2409.20566).
- Three or more images of a sample are never split, so a video costs 24 tiles, whatever its length and image setting.
- Of a shorter video some frames are shown twice: its cost stays the same, and it is never treated as one or two images.
- Videos are read as folders of frames, the form in which training sets provide them; no codec is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image

from model.config.stages import MAX_SPLIT_IMAGES
from model.images.decode import open_image

FRAMES = 24
"""Number of frames that are shown of a video (MM1.5-Video)."""
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
"""Endings of the files that count as frames."""

T = TypeVar("T")


def frame_indices(length: int, *, frames: int = FRAMES) -> tuple[int, ...]:
    """Return the indices of the frames to show: the video is cut into equal parts, and the middle of each is shown.

    Args:
        length: number of frames of the video, >= 1.
        frames: number of frames to show, >= 3, so that they are never split.

    Raises:
        ValueError: the video has no frame, or `frames` is below 3.
    """
    if length < 1:
        raise ValueError(f"a video of {length} frames; allowed: >= 1")
    if frames <= MAX_SPLIT_IMAGES:
        raise ValueError(f"{frames} frames of a video; allowed: >= {MAX_SPLIT_IMAGES + 1}, "
                         "since fewer images are split into tiles")
    return tuple((2 * part + 1) * length // (2 * frames) for part in range(frames))


def uniform_frames(video: Sequence[T], *, frames: int = FRAMES) -> tuple[T, ...]:
    """Return the frames at the indices that `frame_indices` returns."""
    return tuple(video[index] for index in frame_indices(len(video), frames=frames))


def open_video(folder: Path, *, frames: int = FRAMES) -> tuple[Image.Image, ...]:
    """Read a video from a folder of frames, in the order of their names. Only the frames that are shown are opened.

    Args:
        folder: holds one image file per frame, with numbered names.
        frames: number of frames to show, >= 3.

    Raises:
        ValueError: there are no frames, the order of the names is not that of their numbers, or a frame is damaged; the
            message names it.
    """
    names = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    if not names:
        raise ValueError(f"{folder}: no frames; allowed: a folder of {', '.join(sorted(SUFFIXES))}")
    numbers = [int(digits) for path in names if (digits := "".join(filter(str.isdigit, path.stem)))]
    if numbers != sorted(numbers):
        raise ValueError(f"{folder}: frames are not in order by name ({names[0].name}, {names[1].name}, ...)\n"
                         "hint: number them with leading zeros")
    shown = uniform_frames(names, frames=frames)
    # A frame that is shown twice is opened once.
    opened: dict[Path, Image.Image] = {path: open_image(path) for path in dict.fromkeys(shown)}
    return tuple(opened[path] for path in shown)
