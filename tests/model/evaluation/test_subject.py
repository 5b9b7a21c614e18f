"""A whole model of another family answers our benchmarks by its own processor, or is refused in one line."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from model.config.stages import DataConfig, EvaluateConfig, ImageConfig
from model.evaluation.stage import evaluate_stage
from model.evaluation.subject import Subject, open_whole
from model.samples import Item, Turn
from model.training.loop import Stopped
from model.weights.__main__ import main
from model.weights.whole import publish_whole
from tests.support.foreign import llava_next

CONFIG = EvaluateConfig(images=ImageConfig(mode="single", tile=32, tokens=4), benchmarks=("scene-qa",), num_items=4,
                        model="operator:theirs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return llava_next(tmp_path_factory.mktemp("theirs") / "model")


@pytest.fixture(scope="module")
def published(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("published") / "theirs"
    publish_whole(folder, out)
    return out


@pytest.fixture(scope="module")
def subject(folder):
    return Subject(*open_whole(folder), max_new_tokens=6)


def without(folder, part):
    """Leave out the weights of a part."""
    weights = load_file(folder / "model.safetensors")
    save_file({name: weight for name, weight in weights.items() if part not in name}, folder / "model.safetensors", {"format": "pt"})


def item(question, *images, shots=()):
    return Item(item_id="x/0", benchmark="x", question=question, images=images, references=("a",), shots=shots)


def evaluate(checkpoint, out, **options):
    return evaluate_stage(**{"benchmark": "scene-qa", "config": CONFIG, "data": DataConfig(), "checkpoint": checkpoint, "out": out,
                             "report": lambda progress: None, "should_stop": lambda: False, **options})


def test_answers_are_those_of_transformers_itself(folder, subject):
    picture = Image.new("RGB", (50, 30), (200, 30, 30))
    (answered,) = subject.answer(iter([item("<image>What is it?", picture)]), 1)
    model, processor = AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    inputs = processor(images=[picture], text="user: <image>What is it?\nassistant:", return_tensors="pt")
    found = model.eval().generate(**inputs, max_new_tokens=6, do_sample=False)[0, inputs["input_ids"].shape[1]:]
    assert answered.prediction == processor.decode(found, skip_special_tokens=True).strip()
    assert answered.tokens_per_image == int((inputs["input_ids"] == processor.image_token_id).sum())
    assert answered.item.images == ()


def test_worked_examples_and_texts_without_pictures_are_asked_too(subject):
    shown = item("<image>Now?", *[Image.new("RGB", (40, 40))] * 2, shots=(Turn("<image>Then?", "red"),))
    assert subject._prompt(shown) == "user: <image>Then?\nassistant: red\nuser: <image>Now?\nassistant:"
    text, pictured = subject.answer(iter([item("How many?"), shown]), 2)
    assert (text.tokens_per_image, pictured.tokens_per_image > 0) == (None, True)


def test_without_a_template_the_question_stands_alone(tmp_path):
    plain = Subject(*open_whole(llava_next(tmp_path / "plain", template=None)), max_new_tokens=4)
    assert plain._prompt(item("<image>What?")) == "<image>What?"
    assert len(plain.answer(iter([item("<image>What?", Image.new("RGB", (40, 40)))]), 1)) == 1


def test_a_benchmark_is_scored_as_for_our_models(published, tmp_path):
    told = []
    found = evaluate(published, tmp_path / "out", report=told.append)
    assert (found["num_items"], found["tokens_per_image"] > 16, told[-1]) == (4, True, {"step": 4, "steps": 4})
    assert len((tmp_path / "out" / "items.jsonl").read_text().splitlines()) == 4
    with pytest.raises(Stopped):
        evaluate(published, tmp_path / "stopped", should_stop=lambda: True)


def test_what_our_tokens_weigh_is_refused_before_anything_is_opened(tmp_path):
    with pytest.raises(ValueError, match="english-bits: weighs text by our tokens"):
        evaluate(tmp_path / "nothing", tmp_path / "out", benchmark="english-bits", config=replace(CONFIG, benchmarks=("english-bits",)))


def test_the_command_publishes_it_and_prints_what_it_is(folder, tmp_path, capsys):
    assert main(["--whole", str(folder), "--out", str(tmp_path / "theirs")]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["model"], said["processor"]) == ("LlavaNextForConditionalGeneration", "LlavaNextProcessor")
    assert said["parameters"] > 0


@pytest.mark.parametrize(("spoil", "says"), [
    (lambda folder: (folder / "model.safetensors").unlink(), "no safetensors"),
    (lambda folder: (folder / "config.json").write_text('{"model_type": "llama"}'), "cannot be opened as an image-text-to-text model"),
    (lambda folder: without(folder, "lm_head"), "1 weights are missing or of another shape, lm_head.weight among them"),
    (lambda folder: (folder / "model.safetensors").write_bytes(b"version https://git-lfs"), "cannot be opened as an image-text-to-text")])
def test_what_is_no_such_model_is_one_line(tmp_path, capsys, spoil, says):
    folder = llava_next(tmp_path / "model")
    spoil(folder)
    assert main(["--whole", str(folder), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]  # transformers may report before it
    assert says in said
    assert not (tmp_path / "out").exists()


def test_a_family_whose_processor_needs_a_missing_package_is_one_line(tmp_path, monkeypatch):
    def without(*_, **__):
        raise ImportError("Qwen2VLVideoProcessor requires the Torchvision library: pip install torchvision")
    monkeypatch.setattr(AutoProcessor, "from_pretrained", without)
    with pytest.raises(ValueError, match="needs torchvision that is not installed"):
        open_whole(tmp_path)


def test_greedy_answers_do_not_depend_on_what_was_asked_before(subject):
    torch.manual_seed(5)
    asked = [item("<image>What?", Image.new("RGB", (40 + 20 * place, 40), (60 * place, 0, 0))) for place in range(3)]
    alone = [subject.answer(iter([each]), 1)[0].prediction for each in asked]
    assert [each.prediction for each in subject.answer(iter(asked), 3)] == alone
