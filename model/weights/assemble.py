"""Combine an imported encoder with an imported decoder, or one of them with the other part of a preset, and publish it.

- Parts that are not imported get random weights from a seed. The connector always does: no published weights exist.
- The published folder is a start checkpoint: move it to the operator's folder of checkpoints and name it in a scale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from model.config.fields import did_you_mean
from model.config.stages import PRESETS, ConnectorConfig, ModelConfig
from model.data.tokenizer import load_tokenizer
from model.manifest import publish
from model.network.mm15 import MM15
from model.seeds import stream_seed
from model.weights.causal import import_decoder
from model.weights.encoder import import_encoder
from model.weights.reading import folder_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """The sources of a model's parts.

    Raises:
        ValueError: nothing is imported, or encoder or decoder has no source.
    """

    vision: str | None = None
    """Folder or hub name of a CLIP, SigLIP or open_clip checkpoint."""
    decoder: str | None = None
    """Folder or hub name of a causal language model."""
    preset: str | None = None
    """Preset that gives the shape of the encoder or decoder that is not imported."""
    connector: ConnectorConfig = ConnectorConfig(hidden=1024)
    """Shape of the connector."""
    seed: int = 0
    """Seed of the weights that are not imported."""

    def __post_init__(self) -> None:
        if self.vision is None and self.decoder is None:
            raise ValueError("nothing to import; give an encoder, a decoder, or both")
        if None in (self.vision, self.decoder) and self.preset is None:
            missing = "an encoder" if self.vision is None else "a decoder"
            raise ValueError(f"no source for {missing}; import one, or name a preset that gives its shape")
        if self.preset is not None and self.preset not in PRESETS:
            raise ValueError(f"{self.preset!r} is no preset; {did_you_mean(self.preset, PRESETS)}")


def assemble(assembly: Assembly, out: Path) -> dict[str, Any]:
    """Import the parts, combine them to a model and publish it as the folder `out`.

    Returns:
        the identity of the content, the number of parameters, the tile side in px, the tensors of the encoder that were
        left out, and the tokens that were added to the vocabulary.

    Raises:
        ValueError: see `import_encoder` and `import_decoder`.
    """
    vision = import_encoder(folder_of(assembly.vision)) if assembly.vision else None
    decoder = import_decoder(folder_of(assembly.decoder)) if assembly.decoder else None
    shape = PRESETS[assembly.preset] if assembly.preset else None
    tokenizer: PreTrainedTokenizerFast = decoder.tokenizer if decoder else load_tokenizer()
    if shape is not None and decoder is None:
        vocabulary = max(shape.decoder.vocabulary, len(tokenizer))
        shape = replace(shape, decoder=replace(shape.decoder, vocabulary=vocabulary))
    config = ModelConfig(vision=vision.config if vision else shape.vision,  # type: ignore[union-attr]
                         connector=assembly.connector,
                         decoder=decoder.config if decoder else shape.decoder)  # type: ignore[union-attr]
    # All parts are drawn, then the imported ones are replaced: the random weights of the others do not depend on which
    # parts are imported.
    torch.manual_seed(stream_seed(assembly.seed, "init"))
    model = MM15(config)
    if vision:
        model.vision = vision.encoder
    if decoder:
        model.decoder = decoder.decoder

    def write(directory: Path) -> None:
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)

    sources = {"vision": assembly.vision, "decoder": assembly.decoder, "preset": assembly.preset, "seed": assembly.seed}
    identity = publish(out, write, meta={"stage": "import", "sources": sources, "torch": torch.__version__})
    return {"checkpoint_identity": identity, "parameters": sum(weight.numel() for weight in model.parameters()),
            "tile": config.vision.tile, "left_out": list(vision.left_out) if vision else [],
            "added": list(decoder.added) if decoder else []}
