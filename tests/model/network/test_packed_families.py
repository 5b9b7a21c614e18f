"""Packed rows on every family of causal decoders that transformers ships: the losses of single samples, or refused by name.

`python -m tests.model.network.test_packed_families` writes the table that stands in packed_families.csv.
"""

import logging
import sys

import pytest
import torch

from model.config.fields import FieldError
from model.config.packable import FAMILIES, STATEFUL, require_packable
from model.network.attention import FLEX, packed_masks
from tests.support.decoder_families import SHIPPED, imported, losses, small_config, small_decoder

LISTED = sorted(FAMILIES & SHIPPED.keys())
WINDOWED = sorted({"cohere2", "exaone4", "gemma2", "gemma3_text", "gpt_oss", "mistral", "mixtral", "olmo3", "phi3", "qwen2",
                   "qwen3_moe"})
NEW_PARTS = {"cohere2", "deepseek_v3", "gemma2", "gpt_oss", "mistral", "opt", "qwen3"}
"""Families that between them have windows, capped scores, sinks, values narrower than keys, and masks without positions."""


def full(decoder, embeddings, places):
    """Return the mask that keeps samples apart and knows no windows, in whichever form the decoder reads."""
    segments = (places == 0).cumsum(1)
    mask = (segments[:, :, None] == segments[:, None, :]).tril()[:, None]
    return mask if decoder.config._attn_implementation == "sdpa" else torch.where(mask, 0.0, torch.finfo(torch.float32).min)


@pytest.mark.parametrize("family", LISTED)
def test_a_packed_row_has_the_losses_of_its_samples(family):
    alone, packed = losses(small_decoder(family), packed_masks)
    torch.testing.assert_close(packed, alone, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("family", sorted(NEW_PARTS))
def test_the_attention_of_a_gpu_gives_the_same_losses(family):
    decoder = small_decoder(family)
    expected, _ = losses(decoder, packed_masks)
    decoder.set_attn_implementation(FLEX)
    alone, packed = losses(decoder, packed_masks)
    torch.testing.assert_close(packed, expected, rtol=1e-4, atol=2e-5)
    torch.testing.assert_close(alone, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("family", WINDOWED)
def test_a_mask_without_windows_would_be_noticed(family):
    alone, packed = losses(small_decoder(family), full)
    assert (packed - alone).abs().max() > 1e-3


@pytest.mark.parametrize("family", ["jamba", "lfm2", "mamba", "qwen3_5_text", "qwen3_next", "recurrent_gemma", "rwkv"])
def test_layers_with_state_leak_and_are_refused_by_name(family):
    alone, packed = losses(small_decoder(family), lambda *_: None)
    assert (packed - alone).abs().max() > 1e-3
    with pytest.raises(FieldError, match=f"pack: decoder '{family}' has recurrent or convolutional layers"):
        require_packable(imported(model_type=family), max_tokens=64)


@pytest.mark.parametrize("family", sorted(SHIPPED.keys() - FAMILIES - STATEFUL))
def test_every_other_family_is_refused_by_name(family):
    with pytest.raises(FieldError, match=f"pack: decoder '{family}' is not among the families"):
        require_packable(imported(model_type=family), max_tokens=64)


def test_families_are_listed_once():
    assert not FAMILIES & STATEFUL
    assert len(LISTED) > 80


def table():
    """Yield a row for each shipped family: listed or not, types of layer, largest difference of a loss on a CPU and by FlexAttention."""
    logging.disable(logging.WARNING)
    yield "family,decision,layers,cpu,flex"
    for family in SHIPPED:
        decision = "packed" if family in FAMILIES else "refused"
        if family not in FAMILIES:
            yield f"{family},{decision},{'with state' if family in STATEFUL else ''},,"
            continue
        layers = sorted(set(getattr(small_config(family), "layer_types", None) or ()))
        yield f"{family},{decision},{' '.join(layers)},{','.join(differences(family))}"


def differences(family):
    decoder = small_decoder(family)
    for name in (decoder.config._attn_implementation, FLEX):
        if name == FLEX and not decoder._supports_flex_attn:
            yield "-"
            continue
        decoder.set_attn_implementation(name)
        alone, packed = losses(decoder, packed_masks)
        yield f"{(packed - alone).abs().max():.0e}"


if __name__ == "__main__":
    sys.stdout.writelines(f"{row}\n" for row in table())
