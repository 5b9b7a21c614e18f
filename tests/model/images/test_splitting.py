"""The grid rule against vectors, brute force and its symmetries."""

import json
import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.images.splitting import candidates, select_grid

VECTORS = Path(__file__).parents[2] / "vectors" / "grid_vectors.json"
SIDES = st.integers(1, 5000)


def cases(path):
    for vector in json.loads(Path(path).read_text())["vectors"]:
        for name, readings in vector["mm15"].items():
            tile, n_min, n_max = map(int, re.fullmatch(r"r(\d+)_(\d+)_(\d+)", name).groups())
            for fit, expected in readings.items():
                yield vector["h"], vector["w"], tile, n_min, n_max, fit, expected


def test_vectors(request):
    for h, w, tile, n_min, n_max, fit, expected in cases(request.config.getoption("--grid-vectors") or VECTORS):
        grid = select_grid(h, w, tile=tile, n_min=n_min, n_max=n_max, fit=fit)
        found = [grid.rows, grid.cols], grid.covers, round(grid.scale, 6)
        assert found == (expected["grid"], expected["case"] == 1, pytest.approx(expected["scale"], abs=2e-6)), (h, w, fit)


@given(SIDES, SIDES, st.sampled_from(["longer", "fit"]))
def test_swapping_the_axes_swaps_the_grid_up_to_ties(height, width, fit):
    grid = select_grid(height, width, tile=64, n_min=4, n_max=9, fit=fit)
    turned = select_grid(width, height, tile=64, n_min=4, n_max=9, fit=fit)
    assert grid.num_tiles == turned.num_tiles
    assert grid.scale == pytest.approx(turned.scale)


@given(SIDES, SIDES, st.integers(1, 6), st.integers(0, 10))
def test_fit_takes_the_grid_that_brute_force_takes(height, width, n_min, more):
    def rank(grid):
        scale = min(Fraction(grid[1] * 64, width), Fraction(grid[0] * 64, height))
        padding = grid[0] * grid[1] * 64**2 - scale**2 * height * width
        return (0, padding) if scale >= 1 else (1, -scale, padding)

    grid = select_grid(height, width, tile=64, n_min=n_min, n_max=n_min + more, fit="fit")
    grids = candidates(n_min, n_min + more)
    assert rank((grid.rows, grid.cols)) == min(map(rank, grids))


@pytest.mark.parametrize(("height", "width", "n_min", "n_max", "says"), [
    (0, 10, 1, 4, "0 x 10"), (10, 100_000, 1, 4, "10 x 100000"), (10, 10, 9, 4, "n_min 9, n_max 4"), (10, 10, 1, 65, "65"),
])
def test_bad_input_is_named(height, width, n_min, n_max, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        select_grid(height, width, tile=64, n_min=n_min, n_max=n_max)


@pytest.mark.parametrize(("height", "width"), [(2016, 2016), (672, 6048)])
def test_four_megapixels_fit_nine_tiles_unscaled(height, width):
    grid = select_grid(height, width, tile=672, n_min=4, n_max=9)
    assert (grid.num_tiles, grid.scale) == (9, 1.0)
