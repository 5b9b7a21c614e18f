"""Small models of transformers with weights that no initialisation gives, a tokenizer for them, and ways to damage what they save."""

import json

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

SMALL_VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 28,
                "patch_size": 7}
SMALL_TEXT = {"vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
              "num_key_value_heads": 2, "max_position_embeddings": 256}


@torch.no_grad()
def stirred(model):
    """Move every weight off its initial value, so that none is a one, a zero or equal to another."""
    torch.manual_seed(0)
    for weight in model.parameters():
        weight.add_(torch.randn_like(weight) * 0.05)
    return model.eval()


def bytewise():
    """Return a tokenizer of single bytes with an end of its own and no padding, as a language model may come with."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>")


def saved(model, folder, tokenizer=None):
    model.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    return folder


def changed(folder, change, file="model.safetensors"):
    """Rewrite the tensors of a saved model."""
    tensors = load_file(folder / file)
    change(tensors)
    save_file(tensors, folder / file, metadata={"format": "pt"})
    return folder


def edited(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
