"""Tiles hold the right pixels, in the right order, at the right size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model.config.stages import ImageConfig
from model.images.splitting import select_grid
from model.images.tiling import PADDING, tiles

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def config(**changes):
    return ImageConfig(**{"mode": "dynamic", "tile": 32, "tokens": 16, **changes})


def quarters(side=64):
    """Return an image of four colours: red and green above, blue and white below."""
    pixels = np.zeros((side, side, 3), np.uint8)
    half = side // 2
    pixels[:half, :half], pixels[:half, half:], pixels[half:, :half], pixels[half:, half:] = RED, GREEN, BLUE, WHITE
    return Image.fromarray(pixels)


def noise(height, width):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def colours(tiles_NCXX):
    return [tuple(tile.reshape(3, -1).mean(1)) for tile in tiles_NCXX]


def test_tiles_are_row_major():
    tiling = tiles(quarters(), config())
    assert (tiling.rows, tiling.cols, tiling.tiles.shape, tiling.tiles.dtype) == (2, 2, (5, 3, 32, 32), np.uint8)
    assert colours(tiling.tiles[1:]) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize(("place", "index"), [("before", 0), ("after", 4)])
def test_overview_shows_the_whole_picture_at_its_place(place, index):
    tiling = tiles(quarters(), config(overview=place))
    assert tiling.overview == index
    np.testing.assert_array_equal(tiling.tiles[index], np.asarray(quarters(32)).transpose(2, 0, 1))


def test_order_of_the_overview_moves_nothing_else():
    before, after = (tiles(noise(90, 70), config(overview=place)) for place in ("before", "after"))
    np.testing.assert_array_equal(before.tiles[1:], after.tiles[:-1])
    np.testing.assert_array_equal(before.tiles[0], after.tiles[-1])


def test_unscaled_image_is_cut_without_change():
    image = noise(96, 64)
    tiling = tiles(image, config(n_min=6, n_max=6))
    rows = [np.concatenate(list(tiling.tiles[1 + row * 2 : 3 + row * 2]), axis=2) for row in range(3)]
    np.testing.assert_array_equal(np.concatenate(rows, axis=1), np.asarray(image).transpose(2, 0, 1))


def test_padding_lies_right_and_below():
    wide = tiles(Image.new("RGB", (64, 16), WHITE), config(mode="single")).tiles[0]
    tall = tiles(Image.new("RGB", (16, 64), WHITE), config(mode="single")).tiles[0]
    assert (wide[:, :8] == 255).all()
    assert (wide[:, 8:] == PADDING).all()
    np.testing.assert_array_equal(tall, wide.transpose(0, 2, 1))


def test_one_tile_has_no_overview():
    tiling = tiles(noise(20, 20), config(n_min=1, n_max=1))
    assert (tiling.tiles.shape, tiling.overview) == ((1, 3, 32, 32), None)


@pytest.mark.parametrize(("num_images", "count"), [(1, 5), (2, 5), (3, 1), (8, 1)])
def test_three_images_are_not_split(num_images, count):
    assert len(tiles(noise(64, 64), config(), num_images=num_images).tiles) == count


def test_static_scales_to_fit_two_by_two():
    tiling = tiles(Image.new("RGB", (400, 100), WHITE), config(mode="static"))
    assert (tiling.rows, tiling.cols) == (2, 2)
    assert (tiling.tiles[1:3, :, :16] == 255).all()
    assert (tiling.tiles[1:3, :, 16:] == PADDING).all()
    assert (tiling.tiles[3:] == PADDING).all()


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 300), st.integers(2, 300), st.sampled_from(["longer", "fit"]), st.integers(2, 9))
def test_every_size_fills_its_grid_on_one_axis(height, width, fit, n_max):
    tiling = tiles(Image.new("RGB", (width, height), RED), config(n_min=2, n_max=n_max, fit=fit))
    grid = select_grid(height, width, tile=32, n_min=2, n_max=n_max, fit=fit)
    assert len(tiling.tiles) == grid.num_tiles + 1
    num_red = (tiling.tiles[1:] == np.array(RED)[None, :, None, None]).all(1).sum()
    assert num_red == max(1, round(height * grid.scale)) * max(1, round(width * grid.scale))


def test_extreme_shapes_keep_a_line_of_pixels():
    tiling = tiles(Image.new("RGB", (65535, 2), RED), config())
    assert (tiling.rows, tiling.cols) == (1, 9)
    assert (tiling.tiles[1:, 0, 0] == 255).all()


def test_same_image_gives_the_same_bytes():
    first, second = (tiles(noise(301, 207), config()).tiles for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_overview_is_close_to_one_made_from_the_original():
    smooth = noise(12, 16).resize((640, 480), Image.Resampling.BICUBIC)
    tiling = tiles(smooth, config(tile=64))
    direct = np.asarray(smooth.resize((64, 48), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    difference = tiling.tiles[0][:, :48].astype(int) - direct
    assert np.abs(difference).mean() < 2


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK"])
def test_other_modes_become_rgb(mode):
    tiling = tiles(Image.new("RGB", (32, 32), WHITE).convert(mode), config(mode="single"))
    assert (tiling.tiles == 255).all()


@pytest.mark.parametrize(("width", "height"), [(5, 0), (5, 1), (1, 5)])
def test_image_with_a_side_too_short_is_refused(width, height):
    with pytest.raises(ValueError, match=f"{height} x {width} px; allowed: sides of 2 to 65535 px"):
        tiles(Image.new("RGB", (width, height)), config())
