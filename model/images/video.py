"""A video as the images of a sample: 24 frames at equal distances, one tile each (MM1.5-Video, arXiv:2409.20566). Torch-free.

- Three images or more in a sample are never split, so a video costs 24 tiles whatever its length and its image setting.
- A video of fewer frames shows some twice: its cost stays the same, and it is never taken for one or two images.
- Videos are read as folders of frames, as training sets hand them out; no codec is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image

from model.config.stages import MAX_SPLIT_IMAGES
from model.images.decode import open_image

FRAMES = 24
"""Frames of a video (MM1.5-Video)."""
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}

T = TypeVar("T")


def frame_indices(length: int, *, frames: int = FRAMES) -> tuple[int, ...]:
    """Return which frames of a video are shown: the middle of each of so many equal parts, rounded down.

    Args:
        length: frames of the video, >= 1.
        frames: frames to show, >= 3, so that they are never split.

    Raises:
        ValueError: the video has no frame, or too few are asked for.
    """
    if length < 1:
        raise ValueError(f"a video of {length} frames; allowed: >= 1")
    if frames <= MAX_SPLIT_IMAGES:
        raise ValueError(f"{frames} frames of a video; allowed: >= {MAX_SPLIT_IMAGES + 1}, since fewer images are split into tiles")
    return tuple((2 * part + 1) * length // (2 * frames) for part in range(frames))


def uniform_frames(video: Sequence[T], *, frames: int = FRAMES) -> tuple[T, ...]:
    """Return the frames that `frame_indices` names."""
    return tuple(video[index] for index in frame_indices(len(video), frames=frames))


def open_video(folder: Path, *, frames: int = FRAMES) -> tuple[Image.Image, ...]:
    """Read a video from a folder of frames, in the order of their names; only the frames shown are opened.

    Raises:
        ValueError: there are no frames, the names do not sort as their numbers do, or a frame is damaged; the message names it.
    """
    names = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    if not names:
        raise ValueError(f"{folder}: no frames; allowed: a folder of {', '.join(sorted(SUFFIXES))}")
    numbers = [int(digits) for path in names if (digits := "".join(filter(str.isdigit, path.stem)))]
    if numbers != sorted(numbers):
        raise ValueError(f"{folder}: frames are not in order by name ({names[0].name}, {names[1].name}, ...)\n"
                         "hint: number them with leading zeros")
    opened: dict[Path, Image.Image] = {path: open_image(path) for path in dict.fromkeys(uniform_frames(names, frames=frames))}
    return tuple(opened[path] for path in uniform_frames(names, frames=frames))
