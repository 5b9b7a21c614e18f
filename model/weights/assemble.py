"""Put an imported encoder and an imported decoder together, or one of them with a preset's other half, and publish the result.

- What is not imported is drawn from a seed, the connector always: it has no published weights.
- The published folder is a start checkpoint like any other: put it in the operator's folder of checkpoints and name it in a scale.
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
    """What to put together.

    Raises:
        ValueError: nothing is imported, or a half has no source.
    """

    vision: str | None = None
    """Folder or hub name of a CLIP, SigLIP or open_clip checkpoint."""
    decoder: str | None = None
    """Folder or hub name of a causal language model."""
    preset: str | None = None
    """Where a half that is not imported takes its shape from."""
    connector: ConnectorConfig = ConnectorConfig(hidden=1024)
    seed: int = 0
    """Of what is drawn."""

    def __post_init__(self) -> None:
        """Refuse an assembly with a half missing."""
        if self.vision is None and self.decoder is None:
            raise ValueError("nothing to import; give an encoder, a decoder, or both")
        if None in (self.vision, self.decoder) and self.preset is None:
            missing = "an encoder" if self.vision is None else "a decoder"
            raise ValueError(f"no source for {missing}; import one, or name a preset whose shape is drawn from the seed")
        if self.preset is not None and self.preset not in PRESETS:
            raise ValueError(f"{self.preset!r} is no preset; {did_you_mean(self.preset, PRESETS)}")


def assemble(assembly: Assembly, out: Path) -> dict[str, Any]:
    """Import, put together and publish as the folder `out`.

    Returns:
        identity of the content, parameters, the model's tile in px, tensors left out of the encoder, tokens added.

    Raises:
        ValueError: see `import_encoder` and `import_decoder`.
    """
    vision = import_encoder(folder_of(assembly.vision)) if assembly.vision else None
    decoder = import_decoder(folder_of(assembly.decoder)) if assembly.decoder else None
    shape = PRESETS[assembly.preset] if assembly.preset else None
    tokenizer: PreTrainedTokenizerFast = decoder.tokenizer if decoder else load_tokenizer()
    if shape is not None and decoder is None:
        shape = replace(shape, decoder=replace(shape.decoder, vocabulary=max(shape.decoder.vocabulary, len(tokenizer))))
    config = ModelConfig(vision=vision.config if vision else shape.vision,  # type: ignore[union-attr]
                         connector=assembly.connector,
                         decoder=decoder.config if decoder else shape.decoder)  # type: ignore[union-attr]
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
    return {"checkpoint_identity": identity, "parameters": sum(weight.numel() for weight in model.parameters()), "tile": config.vision.tile,
            "left_out": list(vision.left_out) if vision else [], "added": list(decoder.added) if decoder else []}
