"""Register our classes with transformers, and save a whole model so that transformers can load it."""

from __future__ import annotations

from pathlib import Path

from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    GenerationConfig,
    PreTrainedTokenizerFast,
)

from model.config.fields import to_plain
from model.config.stages import ImageConfig
from model.hf.configuration import MODEL_TYPE, MM15Config
from model.hf.modelling import MM15ForImageTextToText
from model.hf.processing import MM15Processor
from model.network.mm15 import MM15


def register() -> None:
    """Make the model known to `AutoConfig`, `AutoModelForImageTextToText`, `AutoProcessor` and `pipeline`.

    Calling it again changes nothing.
    """
    AutoConfig.register(MODEL_TYPE, MM15Config, exist_ok=True)
    AutoModelForImageTextToText.register(MM15Config, MM15ForImageTextToText, exist_ok=True)
    AutoProcessor.register(MM15Config, MM15Processor, exist_ok=True)


def save_whole(directory: Path, model: MM15, tokenizer: PreTrainedTokenizerFast, images: ImageConfig, *,
               max_tokens: int) -> None:
    """Write weights, configuration, processor with its tokenizer, and the settings of generation.

    Args:
        directory: an existing directory.
        model: a model whose tile side is that of `images`.
        tokenizer: a tokenizer with our special tokens.
        images: the image setting of the processor.
        max_tokens: largest number of tokens of a prompt that the processor accepts.
    """
    # First the model: it writes config.json with our shapes alone, which transformers' configuration then replaces.
    model.save_pretrained(directory)
    processor = MM15Processor(tokenizer, to_plain(images), max_tokens)
    image_id = tokenizer.convert_tokens_to_ids("<image>")
    MM15Config(to_plain(model.config), image_token_id=image_id, architectures=[MM15ForImageTextToText.__name__],
               dtype="float32").save_pretrained(directory)
    processor.save_pretrained(directory)
    GenerationConfig(bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
                     pad_token_id=tokenizer.pad_token_id, do_sample=False).save_pretrained(directory)
