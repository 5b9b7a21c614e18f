"""The command that imports: a start checkpoint from an encoder and a decoder, that trains and answers like any other."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch.nn import functional
from transformers import Gemma2Config, Gemma2ForCausalLM, pipeline

from model.config.architecture import read_shapes
from model.config.stages import PRESETS, ConnectorConfig, DataConfig, ImageConfig, SftConfig
from model.data.encoding import Encoder
from model.data.tokenizer import load_tokenizer
from model.hf.saving import register
from model.manifest import identity, verify
from model.network.mm15 import IGNORED, MM15
from model.samples import Item, Sample, Turn
from model.training.stage import train_stage
from model.weights.__main__ import main
from model.weights.assemble import Assembly, assemble
from tests.support.small_models import SMALL_TEXT, bytewise, saved, stirred

IMAGES = ImageConfig(mode="dynamic", tile=28, tokens=4, n_min=1, n_max=4, indicator="seps")
CONNECTOR = ConnectorConfig(hidden=16, depth=1)
SAMPLE = Sample(sample_id="s", category="general", images=(Image.new("RGB", (50, 30), "red"),), turns=(Turn("<image>What?", "red"),))


@pytest.fixture
def sources(clip, llama, tmp_path):
    return {"vision": str(saved(clip, tmp_path / "clip")), "decoder": str(saved(llama, tmp_path / "llama", bytewise()))}


def test_command_publishes_a_checkpoint_that_verifies(sources, tmp_path, capsys):
    out = tmp_path / "start"
    arguments = ["--vision", sources["vision"], "--decoder", sources["decoder"], "--hidden", "16", "--depth", "1", "--out", str(out)]
    assert main(arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["checkpoint_identity"] == identity(out)
    assert (said["tile"], "<image>" in said["added"]) == (28, True)
    assert verify(out)["meta"]["sources"]["decoder"] == sources["decoder"]


def test_same_sources_and_seed_are_the_same_content(sources, tmp_path):
    names = [assemble(Assembly(**sources, connector=CONNECTOR, seed=seed), tmp_path / str(i))["checkpoint_identity"]
             for i, seed in enumerate((0, 0, 1))]
    assert names[0] == names[1] != names[2]


def test_checkpoint_trains_and_holds_the_weights_of_its_sources(sources, llama, tmp_path):
    assemble(Assembly(**sources, connector=CONNECTOR), tmp_path / "start")
    model = MM15.from_pretrained(tmp_path / "start")
    torch.testing.assert_close(model.decoder.model.layers[0].mlp.up_proj.weight, llama.model.layers[0].mlp.up_proj.weight)
    encoder = Encoder(load_tokenizer(tmp_path / "start"), IMAGES, max_tokens=200)
    model(encoder.collate([encoder.sample(SAMPLE)]), tokens=4).backward()
    assert all(weight.grad is not None for name, weight in model.named_parameters() if "norm_out" not in name)


def test_checkpoint_stretches_to_another_tile_and_answers(sources, tmp_path):
    assemble(Assembly(**sources, connector=CONNECTOR), tmp_path / "start")
    model = MM15.from_pretrained(tmp_path / "start", tile=56).eval()
    encoder = Encoder(load_tokenizer(tmp_path / "start"), replace(IMAGES, tile=56), max_tokens=200)
    item = encoder.item(Item(item_id="i", benchmark="b", question="<image>What?", images=SAMPLE.images, references=("x",)))
    answers = model.generate(encoder.collate([item], left=True), tokens=4, max_new_tokens=3, eos_id=-1)
    assert [len(answer) for answer in answers] == [3]


def test_loss_of_a_decoder_that_caps_its_logits_is_taken_behind_the_cap(clip, tmp_path):
    gemma = stirred(Gemma2ForCausalLM(Gemma2Config(**SMALL_TEXT, head_dim=8, final_logit_softcapping=0.5)))
    sources = {"vision": str(saved(clip, tmp_path / "clip")), "decoder": str(saved(gemma, tmp_path / "gemma", bytewise()))}
    assemble(Assembly(**sources, connector=CONNECTOR), tmp_path / "start")
    model = MM15.from_pretrained(tmp_path / "start").eval()
    encoder = Encoder(load_tokenizer(tmp_path / "start"), IMAGES, max_tokens=200)
    batch = encoder.collate([encoder.sample(SAMPLE)])
    logits = model.decoder(inputs_embeds=model.embed(batch, tokens=4)).logits
    assert logits.abs().max() <= 0.5
    expected = functional.cross_entropy(logits[0], batch.labels_BT[0], ignore_index=IGNORED, reduction="sum")
    torch.testing.assert_close(model(batch, tokens=4), expected)


def test_an_encoder_alone_takes_the_rest_from_a_preset(sources, tmp_path):
    assemble(Assembly(vision=sources["vision"], preset="tiny", connector=CONNECTOR), tmp_path / "start")
    model = MM15.from_pretrained(tmp_path / "start")
    assert (model.config.decoder, model.config.vision.width) == (PRESETS["tiny"].decoder, 32)


def test_a_decoder_alone_takes_the_rest_from_a_preset(sources, tmp_path):
    assemble(Assembly(decoder=sources["decoder"], preset="tiny", connector=CONNECTOR), tmp_path / "start")
    assert MM15.from_pretrained(tmp_path / "start").config.vision == PRESETS["tiny"].vision


@pytest.mark.parametrize(("arguments", "says"), [
    ([], "nothing to import"), (["--vision", "x/y"], "no source for a decoder"), (["--decoder", "x/y"], "no source for an encoder"),
    (["--decoder", "x/y", "--preset", "tinny"], "'tinny' is no preset; did you mean 'tiny'?"),
    (["--vision", "x/y", "--preset", "tiny", "--hidden", "0"], "connector.hidden: 0; allowed: >= 1"),
])
def test_bad_arguments_end_with_two_and_one_line(arguments, says, tmp_path, capsys):
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert says in capsys.readouterr().err


def test_an_existing_folder_is_not_written_over(sources, tmp_path, capsys):
    assert main(["--vision", sources["vision"], "--preset", "tiny", "--out", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_stage_starts_from_it_and_pipeline_answers_with_what_came_out(sources, tmp_path):
    register()
    assemble(Assembly(**sources, connector=CONNECTOR), tmp_path / "start")
    config = SftConfig(images=IMAGES, steps=1, batch=1, lr=1e-6, max_tokens=4096)
    train_stage(config=config, model_config=read_shapes(tmp_path / "start"), data=DataConfig(), seed=0, start=tmp_path / "start",
                checkpoints=tmp_path / "checkpoints", out=tmp_path / "out", report=lambda progress: None, should_stop=lambda: False)
    model, encoder = MM15.from_pretrained(tmp_path / "out").eval(), Encoder(load_tokenizer(tmp_path / "out"), IMAGES, max_tokens=200)
    item = encoder.item(Item(item_id="i", benchmark="b", question="<image>What?", images=SAMPLE.images, references=("x",)))
    (ids,) = model.generate(encoder.collate([item], left=True), tokens=4, max_new_tokens=6, eos_id=encoder.id["<eos>"])
    asked = pipeline("image-text-to-text", model=str(tmp_path / "out"), device="cpu")
    (answer,) = asked(images=list(SAMPLE.images), text="<image>What?", max_new_tokens=6, return_full_text=False)
    assert len(ids) > 0
    assert answer["generated_text"] == encoder.tokenizer.decode(ids, skip_special_tokens=True)
