"""The page Splitting: how an image becomes tiles and tokens, with every grid that was weighed and other ways beside."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from dashboard import grids, text
from dashboard.views import shared
from model.config.stages import ImageConfig
from model.evaluation.benchmarks.registry import BENCHMARKS
from model.evaluation.workbench_items import workbench_item
from model.images.decode import decode_image
from model.images.drawing import Picture, annotated, tile_images
from model.images.tiling import tiles

PICKED = [name for name, each in BENCHMARKS.items() if each.source == "workbench" and each.category in
          ("general", "text_rich", "refer_ground", "science")]
"""Benchmarks of the workbench whose items have one picture."""


def show() -> None:
    """Choose a picture and a setting, then show what the model sees."""
    image = _picture()
    config = _setting()
    if image is None or config is None:
        return
    height, width = image.height, image.width
    tiling = tiles(image, config)
    cols = st.columns(2)
    with cols[0]:
        st.image(annotated(image, config), width="stretch",
                 alt=f"picture of {width} by {height} px with the borders of its {tiling.rows} by {tiling.cols} tiles")
        shared.note(f"{width} × {height} px, with the borders of its tiles")
    with cols[1]:
        number = len(tiling.tiles)
        st.metric("Grid (rows × columns)", f"{tiling.rows} × {tiling.cols}", border=True)
        st.metric("Tiles and tokens", f"{number} tiles, {number * config.tokens} tokens", border=True)
    if config.mode == "dynamic":
        _candidates(height, width, config)
    st.header("What the model sees")
    shown = tile_images(tiling)
    names = [f"overview ({i})" if i == tiling.overview else f"tile {i}" for i in range(len(shown))]
    with st.container(horizontal=True):
        for tile, name in zip(shown, names, strict=True):
            _captioned(tile, name, width=110)
    st.code(grids.sequence(tiling.rows, tiling.cols, config), language=None, wrap_lines=True)
    _others(image, config)


def _others(image: Picture, config: ImageConfig) -> None:
    """Show what other ways of splitting make of the picture."""
    st.header("Other ways of splitting")
    found = grids.tilers(image.height, image.width, config)
    with st.container(horizontal=True):
        for each in found[1:]:
            words = f"{each.name}: {each.rows} × {each.cols}, {each.num_tokens} tokens"
            _captioned(annotated(image, each.config), words, width=170)
    shared.table([{"way": each.name, "rows": each.rows, "columns": each.cols, "tiles": each.num_tiles,
                   "tokens": each.num_tokens, "scale": round(each.scale, 3), "stretch": round(each.stretch, 3)}
                  for each in found], key="tilers", alt="Other ways of splitting the same picture")
    shared.note("Tiles: with the overview, which every grid of more than one tile has. Scale: resize factor of the picture; "
                "below 1 detail is lost. Stretch: 1 where the picture keeps its shape; InternVL and Idefics3 fill the grid.")


def _captioned(image: Picture, words: str, *, width: int) -> None:
    """Show a picture of so many px above its caption; Streamlit's own captions have too little contrast to read."""
    with st.container(width=width):
        st.image(image, width="stretch", alt=words)
        shared.note(words)


def _picture() -> Picture | None:
    uploaded = st.file_uploader(
        "A picture of yours (it is not stored)", type=["png", "jpg", "jpeg", "webp", "gif", "bmp"], key="upload"
    )
    if uploaded is not None:
        try:
            return decode_image(uploaded.getvalue(), uploaded.name)
        except ValueError as error:
            st.error(text.plain_markdown(str(error)), icon=":material/broken_image:")
            return None
    left, right = st.columns(2)
    benchmark = left.selectbox("Or one of the workbench", PICKED, key="benchmark", bind="query-params") or PICKED[0]
    number = right.number_input("Number", min_value=0, max_value=9999, value=0, key="number", bind="query-params")
    return next(iter(workbench_item(BENCHMARKS[benchmark], int(number), seed=1).images), None)


def _setting() -> ImageConfig | None:
    row = st.columns(6)
    mode = row[0].selectbox("Way", list(grids.MODES), format_func=lambda name: grids.MODES[name], key="mode",
                            bind="query-params") or "dynamic"
    tile = row[1].number_input("Tile, px", 8, 2048, 32, key="tile", bind="query-params")
    tokens = row[2].selectbox("Tokens a tile", [9, 4, 16, 36, 81, 144], key="tokens", bind="query-params") or 9
    n_min = row[3].number_input("n_min", 1, 64, 4, key="n_min", bind="query-params")
    n_max = row[4].number_input("n_max", 1, 64, 9, key="n_max", bind="query-params")
    marks: list[Literal["none", "seps", "index"]] = ["none", "seps", "index"]
    indicator = row[5].selectbox("Indicator", marks, key="indicator", bind="query-params") or "none"
    try:
        return ImageConfig(
            mode=mode, tile=int(tile), tokens=tokens, n_min=int(n_min), n_max=int(n_max), indicator=indicator
        )
    except ValueError as error:
        st.error(text.plain_markdown(str(error)), icon=":material/error:")
        return None


def _candidates(height: int, width: int, config: ImageConfig) -> None:
    st.header("Grids that were weighed")
    found = grids.weighed(height, width, config)
    shared.table([{"rows": each.rows, "columns": each.cols, "tiles": each.rows * each.cols, "chosen": each.is_chosen,
                   "fits": each.is_allowed, "covers": each.is_allowed and each.scale >= 1,
                   "scale": round(each.scale, 3) if each.is_allowed else None,
                   "padding, px": round(each.padded_px) if each.is_allowed else None,
                   "padding %": round(100 * each.padding, 1) if each.is_allowed else None,
                   "pixels lost %": round(100 * each.loss, 1) if each.is_allowed else None} for each in found],
                 key="candidates", alt=f"{len(found)} candidate grids")
    shared.note(
        "A grid fits if the image, with its longer side scaled to the grid's, does not overflow it on the other; it covers "
        "the image if the resized image is no smaller than the original. Of the grids that cover, the "
        "one with the least padding is taken; if none covers, the one that loses the least, then the least padded."
    )


st.title("Splitting")
shared.told(show)
