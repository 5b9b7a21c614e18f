"""Decoders that packed rows would mix are refused before anything is trained."""

import pytest

from model.config.fields import FieldError
from model.config.packable import require_packable
from model.config.stages import PRESETS
from tests.support.decoder_families import imported

LONG = {"rope_type": "longrope", "original_max_position_embeddings": 64}


@pytest.mark.parametrize("decoder", [PRESETS["tiny"].decoder, PRESETS["mm1.5-3b-moe"].decoder, imported(model_type="llama"),
                                     imported(model_type="gemma2", layer_types=["sliding_attention", "full_attention"])])
def test_decoders_whose_masks_keep_samples_apart_are_accepted(decoder):
    require_packable(decoder, max_tokens=4096)


def test_a_type_of_layer_without_a_mask_is_named():
    with pytest.raises(FieldError, match=r"sft\.pack: decoder 'qwen3' has layers of type conv, indexed_attention"):
        require_packable(imported(model_type="qwen3", layer_types=["indexed_attention", "full_attention", "conv"]), max_tokens=64,
                         path="sft.pack")


@pytest.mark.parametrize("rope", [LONG, {"full_attention": LONG, "sliding_attention": {"rope_type": "default"}}])
def test_positions_that_stretch_with_the_longest_sample_are_refused_beyond_their_length(rope):
    decoder = imported(model_type="phi3", rope_parameters=rope)
    require_packable(decoder, max_tokens=64)
    with pytest.raises(FieldError, match=r"'longrope' depend on the longest sample of a pass beyond 64 tokens"):
        require_packable(decoder, max_tokens=65)


def test_without_a_length_of_its_own_the_context_counts():
    decoder = imported(model_type="llama", rope_parameters={"rope_type": "dynamic"}, max_position_embeddings=128)
    require_packable(decoder, max_tokens=128)
    with pytest.raises(FieldError, match="beyond 128 tokens"):
        require_packable(decoder, max_tokens=129)
