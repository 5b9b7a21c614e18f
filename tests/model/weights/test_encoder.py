"""Encoders of others against transformers' own forward pass, and every tensor of theirs accounted for."""

import json
import re
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel, SiglipVisionConfig, SiglipVisionModel

from model.config.stages import PRESETS
from model.network.vision import STATISTICS, interpolate_positions
from model.weights.encoder import import_encoder, read_config
from tests.support.small_models import SMALL_VISION, changed, edited, saved, stirred

TILES = torch.randint(0, 256, (2, 3, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def pixels(tiles, kind):
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in STATISTICS[kind])
    return (tiles / 255 - mean) / std


def test_clip_gives_the_hidden_states_of_transformers(clip, tmp_path):
    ours = import_encoder(saved(clip, tmp_path)).encoder
    theirs = clip.post_layernorm(clip(pixels(TILES, "clip")).last_hidden_state)[:, 1:]
    torch.testing.assert_close(ours(TILES), theirs, rtol=1e-4, atol=1e-5)


def test_siglip_gives_the_hidden_states_of_transformers(siglip, tmp_path):
    imported = import_encoder(saved(siglip, tmp_path))
    torch.testing.assert_close(imported.encoder(TILES), siglip(pixels(TILES, "siglip")).last_hidden_state, rtol=1e-4, atol=1e-5)
    assert {name.split(".")[0] for name in imported.left_out} == {"head"}


@pytest.mark.parametrize(("model", "config", "text"), [(CLIPModel, CLIPConfig, "text_model"), (SiglipModel, SiglipConfig, "text_model")])
def test_the_tower_of_a_whole_model_is_read_alone(model, config, text, tmp_path):
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50}
    whole = stirred(model(config(vision_config=SMALL_VISION, text_config=small)))
    imported = import_encoder(saved(whole, tmp_path))
    kind = imported.config.pixels
    last = whole.vision_model(pixels(TILES, kind)).last_hidden_state
    theirs = whole.vision_model.post_layernorm(last)[:, 1:] if kind == "clip" else last
    torch.testing.assert_close(imported.encoder(TILES), theirs, rtol=1e-4, atol=1e-5)
    assert any(name.startswith(text) for name in imported.left_out)


def test_positions_stretch_as_transformers_stretches_them(clip, tmp_path):
    ours = import_encoder(saved(clip, tmp_path)).encoder
    wide = torch.randint(0, 256, (1, 3, 56, 56), dtype=torch.uint8)
    theirs = clip(pixels(wide, "clip"), interpolate_pos_encoding=True).last_hidden_state
    ours.positions = nn.Parameter(interpolate_positions(ours.positions, 8))
    ours.config = replace(ours.config, tile=56)
    torch.testing.assert_close(ours(wide), clip.post_layernorm(theirs)[:, 1:], rtol=1e-4, atol=1e-5)


def test_a_side_that_patches_do_not_fill_is_cut_as_the_convolution_does(tmp_path):
    model = stirred(SiglipVisionModel(SiglipVisionConfig(**{**SMALL_VISION, "image_size": 32})))
    imported = import_encoder(saved(model, tmp_path))
    wide = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    assert imported.config.tile == 28
    theirs = model(pixels(wide, "siglip")).last_hidden_state
    torch.testing.assert_close(imported.encoder(wide[..., :28, :28]), theirs, rtol=1e-4, atol=1e-5)


# ---- open_clip: a re-statement of its vision transformer, with its names ----


class OpenClipBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)})

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        y = self.mlp["c_fc"](self.ln_2(x))
        return x + self.mlp["c_proj"](y * torch.sigmoid(1.702 * y))


class OpenClipVision(nn.Module):
    """open_clip's VisionTransformer up to its last norm, of 32 channels and patches of 7 px."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 7, 7, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(32))
        self.positional_embedding = nn.Parameter(torch.randn(17, 32))
        self.ln_pre, self.ln_post = nn.LayerNorm(32), nn.LayerNorm(32)
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList(OpenClipBlock(32, 2) for _ in range(2))})
        self.proj = nn.Parameter(torch.randn(32, 8))

    def forward(self, x):
        x = self.conv1(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], 1) + self.positional_embedding
        x = self.ln_pre(x)
        for block in self.transformer["resblocks"]:
            x = block(x)
        return self.ln_post(x)


@pytest.fixture
def open_clip(tmp_path):
    model = stirred(OpenClipVision())
    tensors = {f"visual.{name}": tensor.clone() for name, tensor in model.state_dict().items()}
    text = {"positional_embedding": torch.zeros(4, 8), "token_embedding.weight": torch.zeros(9, 8), "logit_scale": torch.zeros(1),
            "transformer.resblocks.0.ln_1.weight": torch.zeros(8), "ln_final.weight": torch.zeros(8), "text_projection": torch.zeros(8, 8)}
    save_file(tensors | text, tmp_path / "open_clip_model.safetensors")
    vision = {"image_size": 28, "layers": 2, "width": 32, "head_width": 16, "patch_size": 7}
    config = {"model_cfg": {"embed_dim": 8, "quick_gelu": True, "vision_cfg": vision, "text_cfg": {}}, "preprocess_cfg": {}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    return model, tmp_path


def test_open_clip_is_read_by_its_own_names(open_clip):
    model, folder = open_clip
    imported = import_encoder(folder)
    torch.testing.assert_close(imported.encoder(TILES), model(pixels(TILES, "clip"))[:, 1:], rtol=1e-4, atol=1e-5)
    assert "visual.proj" in imported.left_out
    assert "text_projection" in imported.left_out


def test_of_both_forms_in_one_folder_transformers_own_is_read(open_clip, clip):
    _, folder = open_clip
    imported = import_encoder(saved(clip, folder))
    theirs = clip.post_layernorm(clip(pixels(TILES, "clip")).last_hidden_state)[:, 1:]
    torch.testing.assert_close(imported.encoder(TILES), theirs, rtol=1e-4, atol=1e-5)


def test_open_clip_is_read_where_timms_files_lie_beside_it(open_clip):
    model, folder = open_clip
    (folder / "config.json").write_text(json.dumps({"architecture": "vit_tiny_patch16_clip_224", "num_classes": 0}))
    save_file({"blocks.0.attn.qkv.weight": torch.zeros(3, 3)}, folder / "model.safetensors")
    imported = import_encoder(folder)
    torch.testing.assert_close(imported.encoder(TILES), model(pixels(TILES, "clip"))[:, 1:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", [{}, {"model_cfg": []}, {"model_cfg": {"vision_cfg": {"layers": 2}}}])
def test_a_configuration_without_the_expected_fields_is_refused(open_clip, config):
    _, folder = open_clip
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="open_clip_config|not that of an encoder"):
        import_encoder(folder)


def test_open_twin_of_the_papers_encoder_has_the_shape_of_the_presets(tmp_path):
    vision = {"image_size": 378, "layers": 32, "width": 1280, "head_width": 80, "patch_size": 14}
    mean, std = STATISTICS["clip"]
    config = {"model_cfg": {"embed_dim": 1024, "quick_gelu": True, "vision_cfg": vision}, "preprocess_cfg": {"mean": mean, "std": std}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    assert read_config(tmp_path) == PRESETS["mm1.5-3b"].vision


def test_open_clip_of_other_than_a_plain_vit_is_refused(open_clip):
    _, folder = open_clip
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"]["vision_cfg"]["timm_model_name"] = "convnext_base"
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="timm_model_name.*allowed: a plain ViT"):
        import_encoder(folder)


# ---- strictness ----


def without(name):
    return lambda tensors: tensors.pop(name)


def not_finite(tensors):
    tensors["post_layernorm.bias"][0] = float("inf")


def whole_numbers(tensors):
    tensors["post_layernorm.bias"] = tensors["post_layernorm.bias"].to(torch.int8)


@pytest.mark.parametrize(("change", "says"), [(not_finite, "not finite"), (whole_numbers, "holds torch.int8")])
def test_a_tensor_that_holds_no_weights_is_named(clip, tmp_path, change, says):
    with pytest.raises(ValueError, match=f"post_layernorm.bias.*{says}"):
        import_encoder(changed(saved(clip, tmp_path), change))


def with_extra(tensors):
    tensors["encoder.layers.0.strange.weight"] = torch.zeros(2)


def misshapen(tensors):
    tensors["encoder.layers.1.mlp.fc1.weight"] = torch.zeros(47, 32)


def short_table(tensors):
    tensors["embeddings.position_embedding.weight"] = torch.zeros(10, 32)


@pytest.mark.parametrize(("change", "says"), [
    (without("encoder.layers.2.self_attn.k_proj.bias"), "encoder.layers.2.self_attn.k_proj.bias is missing"),
    (with_extra, "encoder.layers.0.strange.weight is unknown"),
    (misshapen, "blocks.1.mlp.0.weight is (47, 32), the model has (48, 32)"),
    (short_table, "embeddings.position_embedding.weight is (10, 32), the configuration says (17, 32)"),
])
def test_a_tensor_that_does_not_fit_is_named(clip, tmp_path, change, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        import_encoder(changed(saved(clip, tmp_path), change))


@pytest.mark.parametrize(("changes", "says"), [
    ({"model_type": "vit"}, "model_type is 'vit'"), ({"hidden_act": "relu"}, "activation is 'relu'"), ({"num_channels": 4}, "4 channels"),
])
def test_another_architecture_is_refused(clip, tmp_path, changes, says):
    edited(saved(clip, tmp_path) / "config.json", **changes)
    with pytest.raises(ValueError, match=says):
        import_encoder(tmp_path)


def test_pixels_are_normalised_as_the_checkpoint_says(siglip, tmp_path):
    saved(siglip, tmp_path)
    mean, std = STATISTICS["clip"]
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": mean, "image_std": std}))
    assert import_encoder(tmp_path).config.pixels == "clip"


def test_unknown_statistics_of_pixels_are_refused(clip, tmp_path):
    saved(clip, tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0, 0, 0], "image_std": [1, 1, 1]}))
    with pytest.raises(ValueError, match="mean .0, 0, 0., deviation .1, 1, 1."):
        import_encoder(tmp_path)


def test_preset_of_open_parts_has_the_shape_of_siglip_so400m(tmp_path):
    """The numbers are those of google/siglip-so400m-patch14-384."""
    vision = {"model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
              "num_attention_heads": 16, "image_size": 384, "patch_size": 14}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "siglip", "vision_config": vision}))
    assert read_config(tmp_path) == PRESETS["public-1b"].vision
