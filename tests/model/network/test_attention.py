"""Packed rows: no sample sees another, on the dense mask of a CPU and on the blocks of FlexAttention."""

import pytest
import torch
from PIL import Image
from transformers import AttentionInterface

from model.config.stages import PRESETS, ImageConfig
from model.data.encoding import Encoder
from model.data.tokenizer import load_tokenizer
from model.network.attention import FLEX, packed_masks
from model.network.mm15 import MM15
from model.samples import Sample, Turn

IMAGES = ImageConfig(mode="dynamic", tile=64, tokens=16, n_min=1, n_max=4, indicator="index")
ENCODER = Encoder(load_tokenizer(), IMAGES, max_tokens=512)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MM15(PRESETS["tiny"]).eval()


def samples():
    picture = [Image.new("RGB", size, colour) for size, colour in (((64, 64), "red"), ((150, 60), "blue"), ((60, 60), "green"))]
    given = [(("<image>What?", "red"), picture[:1]), (("", "Once upon a time"), []),
             (("<image> and <image>Same?", "no, they differ"), picture[1:]), (("Two?", "2"), [])]
    return [ENCODER.sample(Sample(sample_id=str(i), category="general", turns=(Turn(*turn),), images=tuple(images)))
            for i, (turn, images) in enumerate(given)]


def logits_of(model, batch):
    with torch.no_grad():
        return model.decoder(**model.inputs(batch, tokens=16)).logits


def packed_and_alone(model, encoded):
    packed = logits_of(model, ENCODER.rows([encoded[:3], encoded[3:]], length=400))
    starts = [(0, 0), (0, len(encoded[0].ids)), (0, len(encoded[0].ids) + len(encoded[1].ids)), (1, 0)]
    return [(packed[row, start : start + len(each.ids)], logits_of(model, ENCODER.collate([each]))[0])
            for (row, start), each in zip(starts, encoded, strict=True)]


def test_logits_of_packed_samples_equal_those_of_each_alone(model):
    for packed, alone in packed_and_alone(model, samples()):
        torch.testing.assert_close(packed, alone, rtol=1e-4, atol=1e-5)


def test_flex_attention_gives_the_same(model):
    model.decoder.set_attn_implementation(FLEX)
    flexed = packed_and_alone(model, samples())
    model.decoder.set_attn_implementation("sdpa")
    for (packed, alone), (expected, _) in zip(flexed, packed_and_alone(model, samples()), strict=True):
        torch.testing.assert_close(packed, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(alone, expected, rtol=1e-4, atol=1e-5)


def test_flex_attention_runs_under_autocast(model):
    model.decoder.set_attn_implementation(FLEX)
    with torch.autocast("cpu", torch.bfloat16):
        pairs = packed_and_alone(model, samples())
    for packed, alone in pairs:
        torch.testing.assert_close(packed, alone, rtol=0.1, atol=0.1)


def test_changing_one_sample_leaves_the_others_in_its_row_as_they_were(model):
    first, second, third, _ = samples()
    other = ENCODER.sample(Sample(sample_id="x", category="general", turns=(Turn("", "Twice below a time"),)))
    other.ids[:] = (other.ids * 4)[: len(second.ids)]
    before, after = (logits_of(model, ENCODER.rows([[first, middle, third]], length=400)) for middle in (second, other))
    start, end = len(first.ids), len(first.ids) + len(second.ids)
    assert not torch.equal(before[0, start:end], after[0, start:end])
    assert torch.equal(before[0, :start], after[0, :start])
    assert torch.equal(before[0, end : end + len(third.ids)], after[0, end : end + len(third.ids)])


def test_the_mask_is_causal_within_a_sample_and_empty_between():
    decoder = MM15(PRESETS["tiny"]).decoder
    masks = packed_masks(decoder, torch.zeros(1, 5, 8), torch.tensor([[0, 1, 0, 1, 0]]))
    assert masks["full_attention"][0, 0].int().tolist() == [
        [1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]


def test_dropped_attention_weights_are_refused_on_a_gpu(model):
    row = torch.zeros(1, 1, 2, 4)
    with pytest.raises(ValueError, match=r"attention dropout is 0\.1; allowed with packed rows on a GPU: 0"):
        AttentionInterface()[FLEX](model, row, row, row, None, dropout=0.1)


def test_loss_and_gradients_of_packed_samples_equal_unpacked(model):
    encoded, results = samples(), []
    for batch in (ENCODER.collate(encoded), ENCODER.rows([encoded[:2], encoded[2:]], length=300)):
        model.zero_grad()
        loss = model(batch, tokens=16)
        loss.backward()
        results.append((loss, [weight.grad.clone() for weight in model.parameters()]))
    (loss, gradients), (packed_loss, packed_gradients) = results
    torch.testing.assert_close(packed_loss, loss)
    for one, other in zip(gradients, packed_gradients, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-4)


def test_text_alone_gives_the_encoder_zeros_and_the_decoder_what_it_gives_without_it(model):
    batch = ENCODER.collate([samples()[1]])
    model.eval()(batch, tokens=16).backward()
    without = [None if weight.grad is None else weight.grad.clone() for weight in model.decoder.parameters()]
    assert all(weight.grad is None for weight in model.vision.parameters())
    model.zero_grad()
    model.train()(batch, tokens=16).backward()
    assert all(torch.equal(weight.grad, expected) for weight, expected in zip(model.decoder.parameters(), without, strict=True))
    for part in (model.vision, model.connector):
        assert all(weight.grad is not None and not weight.grad.any() for weight in part.parameters())


def test_a_row_that_is_too_long_is_refused_with_both_numbers():
    encoded = samples()
    total = sum(len(each.ids) for each in encoded)
    with pytest.raises(ValueError, match=rf"row 0: {total} tokens; allowed: {total - 1}"):
        ENCODER.rows([encoded], length=total - 1)
