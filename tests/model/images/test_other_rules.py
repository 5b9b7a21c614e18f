"""Grids of other models' rules equal those of transformers' own processors; pictures are placed as those models place them."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from transformers.image_processing_utils import select_best_resolution
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

from model.config.stages import ImageConfig
from model.images.cost import describe, image_load
from model.images.grids import grid_of
from model.images.other_rules import anyres, idefics3, internvl
from model.images.splitting import candidates
from model.images.tiling import tiles

SIDES = st.integers(2, 4000)
TILES = st.sampled_from([24, 32, 336, 364, 448])
RANGES = st.sampled_from([(1, 4), (1, 12), (2, 6), (4, 9), (1, 1), (3, 3)])
IDEFICS3 = Idefics3ImageProcessorPil()


@given(SIDES, SIDES, TILES, RANGES)
@example(336, 336, 336, (1, 4))
@example(427, 640, 336, (1, 12))
def test_anyres_is_that_of_llava_next(height, width, tile, span):
    offered = [(rows * tile, cols * tile) for rows, cols in candidates(*span)]
    theirs = select_best_resolution((height, width), offered)
    if theirs is not None:  # none where every downscaled side is 0 px
        assert anyres(height, width, tile=tile, n_min=span[0], n_max=span[1]) == (theirs[0] // tile, theirs[1] // tile)


@given(SIDES, SIDES, TILES, RANGES)
@example(600, 750, 448, (1, 12))
@example(6, 7, 448, (1, 12))
def test_internvl_is_that_of_its_processor(height, width, tile, span):
    cols, rows = get_optimal_tiled_canvas((height, width), (tile, tile), *span)
    assert internvl(height, width, tile=tile, n_min=span[0], n_max=span[1]) == (rows, cols)


@given(SIDES, SIDES, TILES, st.integers(2, 6))
@example(364, 1456, 364, 4)
@example(1456, 363, 364, 4)
def test_idefics3_is_that_of_its_processor(height, width, tile, along):
    sizes = {"size": {"longest_edge": along * tile}, "max_image_size": {"longest_edge": tile}}
    _, rows, cols = IDEFICS3.get_number_of_image_patches(height, width, sizes)
    assert idefics3(height, width, tile=tile, n_max=along**2) == (rows, cols)


@given(SIDES, SIDES, st.sampled_from(["anyres", "internvl", "idefics3"]), st.integers(1, 12))
def test_a_grid_stays_within_its_bounds_and_its_cost_is_known(height, width, mode, n_max):
    config = ImageConfig(mode=mode, tile=32, tokens=4, n_min=1, n_max=n_max)
    rows, cols = grid_of(height, width, config)
    assert 1 <= rows * cols <= n_max
    assert image_load(height, width, config).tiles == rows * cols + (rows * cols > 1)
    assert image_load(height, width, config).tiles <= describe(config).encoder_images


@pytest.mark.parametrize("mode", ["anyres", "internvl", "idefics3"])
def test_tiles_show_the_whole_image_and_the_overview_fills_its_tile(mode):
    image = Image.fromarray(np.tile(np.linspace(0, 255, 130, dtype=np.uint8)[None, :, None], (40, 1, 3)))
    config = ImageConfig(mode=mode, tile=32, tokens=4, n_min=2, n_max=9)
    found = tiles(image, config)
    overview = found.tiles[found.overview]
    assert found.tiles.shape == (found.rows * found.cols + 1, 3, 32, 32)
    assert (overview[:, :, 0].max() < 20, overview[:, :, -1].min() > 235, overview[0, -1, 16] != 128) == (True, True, True)
    last = found.tiles[-1]
    is_padded = bool((last[:, -1, :] == 128).all())
    assert is_padded == (mode == "anyres" and found.rows * 130 > found.cols * 40)


def test_three_images_are_not_split_by_any_rule():
    for mode in ("anyres", "internvl", "idefics3"):
        assert grid_of(900, 900, ImageConfig(mode=mode, tile=32, tokens=4), num_images=3) == (1, 1)


def test_idefics3_scales_small_and_large_images_to_the_same_longer_side():
    grids = {idefics3(30 * scale, 60 * scale, tile=32, n_max=16) for scale in (1, 2, 10)}
    assert grids == {(2, math.isqrt(16))}
