"""Encoders and decoders of transformers, small and stirred."""

import pytest
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from tests.support.small_models import SMALL_TEXT, SMALL_VISION, stirred


@pytest.fixture
def clip():
    return stirred(CLIPVisionModel(CLIPVisionConfig(**SMALL_VISION)))


@pytest.fixture
def siglip():
    return stirred(SiglipVisionModel(SiglipVisionConfig(**SMALL_VISION)))


@pytest.fixture
def llama():
    return stirred(LlamaForCausalLM(LlamaConfig(**SMALL_TEXT)))


@pytest.fixture
def qwen():
    return stirred(Qwen2ForCausalLM(Qwen2Config(**SMALL_TEXT, tie_word_embeddings=True)))
