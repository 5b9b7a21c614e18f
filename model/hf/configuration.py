"""The configuration of the whole model as a class of transformers: our shapes beside its entries."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from transformers import PreTrainedConfig

from model.config.architecture import PRESETS
from model.config.fields import build, to_plain
from model.config.stages import ModelConfig
from model.network.language import decoder_config

MODEL_TYPE = "mm15"
"""Value of `model_type` in config.json, by which transformers finds our classes."""


class MM15Config(PreTrainedConfig):
    """The shapes of the model as plain values, and the id of the image token.

    Args:
        shapes: the fields of `ModelConfig`; None takes the shapes of the preset `tiny`.
        image_token_id: the id of `<image>`.
    """

    model_type = MODEL_TYPE

    def __init__(self, shapes: dict[str, Any] | None = None, image_token_id: int = 5, **kwargs: Any) -> None:
        # transformers also makes configurations without arguments, to find out which entries differ from the default.
        self.shapes = to_plain(build(ModelConfig, shapes, "shapes") if shapes else PRESETS["tiny"])
        self.image_token_id = image_token_id
        super().__init__(**kwargs)

    @property
    def model(self) -> ModelConfig:
        """The shapes as a `ModelConfig`."""
        return build(ModelConfig, self.shapes, "shapes")

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> PreTrainedConfig:
        """Return the decoder's configuration, from which transformers takes the shapes of caches and the vocabulary."""
        return _decoder(self.model.decoder)


_decoder = lru_cache(maxsize=64)(decoder_config)
