"""Hours of a suite of benchmarks on one H100, by arithmetic: `python -m model.cost mm1.5-3b --items 200000`. Torch-free.

It prints a line for each number of items that share a picture, with what a decoder that takes no time would gain.
"""

from __future__ import annotations

import argparse
import sys

from model.config.stages import PRESETS, ImageConfig
from model.cost.suite import suite_time


def main(arguments: list[str]) -> None:
    """Print the hours of dynamic splitting into 4 to 9 tiles."""
    parser = argparse.ArgumentParser(prog="python -m model.cost", description=main.__doc__)
    parser.add_argument("preset", choices=sorted(PRESETS))
    parser.add_argument("--items", type=int, default=200_000, help="questions with one picture each; default 200,000")
    parser.add_argument("--tile", type=int, default=672, help="side of a tile, px; default 672")
    parser.add_argument("--tokens", type=int, default=144, help="image tokens of a tile; default 144")
    parser.add_argument("--utilisation", type=float, default=0.45, help="share of the peak that products reach")
    given = parser.parse_args(arguments)
    images = ImageConfig(mode="dynamic", tile=given.tile, tokens=given.tokens)
    for share in (1, 4, 18):
        found = suite_time(PRESETS[given.preset], images, items=given.items, items_per_picture=share,
                           utilisation=given.utilisation)
        sys.stdout.write(f"{share:>2} items a picture: {found.hours:.2f} H100-hours (pictures {found.images / 3600:.2f}, prompts "
                         f"{found.prompts / 3600:.2f}, answers {found.answers / 3600:.2f}); without the decoder "
                         f"{found.without_decoder:.1f} times faster\n")


if __name__ == "__main__":
    main(sys.argv[1:])
