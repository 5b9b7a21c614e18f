"""The whole model: image tokens in place, loss on answers alone, cached generation, strict checkpoints."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image
from transformers import Qwen3MoeModel

from model.config.fields import to_plain
from model.config.stages import PRESETS, ImageConfig
from model.data.encoding import Encoder
from model.data.tokenizer import load_tokenizer
from model.manifest import CorruptDirectory, publish, verify
from model.network.mm15 import IGNORED, MM15
from model.samples import Item, Sample, Turn

IMAGES = ImageConfig(mode="dynamic", tile=64, tokens=16, n_min=1, n_max=4, indicator="index")


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MM15(PRESETS["tiny"]).eval()


@pytest.fixture(scope="module")
def encoder():
    return Encoder(load_tokenizer(), IMAGES, max_tokens=512)


def sample(colour, *turns, size=(64, 64)):
    first, *rest = turns
    return Sample(sample_id="s", category="general", images=(Image.new("RGB", size, colour),),
                  turns=(Turn("<image>" + first.question, first.answer), *rest))


def test_loss_counts_answers_alone_and_does_not_depend_on_batching(model, encoder):
    one = encoder.sample(sample("red", Turn("What?", "red")))
    two = encoder.sample(sample("blue", Turn("What is this colour?", "a deep blue"), Turn("And?", "yes"), size=(150, 60)))
    supervised = [encoder.tokenizer.decode([label for label in each.labels if label != IGNORED]) for each in (one, two)]
    assert supervised == ["red<eos>", "a deep blue<eos>yes<eos>"]
    with torch.no_grad():
        apart = sum(model(encoder.collate([each]), tokens=16) for each in (one, two))
        together = model(encoder.collate([one, two]), tokens=16)
    torch.testing.assert_close(together, apart)


def test_a_decoder_whose_routers_are_not_reported_is_refused_when_it_is_trained(encoder, monkeypatch):
    """Some releases of transformers do not report the routers of some families."""
    monkeypatch.setattr(Qwen3MoeModel, "_can_record_outputs", {})
    model = MM15(replace(PRESETS["tiny"], decoder=replace(PRESETS["tiny"].decoder, experts=4)))
    with pytest.raises(ValueError, match="does not report what its routers compute"):
        model(encoder.collate([encoder.sample(sample("red", Turn("What?", "red")))]), tokens=16)


def test_the_image_reaches_the_answer(model, encoder):
    losses = [model(encoder.collate([encoder.sample(sample(colour, Turn("What?", "red")))]), tokens=16) for colour in ("red", "green")]
    assert losses[0] != losses[1]


def test_a_wrong_number_of_image_positions_is_refused(model, encoder):
    batch = encoder.collate([encoder.sample(sample("red", Turn("What?", "red")))])
    with pytest.raises(ValueError, match="16 image positions .* 1 tiles of 9 tokens"):
        model(batch, tokens=9)


def test_a_sample_too_long_is_refused_with_both_numbers():
    short = Encoder(load_tokenizer(), IMAGES, max_tokens=20)
    with pytest.raises(ValueError, match=r"tokens; allowed: 20"):
        short.sample(sample("red", Turn("What is this colour, please?", "red")))


def test_special_tokens_in_a_text_stay_text(encoder):
    ids = encoder.text_ids("<eos><image>")
    assert not {encoder.id["<eos>"], encoder.id["<image>"]} & set(ids)


def test_batched_cached_generation_equals_one_by_one_without_cache(model, encoder):
    items = [Item(item_id=str(i), benchmark="b", question="<image>" + text, images=(Image.new("RGB", (60, 40), colour),), references=("x",))
             for i, (text, colour) in enumerate([("What?", "red"), ("What is the colour of this?", "blue")])]
    prompts = [encoder.item(item) for item in items]
    eos = encoder.id["<eos>"]
    batched = model.generate(encoder.collate(prompts, left=True), tokens=16, max_new_tokens=5, eos_id=eos)
    for prompt, answer in zip(prompts, batched, strict=True):
        batch = encoder.collate([prompt])
        embeddings, alone = model.embed(batch, tokens=16), []
        for _ in range(5):
            chosen = int(model.decoder(inputs_embeds=embeddings, use_cache=False).logits[0, -1].argmax())
            alone.append(chosen)
            embeddings = torch.cat([embeddings, model.decoder.get_input_embeddings()(torch.tensor([[chosen]]))], 1)
        expected = alone[: alone.index(eos)] if eos in alone else alone
        assert answer == expected


def test_a_checkpoint_loads_as_it_was_saved_and_stretches_to_another_tile(model, encoder, tmp_path):
    model.save_pretrained(tmp_path)
    again = MM15.from_pretrained(tmp_path)
    batch = encoder.collate([encoder.sample(sample("red", Turn("What?", "red")))])
    assert again(batch, tokens=16) == model(batch, tokens=16)
    wider = MM15.from_pretrained(tmp_path, tile=112)
    assert wider.vision.positions.shape[1] == wider.connector.positions.shape[1] == 14 * 14


def test_a_checkpoint_of_another_connector_is_refused_by_tensor(model, tmp_path):
    model.save_pretrained(tmp_path)
    plain = to_plain(replace(PRESETS["tiny"], connector=replace(PRESETS["tiny"].connector, kind="linear")))
    (tmp_path / "config.json").write_text(json.dumps(plain))
    with pytest.raises(ValueError, match=r"connector\..* is unknown"):
        MM15.from_pretrained(tmp_path)


def test_a_flipped_byte_is_found(model, tmp_path):
    publish(tmp_path / "c", model.save_pretrained)
    path = tmp_path / "c" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptDirectory, match=r"model\.safetensors: sha256"):
        verify(tmp_path / "c")


def test_a_small_moe_decoder_trains():
    config = replace(PRESETS["tiny"], decoder=replace(PRESETS["tiny"].decoder, experts=4, moe_every=2))
    model = MM15(config)
    encoder = Encoder(load_tokenizer(), IMAGES, max_tokens=512)
    model(encoder.collate([encoder.sample(sample("red", Turn("What?", "red")))]), tokens=16).backward()
    assert any("experts" in name and weight.grad is not None for name, weight in model.named_parameters())


def of_experts():
    return replace(PRESETS["tiny"], decoder=replace(PRESETS["tiny"].decoder, experts=4, moe_every=2))


def test_logits_of_the_routers_are_those_of_every_second_layer(encoder):
    torch.manual_seed(0)
    model = MM15(replace(of_experts(), decoder=replace(of_experts().decoder, layers=4)))
    batch = encoder.collate([encoder.sample(sample("red", Turn(question, "red"))) for question in ("What?", "And what else?")])
    seen = []
    for index in (1, 3):
        model.decoder.model.layers[index].mlp.gate.register_forward_hook(lambda module, inputs, output: seen.append(output[0]))
    model(batch, tokens=16)
    assert [logits.shape for logits in model.router_logits] == [(batch.ids_BT.numel(), 4)] * 2
    assert all(kept is logits for kept, logits in zip(model.router_logits, seen, strict=True))


def test_a_dense_model_has_no_routers(model, encoder):
    model(encoder.collate([encoder.sample(sample("red", Turn("What?", "red")))]), tokens=16)
    assert model.router_logits == ()


def test_a_model_of_experts_generates_with_a_cache(encoder):
    item = Item(item_id="0", benchmark="b", question="<image>What?", images=(Image.new("RGB", (60, 40), "red"),), references=("x",))
    model = MM15(of_experts()).eval()
    assert len(model.generate(encoder.collate([encoder.item(item)] * 2, left=True), tokens=16, max_new_tokens=3, eos_id=-1)[0]) == 3


@pytest.mark.parametrize(("tokens", "says"), [(10, "10 tokens of a tile of 64 patches"), (81, "81 tokens of a tile of 64 patches")])
@pytest.mark.parametrize("kind", ["c_abstractor", "linear", "mlp", "average_pool"])
def test_tokens_that_patches_cannot_be_pooled_to_are_refused(kind, tokens, says):
    model = MM15(replace(PRESETS["tiny"], connector=replace(PRESETS["tiny"].connector, kind=kind)))
    with pytest.raises(ValueError, match=says):
        model.connector(torch.zeros(1, 64, 128), tokens=tokens)


def test_a_tile_that_is_no_multiple_of_the_patch_is_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="100 px is not a multiple of the patch, 8 px"):
        MM15.from_pretrained(tmp_path, tile=100)
