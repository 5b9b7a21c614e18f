"""Videos: frames at equal distances, one tile each whatever the setting."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model.config.stages import ImageConfig
from model.data.encoding import Encoder
from model.data.tokenizer import load_tokenizer
from model.images.video import frame_indices, open_video, uniform_frames
from model.samples import IMAGE, Sample, Turn


@given(st.integers(1, 100_000), st.integers(3, 64))
def test_frames_are_uniform_within_one(length, frames):
    indices = frame_indices(length, frames=frames)
    assert len(indices) == frames
    assert 0 <= indices[0] <= indices[-1] < length
    steps = [second - first for first, second in pairwise(indices)]
    assert max(steps) - min(steps) <= 1
    assert abs(indices[0] - (length - 1 - indices[-1])) <= 1


def test_a_video_of_24_frames_is_shown_whole():
    assert frame_indices(24) == tuple(range(24))


def test_a_short_video_still_has_24_frames_in_order():
    assert uniform_frames("abc") == tuple("a" * 8 + "b" * 8 + "c" * 8)


@pytest.mark.parametrize(("length", "frames", "says"), [(0, 24, "a video of 0 frames"), (10, 2, "2 frames of a video; allowed: >= 3")])
def test_too_few_frames_are_refused(length, frames, says):
    with pytest.raises(ValueError, match=says):
        frame_indices(length, frames=frames)


@pytest.mark.parametrize("mode", ["single", "static", "dynamic"])
def test_a_video_costs_24_tiles_in_every_mode(mode):
    frames = uniform_frames([Image.new("RGB", (100, 60), (shade, 0, 0)) for shade in range(90)])
    images = ImageConfig(mode=mode, tile=64, tokens=16, indicator="index")
    sample = Sample(sample_id="v", category="multi_image", images=frames, turns=(Turn(IMAGE * 24 + "What happens?", "It reddens."),))
    encoder = Encoder(load_tokenizer(), images, max_tokens=2048)
    encoded = encoder.sample(sample)
    assert len(encoded.tiles) == 24
    assert encoded.ids.count(encoder.id["<image>"]) == 24 * 16
    assert "(23,1,1)" in encoder.tokenizer.decode(encoded.ids)


def test_paper_spends_3456_tokens_on_a_video():
    assert len(frame_indices(1000)) * 144 == 3456


def folder_of(path, names):
    for shade, name in enumerate(names):
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(path / name)
    return path


def test_a_folder_of_frames_is_read_in_order(tmp_path):
    frames = open_video(folder_of(tmp_path, [f"frame_{i:03d}.png" for i in range(48)]))
    assert [frame.getpixel((0, 0))[0] for frame in frames] == list(range(1, 48, 2))


def test_frames_that_do_not_sort_by_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"not in order by name \(0.png, 1.png, ...\)\nhint: .*leading zeros"):
        open_video(folder_of(tmp_path, [f"{i}.png" for i in range(12)]))


def test_a_folder_without_frames_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no frames"):
        open_video(tmp_path)


def test_a_damaged_frame_is_named(tmp_path):
    folder_of(tmp_path, ["a.png", "b.png", "c.png"])
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"b\.png: damaged"):
        open_video(tmp_path)
