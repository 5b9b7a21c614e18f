"""The same step as users of transformers build it: CLIPVisionModel, a pooled two-layer connector, LlamaForCausalLM, Adafactor.

Weights are of the compute type themselves (bf16 at the large size), which is less memory than our fp32 master weights.
`python rival_sft_step.py SIZE WAY`: WAY is `recompute` (gradient checkpointing) or `compiled` (blocks); one line of JSON.
"""

import json
import sys
import time
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM
from transformers.optimization import Adafactor

WARM, TIMED, TILES, TEXT = 4, 10, 5, 304


@dataclass(frozen=True)
class Size:
    vision: tuple[int, int, int]  # width, layers, heads
    side: int  # patches
    patch: int
    pooled: int  # side of the tokens of a tile
    language: tuple[int, int, int]
    vocabulary: int
    samples: int
    dtype: torch.dtype


SIZES = {
    "mm1.5-3b": Size((1280, 32, 16), 48, 14, 12, (2560, 26, 20), 32768, 4, torch.bfloat16),
    "tiny": Size((128, 3, 4), 8, 8, 4, (128, 3, 4), 1024, 4, torch.float32),
}


def build(size: Size, device: str) -> tuple[CLIPVisionModel, nn.Sequential, LlamaForCausalLM]:
    width, layers, heads = size.vision
    wide, deep, many = size.language
    with torch.device(device):
        vision = CLIPVisionModel(CLIPVisionConfig(
            hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=heads,
            image_size=size.side * size.patch, patch_size=size.patch, hidden_act="gelu", attn_implementation="sdpa"))
        connector = nn.Sequential(nn.Linear(width, wide), nn.GELU(), nn.Linear(wide, wide))
        language = LlamaForCausalLM(LlamaConfig(
            hidden_size=wide, intermediate_size=4 * wide, num_hidden_layers=deep, num_attention_heads=many, num_key_value_heads=many,
            vocab_size=size.vocabulary, attn_implementation="sdpa", use_cache=False))
    return tuple(module.to(size.dtype).train() for module in (vision, connector, language))


def loss_of(model: tuple, size: Size, pixels: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    vision, connector, language = model
    features = vision(pixel_values=pixels).last_hidden_state[:, 1:]
    square = features.transpose(1, 2).unflatten(2, (size.side, size.side))
    pooled = functional.adaptive_avg_pool2d(square, size.pooled).flatten(2).transpose(1, 2)
    image = connector(pooled).reshape(size.samples, TILES * size.pooled**2, -1)
    sequence = torch.cat([image, language.get_input_embeddings()(ids)], 1)
    logits = language(inputs_embeds=sequence).logits[:, image.shape[1] : -1]
    return functional.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())


def main(name: str, way: str) -> None:
    size, device = SIZES[name], "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    model = build(size, device)
    blocks = [block for part in (model[0], model[2]) for block in next(m for m in part.modules() if isinstance(m, nn.ModuleList))]
    if way == "recompute":
        model[0].gradient_checkpointing_enable()
        model[2].gradient_checkpointing_enable()
    else:
        for block in blocks:
            block.compile()
    weights = [weight for part in model for weight in part.parameters()]
    movement = Adafactor(weights, lr=1e-5, scale_parameter=False, relative_step=False, warmup_init=False)
    pixels = torch.randn(size.samples * TILES, 3, size.side * size.patch, size.side * size.patch, device=device, dtype=size.dtype)
    ids = torch.randint(0, size.vocabulary, (size.samples, TEXT), device=device)
    began = 0.0
    for step in range(WARM + TIMED):
        began = time.perf_counter() if step == WARM else began
        loss = loss_of(model, size, pixels, ids)
        loss.backward()
        movement.step()
        movement.zero_grad(set_to_none=True)
        final = float(loss.detach())  # waits for the device, as a loop that watches its loss does
    seconds = (time.perf_counter() - began) / TIMED
    memory = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else 0.0
    print(json.dumps({"samples_per_s": size.samples / seconds, "peak_memory_gib": memory, "loss": final,
                      "parameters": sum(weight.numel() for weight in weights), "blocks": len(blocks)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
