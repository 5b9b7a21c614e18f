"""The encoder: its size, its position table against transformers' interpolation, and a model that moves from 378 to 672 px."""

from dataclasses import replace

import pytest
import torch
from PIL import Image
from transformers import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPVisionEmbeddings

from model.config.stages import PRESETS, ConnectorConfig, ImageConfig, ModelConfig, VisionConfig
from model.data.encoding import Encoder
from model.data.tokenizer import load_tokenizer
from model.network.mm15 import MM15, Batch
from model.network.vision import VisionEncoder, interpolate_positions
from model.samples import Item

THIN = ModelConfig(vision=VisionConfig(width=16, layers=1, heads=2, mlp_width=32, patch=14, tile=378, class_token=True),
                   connector=ConnectorConfig(hidden=16, depth=1), decoder=PRESETS["tiny"].decoder)


def test_vit_h_has_632_million_parameters():
    with torch.device("meta"):
        encoder = VisionEncoder(PRESETS["mm1.5-3b"].vision)
    assert sum(weight.numel() for weight in encoder.parameters()) == pytest.approx(632e6, rel=2e-3)


def test_positions_of_378_px_stretch_to_672_as_transformers_stretches_them():
    torch.manual_seed(0)
    theirs = CLIPVisionEmbeddings(CLIPVisionConfig(hidden_size=16, num_attention_heads=2, image_size=378, patch_size=14))
    table = theirs.position_embedding.weight[None, 1:]
    wanted = theirs.interpolate_pos_encoding(torch.zeros(1, 48 * 48 + 1, 16), 672, 672)[:, 1:]
    torch.testing.assert_close(interpolate_positions(table, 48), wanted)


def batch_at(tile):
    ids = torch.tensor([[5] * 144 + [7, 8]])
    labels = torch.full_like(ids, -100)
    labels[0, -2] = 8
    return Batch(ids, labels, torch.ones_like(ids, dtype=torch.bool), torch.randint(0, 256, (1, 3, tile, tile), dtype=torch.uint8), 5)


def test_a_checkpoint_of_378_px_runs_at_672_with_both_tables_stretched(tmp_path):
    torch.manual_seed(0)
    model = MM15(THIN)
    model.save_pretrained(tmp_path)
    wide = MM15.from_pretrained(tmp_path, tile=672)
    for part, old in ((wide.vision, model.vision), (wide.connector, model.connector)):
        assert part.positions.shape == (1, 48 * 48, 16)
        torch.testing.assert_close(part.positions.data, interpolate_positions(old.positions.data, 48))
    loss = wide(batch_at(672), tokens=144)
    loss.backward()
    assert torch.isfinite(loss)
    assert wide.connector.positions.grad.abs().sum() > 0


def test_tiles_of_another_side_are_seen_as_after_loading_for_that_side(tmp_path):
    torch.manual_seed(0)
    MM15(PRESETS["tiny"]).save_pretrained(tmp_path)
    tiles = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    there, here = MM15.from_pretrained(tmp_path, tile=32), MM15.from_pretrained(tmp_path)
    torch.testing.assert_close(here.connector(here.vision(tiles), tokens=4), there.connector(there.vision(tiles), tokens=4))


def test_tiles_that_patches_do_not_fill_are_refused_with_both_numbers():
    with pytest.raises(ValueError, match="tiles are 671 px; allowed: a multiple of the patch, 14 px"):
        MM15(THIN)(batch_at(671), tokens=144)


def test_the_class_token_takes_part_and_stays_inside():
    torch.manual_seed(0)
    encoder = VisionEncoder(THIN.vision).eval()
    encoder.initialise()
    tiles = torch.randint(0, 256, (1, 3, 378, 378), dtype=torch.uint8)
    before = encoder(tiles)
    with torch.no_grad():
        encoder.class_token.copy_(torch.randn(1, 1, 16))
    assert before.shape == (1, 27 * 27, 16)
    assert not torch.allclose(before, encoder(tiles))


@pytest.mark.parametrize("changes", [{"tile": 100}, {"heads": 3}, {"norm_eps": 0.0}, {"patch": 14, "stem": "conv"}])
def test_shapes_that_do_not_fit_are_refused(changes):
    with pytest.raises(ValueError, match="not a multiple|does not divide|allowed: above 0|conv needs"):
        replace(THIN.vision, **changes)


def test_a_model_trained_on_nine_tiles_takes_sixteen():
    model = MM15(PRESETS["tiny"]).eval()
    trained = ImageConfig(mode="dynamic", tile=64, tokens=16, n_min=4, n_max=9, overview="after", indicator="index")
    item = Item(item_id="i", benchmark="b", question="<image>What?", images=(Image.new("RGB", (256, 256), "red"),), references=("x",))
    for images, tiles in ((trained, 10), (replace(trained, n_max=16), 17)):
        encoder = Encoder(load_tokenizer(), images, max_tokens=2048)
        batch = encoder.collate([encoder.item(item)], left=True)
        assert len(batch.tiles_NCXX) == tiles
        assert len(model.generate(batch, tokens=16, max_new_tokens=2, eos_id=-1)[0]) == 2
