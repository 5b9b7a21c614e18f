"""A small random model of another family, as a folder of transformers' format: LLaVA-NeXT with its processor."""

from pathlib import Path

import torch
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

from model.data.tokenizer import PACKAGED

TEMPLATE = ("{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
            "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{{ '\\n' }}{% endfor %}"
            "{% if add_generation_prompt %}assistant:{% endif %}")
GRIDS = [[32, 64], [64, 32], [64, 64]]


def llava_next(folder: Path, *, template: str | None = TEMPLATE) -> Path:
    """Write the model into a folder and return it."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(PACKAGED / "tokenizer.json"), bos_token="<bos>", eos_token="<eos>",
                                        pad_token="<pad>", additional_special_tokens=["<image>"])
    text = LlamaConfig(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
                       num_key_value_heads=2, max_position_embeddings=4096, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    vision = CLIPVisionConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=32,
                              patch_size=8, projection_dim=32)
    config = LlavaNextConfig(vision_config=vision, text_config=text, image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
                             image_grid_pinpoints=GRIDS, image_seq_length=16)
    pictures = LlavaNextImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, image_grid_pinpoints=GRIDS)
    torch.manual_seed(0)
    LlavaNextForConditionalGeneration(config).save_pretrained(folder)
    LlavaNextProcessor(image_processor=pictures, tokenizer=tokenizer, patch_size=8, vision_feature_select_strategy="default",
                       image_token="<image>", num_additional_image_tokens=1, chat_template=template).save_pretrained(folder)
    return folder
