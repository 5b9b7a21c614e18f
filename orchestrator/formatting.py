"""Format numbers for people: durations, counts, FLOPs, sizes, scores with their interval. Pure functions."""

from __future__ import annotations

import math

_FORMULA = ("=", "+", "-", "@", "\t", "\n")
MISSING = "–"
"""The text shown in place of a number that is not known or was withheld."""


def duration(seconds: float | None) -> str:
    """Format a duration as `8 s`, `2 min 05 s`, `3 h 20 min` or `4 d 2 h`."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds >= 0.05 else "0 s"
    rounded_s = round(seconds)
    if rounded_s < 60:
        return f"{rounded_s} s"
    if rounded_s < 3600:
        return f"{rounded_s // 60} min {rounded_s % 60:02d} s"
    if rounded_s < 48 * 3600:
        return f"{rounded_s // 3600} h {rounded_s % 3600 // 60:02d} min"
    return f"{rounded_s // 86400} d {rounded_s % 86400 // 3600} h"


def flops(count: float | None) -> str:
    """Format a count of floating-point operations with its unit prefix, such as `3.2 TFLOP`."""
    if not count or not math.isfinite(count):
        return MISSING
    for prefix, size in (("Y", 1e24), ("Z", 1e21), ("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if count >= size:
            return f"{count / size:.3g} {prefix}FLOP"
    return f"{count:.0f} FLOP"


def number(value: object) -> str:
    """Format a level of a factor: 0.10 as `0.1`, text unchanged."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def size(num_bytes: float) -> str:
    """Format a number of bytes as `1.4 MB`, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000:
            return f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.3g} TB"


def score(mean: float | None, half_width: float | None, *, sign: bool = False) -> str:
    """Format a score as `71.2 ± 1.3`, as `71.2` without an interval, or as `–` if it was withheld.

    Args:
        mean: the score; None or a non-finite number if it was withheld.
        half_width: half the width of its interval, None without an interval.
        sign: whether positive numbers get a plus sign, as differences do.
    """
    if mean is None or not math.isfinite(mean):
        return MISSING
    text = f"{mean:+.1f}" if sign else f"{mean:.1f}"
    if half_width is None or not math.isfinite(half_width):
        return text
    return f"{text} ± {half_width:.1f}"


def loss(mean: float | None, half_width: float | None = None, *, sign: bool = False) -> str:
    """Format a held-out loss in nats as `1.234 ± 0.050`; arguments as of `score`."""
    if mean is None or not math.isfinite(mean):
        return MISSING
    text = f"{mean:+.3f}" if sign else f"{mean:.3f}"
    return f"{text} ± {half_width:.3f}" if half_width is not None and math.isfinite(half_width) else text


def spreadsheet_cell(value: object) -> object:
    """Return a cell of a CSV table so that no spreadsheet takes it for a formula: such a text gets an apostrophe in front.

    Numbers stay as they are, written out or not. A carriage return becomes a space: written without quotes, it would end
    the row for a spreadsheet, and what follows it would be a cell of its own.
    """
    if not isinstance(value, str):
        return value
    text = value.replace("\r", " ")
    if not text.lstrip(" ").startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text
