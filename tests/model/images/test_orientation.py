"""A photograph with an EXIF rotation is the same picture on every way into the model: training, evaluation, processor, lmms-eval."""

import io
import json

import numpy as np
import pytest
from PIL import ExifTags, Image

from model.config.catalogue import SourceConfig
from model.config.stages import ImageConfig
from model.data.encoding import Encoder
from model.data.sources.dataset import open_dataset
from model.data.tokenizer import load_tokenizer
from model.evaluation.benchmarks.registry import BENCHMARKS
from model.evaluation.lmms_eval.requests import pictures
from model.evaluation.local_copies.items import LocalItems
from model.hf.processing import MM15Processor
from tests.support import corpora

TALK = [{"from": "human", "value": "<image>What?"}, {"from": "gpt", "value": "It."}]


def photograph():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    stored = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    stored.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def of_training(folder, images):
    record = {"image": "a.jpg", "conversations": TALK}
    (folder / "t.jsonl").write_text(json.dumps(record))
    config = SourceConfig(category="general", name="x", layout="llava", files=(str(folder / "t.jsonl"),), images=str(folder))
    (image,) = open_dataset(config, corpora.catalogue(folder, config), images.orientation).sample(0).images
    return image


def of_evaluation(folder, images):
    copy = folder / "copy"
    copy.mkdir()
    (copy / "a.jpg").write_bytes((folder / "a.jpg").read_bytes())
    (copy / "val.jsonl").write_text(json.dumps({"image": "a.jpg", "question": "What?", "answers": ["it"], "questionId": 1}))
    item = LocalItems(BENCHMARKS["docvqa"], copy, images.orientation)[0]
    assert (item.meta["width"], item.meta["height"]) == tuple(map(str, item.images[0].size))
    return item.images[0]


def of_lmms_eval(folder, images):
    return pictures([Image.open(folder / "a.jpg")], "task/0")[0]


@pytest.mark.parametrize("orientation", ["stored", "exif"])
def test_every_way_shows_the_same_tiles(tmp_path, orientation):
    (tmp_path / "a.jpg").write_bytes(photograph())
    images = ImageConfig(mode="static", tile=64, tokens=4, orientation=orientation)
    encoder = Encoder(load_tokenizer(), images, max_tokens=2048)
    found = [encoder.prompt((), "<image>What?", (way(tmp_path, images),), "q").tiles for way in (of_training, of_evaluation, of_lmms_eval)]
    processor = MM15Processor(load_tokenizer(), {"mode": "static", "tile": 64, "tokens": 4, "orientation": orientation})
    found.append(processor(Image.open(tmp_path / "a.jpg"), "<image>What?")["pixel_values"].numpy())
    assert all(np.array_equal(each, found[0]) for each in found)


def test_the_two_settings_differ(tmp_path):
    (tmp_path / "a.jpg").write_bytes(photograph())
    sizes = {way: of_training(tmp_path, ImageConfig(mode="single", tile=64, tokens=4, orientation=way)).size for way in ("stored", "exif")}
    assert sizes == {"stored": (60, 40), "exif": (40, 60)}
