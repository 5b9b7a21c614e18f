"""What settings hold, against the printed table, and what images cost."""

import pytest

from model.config.stages import ImageConfig
from model.images.cost import describe, image_load
from model.images.splitting import select_grid

FIRST_TABLE = [
    (("single", 672, 144, 9), 1, "144/144", "0.45MP"),
    (("static", 672, 144, 9), 5, "144/720", "1.8MP"),
    (("dynamic", 672, 144, 4), 5, "144/720", "1.8MP"),
    (("dynamic", 378, 81, 9), 10, "81/810", "1.3MP"),
    (("dynamic", 672, 81, 9), 10, "81/810", "4.1MP"),
    (("dynamic", 378, 144, 9), 10, "144/1440", "1.3MP"),
    (("dynamic", 672, 144, 9), 10, "144/1440", "4.1MP"),
]


def setting(mode, tile, tokens, n_max, **changes):
    return ImageConfig(**{"mode": mode, "tile": tile, "tokens": tokens, "n_min": 4, "n_max": n_max, **changes})


@pytest.mark.parametrize(("row", "encoder_images", "tokens", "resolution"), FIRST_TABLE)
def test_rows_of_the_first_splitting_table(row, encoder_images, tokens, resolution):
    described = describe(setting(*row))
    assert described.encoder_images == encoder_images
    assert (described.tokens_text, described.resolution_text) == (tokens, resolution)


def test_four_megapixels_are_2016_squared_or_6048_by_672():
    described = describe(setting("dynamic", 672, 144, 9))
    assert (described.square_px, described.longest_px) == (2016, 6048)
    assert described.effective_px == 2016 * 2016 == 6048 * 672


@pytest.mark.parametrize("n_max", [4, 6, 9, 16])
def test_limits_are_the_largest_images_that_are_not_scaled_down(n_max):
    described = describe(setting("dynamic", 672, 144, n_max))
    sizes = [(described.square_px, described.square_px), (672, described.longest_px), (described.square_px + 1,) * 2]
    grids = [select_grid(*size, tile=672, n_min=4, n_max=n_max) for size in sizes]
    assert [grid.covers for grid in grids] == [True, True, False]


def test_one_tile_at_most_needs_no_overview():
    described = describe(ImageConfig(mode="dynamic", tile=378, tokens=144, n_min=1, n_max=1))
    assert (described.encoder_images, described.tokens) == (1, 144)


def test_load_of_an_image_counts_the_overview():
    load = image_load(600, 800, setting("dynamic", 672, 144, 9))
    assert (load.tiles, load.image_tokens, load.indicator_tokens, load.length) == (5, 720, 0, 720)


@pytest.mark.parametrize(("indicator", "tokens"), [("none", 0), ("seps", 4), ("index", 35)])
def test_indicators_take_positions(indicator, tokens):
    assert image_load(600, 800, setting("dynamic", 672, 144, 9, indicator=indicator)).indicator_tokens == tokens


def test_load_of_the_third_image_is_one_tile():
    assert image_load(600, 800, setting("dynamic", 672, 144, 9), num_images=3).length == 144
