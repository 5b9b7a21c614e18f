"""Import of image encoders: CLIP and SigLIP as transformers names their tensors, and the ViT of open_clip.

- Each of our tensors is made of one tensor of the checkpoint, or of its q, k and v joined. A tensor that is not used is
  an error, unless it belongs to a part that our encoder does not have: text tower, projections, SigLIP's pooling head.
- CLIP's class embedding and its row of the position table become one parameter, since they are only ever added.
- An image side that is not a multiple of the patch (SigLIP's 384 with 14) is reduced to one, as the strided convolution
  ignores the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.config.stages import VisionConfig
from model.network.strict_loading import load_strictly, refuse
from model.network.vision import STATISTICS, VisionEncoder
from model.weights.reading import (
    INDEX,
    OPEN_CLIP_WEIGHTS,
    TRANSFORMERS_WEIGHTS,
    check_form,
    check_numbers,
    read_json,
    read_tensors,
)

Names = dict[str, tuple[str, ...]]
"""Name of our tensor to the names of the checkpoint's tensors, which are joined along their first dimension."""

ACTIVATIONS = {"quick_gelu": "quick_gelu", "gelu": "gelu", "gelu_pytorch_tanh": "gelu_tanh"}
"""Name of an activation in transformers to its name in `VisionConfig`."""
CLASS = "class_token"
"""Name of our tensor that holds the class token."""
OPEN_CLIP_CONFIG = "open_clip_config.json"
"""File of open_clip's configuration."""
LEFT_OUT = {
    "transformers": ("text_model.", "text_projection.", "visual_projection.", "logit_scale", "logit_bias", "head.",
                     "embeddings.position_ids"),
    "open_clip": ("text.", "transformer.", "token_embedding.", "positional_embedding", "ln_final.", "text_projection",
                  "attn_mask", "logit_scale", "logit_bias", "visual.proj"),
}
"""Beginnings of the names of tensors that our encoder does not have, by naming scheme."""


@dataclass(frozen=True, slots=True)
class Imported:
    """An imported encoder with its weights."""

    config: VisionConfig
    """Shape of the encoder."""
    encoder: VisionEncoder
    """The encoder with the imported weights."""
    left_out: tuple[str, ...]
    """Names of the checkpoint's tensors that our encoder does not have."""


def import_encoder(folder: Path) -> Imported:
    """Read an encoder from a folder of transformers (CLIP, SigLIP; with or without the text tower) or of open_clip.

    Raises:
        ValueError: the architecture or one of its settings is not supported, or a tensor is missing, unknown or of
            another shape; the message names it.
    """
    check_form(folder)
    config, is_open_clip = read_config(folder), _is_open_clip(folder)
    naming = "open_clip" if is_open_clip else "transformers"
    names = _open_clip_names(config) if is_open_clip else _transformers_names(config)
    tensors = read_tensors(folder, first=OPEN_CLIP_WEIGHTS if is_open_clip else TRANSFORMERS_WEIGHTS)
    tensors, left_out = _kept(tensors, naming)
    encoder = VisionEncoder(config)
    load_strictly(encoder, _ours(tensors, names, config, folder), folder)
    return Imported(config, encoder, left_out)


# ---- configuration ----


def read_config(folder: Path) -> VisionConfig:
    """Return the shape of an encoder in a folder of transformers or of open_clip.

    Raises:
        ValueError: the architecture or one of its settings is not supported.
    """
    try:
        return _of_open_clip(folder) if _is_open_clip(folder) else _of_transformers(folder)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder}: its configuration is not that of an encoder of patches "
                         f"({type(error).__name__}: {error})") from error


def _is_open_clip(folder: Path) -> bool:
    """Return whether to read the files of open_clip; repositories often have those of transformers or timm as well."""
    if not (folder / OPEN_CLIP_CONFIG).exists():
        return False
    config = folder / "config.json"
    # A config.json of timm has neither entry.
    is_transformers = config.exists() and bool(read_json(config).keys() & {"model_type", "vision_config"})
    return not (is_transformers and any((folder / name).exists() for name in (TRANSFORMERS_WEIGHTS, INDEX)))


def _of_transformers(folder: Path) -> VisionConfig:
    path = folder / "config.json"
    whole = read_json(path)
    plain = whole.get("vision_config", whole)
    kind = str(plain.get("model_type", whole.get("model_type")))
    if kind not in ("clip_vision_model", "siglip_vision_model", "clip", "siglip"):
        raise ValueError(f"{path}: model_type is {kind!r}; "
                         "allowed: clip, clip_vision_model, siglip, siglip_vision_model")
    is_clip = kind.startswith("clip")
    # A saved configuration leaves out entries at transformers' default, which is the base size of CLIP and SigLIP.
    defaults = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
                "image_size": 224, "patch_size": 32 if is_clip else 16,
                "hidden_act": "quick_gelu" if is_clip else "gelu_pytorch_tanh",
                "layer_norm_eps": 1e-5 if is_clip else 1e-6, "num_channels": 3}
    preprocessor = folder / "preprocessor_config.json"
    stated = read_json(preprocessor) if preprocessor.exists() else {}
    of = {name: plain.get(name, default) for name, default in defaults.items()}
    return _config(
        path, width=of["hidden_size"], layers=of["num_hidden_layers"], heads=of["num_attention_heads"],
        mlp_width=of["intermediate_size"], patch=of["patch_size"], side=of["image_size"], activation=of["hidden_act"],
        norm_eps=of["layer_norm_eps"], channels=of["num_channels"], is_clip=is_clip,
        pixels=_pixels(preprocessor, stated, "clip" if is_clip else "siglip"))


def _of_open_clip(folder: Path) -> VisionConfig:
    path = folder / OPEN_CLIP_CONFIG
    whole = read_json(path)
    model = whole.get("model_cfg", {})
    plain = model.get("vision_cfg", {})
    known = {"image_size", "layers", "width", "head_width", "patch_size", "mlp_ratio", "ls_init_value"}
    unknown = sorted(plain.keys() - known)
    if unknown or plain.get("ls_init_value") is not None or not isinstance(plain.get("layers"), int):
        raise ValueError(f"{path}: vision_cfg has {unknown or plain}; "
                         "allowed: a plain ViT (image_size, layers, width, head_width, patch_size, mlp_ratio)")
    width, pixels = plain["width"], whole.get("preprocess_cfg", {})
    stated = {f"image_{name}": pixels[name] for name in ("mean", "std") if name in pixels}
    return _config(
        path, width=width, layers=plain["layers"], heads=width // plain.get("head_width", 64),
        mlp_width=int(width * plain.get("mlp_ratio", 4.0)), patch=plain["patch_size"], side=plain["image_size"],
        activation="quick_gelu" if model.get("quick_gelu") else "gelu", norm_eps=1e-5, channels=3, is_clip=True,
        pixels=_pixels(path, stated, "clip"))


def _config(path: Path, *, side: int, activation: str, channels: int, is_clip: bool, patch: int,
            **shape: Any) -> VisionConfig:
    if activation not in ACTIVATIONS:
        raise ValueError(f"{path}: activation is {activation!r}; allowed: {', '.join(ACTIVATIONS)}")
    if channels != 3:
        raise ValueError(f"{path}: {channels} channels; allowed: 3")
    return VisionConfig(**shape, patch=patch, tile=side // patch * patch,
                        activation=ACTIVATIONS[activation],  # type: ignore[arg-type]
                        class_token=is_clip, norm_in=is_clip, stem_bias=not is_clip)


def _pixels(path: Path, stated: dict[str, Any], default: str) -> str:
    """Return the name of the pixel statistics that the checkpoint states, or `default` if it states none."""
    if "image_mean" not in stated or "image_std" not in stated:
        return default
    for name, statistics in STATISTICS.items():
        pairs = zip([*stated["image_mean"], *stated["image_std"]], [*statistics[0], *statistics[1]], strict=True)
        if all(math.isclose(a, b, abs_tol=1e-4) for a, b in pairs):
            return name
    raise ValueError(f"{path}: mean {stated['image_mean']}, deviation {stated['image_std']}; "
                     f"allowed: those of {', '.join(STATISTICS)}")


# ---- names ----


def _transformers_names(config: VisionConfig) -> Names:
    names: Names = {"stem.weight": ("embeddings.patch_embedding.weight",),
                    "positions": ("embeddings.position_embedding.weight",)}
    if config.class_token:
        names[CLASS] = ("embeddings.class_embedding",)
    if config.stem_bias:
        names["stem.bias"] = ("embeddings.patch_embedding.bias",)
    for kind in ("weight", "bias"):
        names[f"norm_out.{kind}"] = (f"post_layernorm.{kind}",)
        if config.norm_in:
            names[f"norm_in.{kind}"] = (f"pre_layrnorm.{kind}",)  # so spelt in transformers
        for i in range(config.layers):
            ours, theirs = f"blocks.{i}", f"encoder.layers.{i}"
            names[f"{ours}.qkv.{kind}"] = tuple(f"{theirs}.self_attn.{part}_proj.{kind}" for part in "qkv")
            pairs = {"norm1": "layer_norm1", "norm2": "layer_norm2", "out": "self_attn.out_proj", "mlp.0": "mlp.fc1",
                     "mlp.2": "mlp.fc2"}
            names |= {f"{ours}.{a}.{kind}": (f"{theirs}.{b}.{kind}",) for a, b in pairs.items()}
    return names


def _open_clip_names(config: VisionConfig) -> Names:
    names: Names = {"stem.weight": ("visual.conv1.weight",), "positions": ("visual.positional_embedding",),
                    CLASS: ("visual.class_embedding",)}
    for kind in ("weight", "bias"):
        names |= {f"norm_in.{kind}": (f"visual.ln_pre.{kind}",), f"norm_out.{kind}": (f"visual.ln_post.{kind}",)}
        for i in range(config.layers):
            ours, theirs = f"blocks.{i}", f"visual.transformer.resblocks.{i}"
            names[f"{ours}.qkv.{kind}"] = (f"{theirs}.attn.in_proj_{kind}",)
            pairs = {"norm1": "ln_1", "norm2": "ln_2", "out": "attn.out_proj", "mlp.0": "mlp.c_fc",
                     "mlp.2": "mlp.c_proj"}
            names |= {f"{ours}.{a}.{kind}": (f"{theirs}.{b}.{kind}",) for a, b in pairs.items()}
    return names


# ---- tensors ----


def _kept(tensors: dict[str, Tensor], naming: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the encoder's tensors without the prefix of their tower, and the names of tensors that are left out."""
    named = {name.removeprefix("vision_model."): name for name in tensors}
    left_out = tuple(sorted(whole for name, whole in named.items() if name.startswith(LEFT_OUT[naming])))
    return {name: tensors[whole] for name, whole in named.items() if whole not in left_out}, left_out


def _ours(tensors: dict[str, Tensor], names: Names, config: VisionConfig, source: Path) -> dict[str, Tensor]:
    used = {name for parts in names.values() for name in parts}
    missing = [f"{name} is missing" for name in used - tensors.keys()]
    refuse(missing + [f"{name} is unknown" for name in tensors.keys() - used], source)
    refuse([f"{name} holds {tensors[name].dtype}" for name in used if not tensors[name].is_floating_point()], source)
    check_numbers(((name, tensors[name]) for name in sorted(used)), source)
    ours = {name: torch.cat([tensors[part] for part in parts]).float() for name, parts in names.items()}
    table = ours["positions"]
    places = (config.tile // config.patch) ** 2 + int(config.class_token)
    if table.shape != (places, config.width):
        name = names["positions"][0]
        refuse([f"{name} is {tuple(table.shape)}, the configuration says {(places, config.width)}"], source)
    if config.class_token:
        # Row 0 of the table is the position of the class token, the others are those of the patches.
        ours[CLASS] = (ours[CLASS] + table[0]).view(1, 1, -1)
        table = table[1:]
    return ours | {"positions": table[None]}
