"""The configuration of the whole model as transformers reads it: our shapes beside its own entries."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from transformers import PreTrainedConfig

from model.config.architecture import PRESETS
from model.config.fields import build, to_plain
from model.config.stages import ModelConfig
from model.network.language import decoder_config

MODEL_TYPE = "mm15"
"""Names the architecture in config.json."""


class MM15Config(PreTrainedConfig):
    """Shapes of the model in plain values, and the id of the image token."""

    model_type = MODEL_TYPE

    def __init__(self, shapes: dict[str, Any] | None = None, image_token_id: int = 5, **kwargs: Any) -> None:
        """Check the shapes; none are those of `tiny`, since transformers makes configurations without arguments."""
        self.shapes = to_plain(build(ModelConfig, shapes, "shapes") if shapes else PRESETS["tiny"])
        self.image_token_id = image_token_id
        super().__init__(**kwargs)

    @property
    def model(self) -> ModelConfig:
        """The shapes as our own configuration."""
        return build(ModelConfig, self.shapes, "shapes")

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> PreTrainedConfig:
        """Return the decoder's configuration: caches and vocabularies are its."""
        return _decoder(self.model.decoder)


_decoder = lru_cache(maxsize=64)(decoder_config)
