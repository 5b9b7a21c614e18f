"""The grid rule against vectors, brute force in fractions, and its symmetries."""

import json
import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config.stages import ImageConfig
from model.images.grids import grid_of
from model.images.splitting import candidates, select_grid

VECTORS = Path(__file__).parents[2] / "vectors" / "grid_vectors.json"
SIDES = st.integers(2, 5000)
READINGS = st.sampled_from(["longer", "fit"])
RANGES = st.tuples(st.integers(1, 64), st.integers(1, 64)).map(sorted)


@pytest.fixture
def vectors(request):
    return json.loads(Path(request.config.getoption("--grid-vectors") or VECTORS).read_text())


def expected_grids(vectors):
    """Yield (height, width, tile, n_min, n_max, reading, expected) of sizes and worked examples."""
    for vector in vectors["vectors"]:
        for name, readings in vector["mm15"].items():
            limits = tuple(map(int, re.fullmatch(r"r(\d+)_(\d+)_(\d+)", name).groups()))
            yield from ((vector["h"], vector["w"], *limits, fit, expected) for fit, expected in readings.items())
    for example in vectors.get("deck_example_800x1200_r400", []):
        key = tuple(example[name] for name in ("h", "w", "r", "n_min", "n_max"))
        yield from ((*key, fit, example[fit]) for fit in ("longer", "fit"))


def test_grids_equal_the_vectors(vectors):
    for height, width, tile, n_min, n_max, fit, expected in expected_grids(vectors):
        grid = select_grid(height, width, tile=tile, n_min=n_min, n_max=n_max, fit=fit)
        found = [grid.rows, grid.cols], 1 if grid.covers else 2
        assert found == (expected["grid"], expected["case"]), (height, width, tile, n_min, n_max, fit)


def test_scales_and_padding_equal_the_vectors(vectors):
    for height, width, tile, n_min, n_max, fit, expected in expected_grids(vectors):
        grid = select_grid(height, width, tile=tile, n_min=n_min, n_max=n_max, fit=fit)
        padding = grid.num_tiles * tile**2 - grid.scale**2 * height * width
        assert grid.scale == pytest.approx(expected["scale"], abs=1e-6)
        assert [height * grid.scale, width * grid.scale] == pytest.approx(expected["resized_hw"], abs=1e-3)
        assert padding == pytest.approx(expected["pad_px"], abs=6e-3)
        assert padding / (grid.num_tiles * tile**2) == pytest.approx(expected["pad_frac"], abs=6e-5)


def exact(height, width, rows, cols, *, tile, fit):
    """Return the exact (scale, padding) of a grid of tiles, or None where the image overflows it."""
    by_height, by_width = Fraction(rows * tile, height), Fraction(cols * tile, width)
    longer = by_width if width >= height else by_height
    scale = {"longer": longer, "fit": min(by_height, by_width)}[fit]
    return (scale, rows * cols * tile**2 - scale**2 * height * width) if scale <= min(by_height, by_width) else None


def rank(height, width, rows, cols, **setting):
    """Return what the paper minimises, then the tie-break."""
    scale, padding = exact(height, width, rows, cols, **setting)
    return ((0, padding) if scale >= 1 else (1, -scale, padding)), rows * cols, rows, cols


@given(SIDES, SIDES, RANGES, READINGS, st.integers(1, 1344))
def test_grid_is_the_best_of_all_in_exact_fractions(height, width, limits, fit, tile):
    n_min, n_max = limits
    grid = select_grid(height, width, tile=tile, n_min=n_min, n_max=n_max, fit=fit)
    allowed = [pair for pair in candidates(n_min, n_max) if exact(height, width, *pair, tile=tile, fit=fit)]
    best = min(allowed, key=lambda pair: rank(height, width, *pair, tile=tile, fit=fit))
    scale, _ = exact(height, width, *best, tile=tile, fit=fit)
    assert (grid.rows, grid.cols) == best
    assert grid.covers == (scale >= 1)
    assert grid.scale == float(scale)


@given(SIDES, SIDES, RANGES, READINGS)
def test_swapping_the_axes_swaps_the_grid_up_to_ties(height, width, limits, fit):
    n_min, n_max = limits
    grid = select_grid(height, width, tile=64, n_min=n_min, n_max=n_max, fit=fit)
    turned = select_grid(width, height, tile=64, n_min=n_min, n_max=n_max, fit=fit)
    assert (turned.num_tiles, turned.scale, turned.covers) == (grid.num_tiles, grid.scale, grid.covers)


@given(RANGES)
def test_candidates_are_all_pairs_within_the_range(limits):
    n_min, n_max = limits
    pairs = [(rows, cols) for rows in range(1, 65) for cols in range(1, 65) if n_min <= rows * cols <= n_max]
    assert sorted(candidates(n_min, n_max)) == pairs


@pytest.mark.parametrize(("height", "width", "n_min", "n_max", "says"), [
    (0, 10, 1, 4, "0 x 10"), (1, 10, 1, 4, "1 x 10 px; allowed: sides of 2 to 65535 px"),
    (10, 100_000, 1, 4, "10 x 100000 px; allowed: sides of 2 to 65535 px"), (10, 10, 9, 4, "n_min 9, n_max 4"),
    (10, 10, 1, 65, "n_min 1, n_max 65"), (10, 10, 0, 4, "n_min 0, n_max 4"), (-5, 10, 1, 4, "-5 x 10"),
])
def test_bad_sizes_and_ranges_are_named(height, width, n_min, n_max, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        select_grid(height, width, tile=64, n_min=n_min, n_max=n_max)


def test_unknown_reading_is_refused():
    with pytest.raises(ValueError, match="'longest'; allowed: longer, fit"):
        select_grid(10, 10, tile=64, n_min=1, n_max=4, fit="longest")


def test_tile_of_no_pixels_is_refused():
    with pytest.raises(ValueError, match="tile is 0 px"):
        select_grid(10, 10, tile=0, n_min=1, n_max=4)


@pytest.mark.parametrize("fit", ["longer", "fit"])
@pytest.mark.parametrize(("height", "width", "grid"), [(2016, 2016, (3, 3)), (672, 6048, (1, 9)), (6048, 672, (9, 1))])
def test_four_megapixels_fill_nine_tiles_unscaled(height, width, grid, fit):
    chosen = select_grid(height, width, tile=672, n_min=4, n_max=9, fit=fit)
    assert (chosen.rows, chosen.cols, chosen.scale, chosen.covers) == (*grid, 1.0, True)


def test_sides_beyond_the_table_of_floats_stay_exact():
    grids = [select_grid(height, 640, tile=672, n_min=4, n_max=9) for height in (426, 427)]
    assert [(grid.rows, grid.cols) for grid in grids] == [(2, 3), (2, 2)]


@pytest.mark.parametrize(("mode", "num_images", "grid"), [
    ("single", 1, (1, 1)), ("static", 1, (2, 2)), ("static", 2, (2, 2)), ("static", 3, (1, 1)),
    ("dynamic", 2, (1, 9)), ("dynamic", 3, (1, 1)),
])
def test_mode_and_number_of_images_decide_whether_to_split(mode, num_images, grid):
    assert grid_of(672, 6048, ImageConfig(mode=mode, tile=672, tokens=144), num_images=num_images) == grid


@pytest.mark.parametrize("mode", ["single", "static", "dynamic"])
@pytest.mark.parametrize("size", [(1, 300), (300, 1), (1, 1), (100_000, 300), (300, 100_000)])
def test_a_side_of_one_pixel_or_a_hundred_thousand_is_refused_in_every_mode(mode, size):
    with pytest.raises(ValueError, match=f"image is {size[0]} x {size[1]} px; allowed: sides of 2 to 65535 px"):
        grid_of(*size, ImageConfig(mode=mode, tile=672, tokens=144))


@given(SIDES, SIDES)
def test_another_range_at_inference_never_scales_an_image_down_more(height, width):
    trained, asked = (select_grid(height, width, tile=672, n_min=4, n_max=n_max) for n_max in (9, 16))
    assert asked.covers >= trained.covers
    assert asked.covers or asked.scale >= trained.scale
