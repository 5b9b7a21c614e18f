"""What we save, transformers loads through its Auto classes, and answers the same."""

import re
from dataclasses import replace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, pipeline

from model.config.fields import to_plain
from model.config.stages import PRESETS, DataConfig, ImageConfig, SftConfig
from model.data.encoding import Encoder
from model.data.tokenizer import load_tokenizer
from model.hf.modelling import MM15ForImageTextToText
from model.hf.processing import MM15Processor
from model.hf.saving import register, save_whole
from model.network.mm15 import MM15
from model.samples import Item
from model.seeds import stream_seed
from model.training.stage import train_stage

IMAGES = ImageConfig(mode="dynamic", tile=64, tokens=16, n_min=1, n_max=4, overview="after", indicator="index")
QUESTIONS = ("<image>What colour is the circle?", "Between <image> and <image>, what differs?", "Say yes.")
PICTURES = ([Image.new("RGB", (100, 70), "red")], [Image.new("RGB", (64, 64), "blue"), Image.new("RGB", (30, 90), "green")], [])
NEW = 8


@pytest.fixture(scope="module")
def ours():
    """Return a model that answers many different things: random weights, with a livelier output than their initialisation."""
    torch.manual_seed(stream_seed(0, "test"))
    model = MM15(PRESETS["tiny"]).eval()
    with torch.no_grad():
        model.decoder.model.embed_tokens.weight.mul_(10)
    return model


@pytest.fixture(scope="module")
def folder(ours, tmp_path_factory):
    register()
    path = tmp_path_factory.mktemp("whole")
    save_whole(path, ours, load_tokenizer(), IMAGES, max_tokens=2048)
    return path


def our_answer(model, question, pictures):
    encoder = Encoder(load_tokenizer(), IMAGES, max_tokens=2048)
    item = Item(item_id="i", benchmark="b", question=question, images=tuple(pictures), references=("x",))
    batch = encoder.collate([encoder.item(item)], left=True)
    (ids,) = model.generate(batch, tokens=16, max_new_tokens=NEW, eos_id=encoder.id["<eos>"])
    return ids, encoder.tokenizer.decode(ids, skip_special_tokens=True)


def test_auto_classes_find_configuration_model_and_processor(folder):
    config = AutoConfig.from_pretrained(folder)
    assert config.model == PRESETS["tiny"]
    assert isinstance(AutoModelForImageTextToText.from_pretrained(folder), MM15ForImageTextToText)
    processor = AutoProcessor.from_pretrained(folder)
    assert isinstance(processor, MM15Processor)
    assert (processor.images["indicator"], processor.max_tokens) == ("index", 2048)


@pytest.mark.parametrize(("question", "pictures"), list(zip(QUESTIONS, PICTURES, strict=True)))
def test_pipeline_answers_as_our_own_greedy_generation(ours, folder, question, pictures):
    asked = pipeline("image-text-to-text", model=str(folder), device="cpu")
    inputs = {"images": pictures, "text": question} if pictures else {"text": question}
    (answer,) = asked(**inputs, max_new_tokens=NEW, return_full_text=False)
    ids, text = our_answer(ours, question, pictures)
    assert len(ids) > 2
    assert answer["generated_text"] == text


def test_pipeline_takes_a_chat(ours, folder):
    asked = pipeline("image-text-to-text", model=str(folder), device="cpu")
    content = [{"type": "image", "image": PICTURES[0][0]}, {"type": "text", "text": "What colour is the circle?"}]
    (answer,) = asked(text=[{"role": "user", "content": content}], max_new_tokens=NEW, return_full_text=False)
    assert answer["generated_text"] == our_answer(ours, QUESTIONS[0], PICTURES[0])[1]


def test_a_padded_batch_answers_as_one_by_one(ours, folder):
    model, processor = AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    inputs = processor(images=list(PICTURES), text=list(QUESTIONS), return_tensors="pt", padding=True)
    new = model.generate(**inputs, max_new_tokens=NEW)[:, inputs["input_ids"].shape[1] :]
    for row, question, pictures in zip(new, QUESTIONS, PICTURES, strict=True):
        ids, _ = our_answer(ours, question, pictures)
        assert row[: len(ids)].tolist() == ids


def test_beams_keep_the_tiles_of_each_sample_together(folder):
    model, processor = AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    together = processor(images=list(PICTURES[:2]), text=list(QUESTIONS[:2]), padding=True)
    apart = [processor(images=pictures, text=question) for question, pictures in zip(QUESTIONS[:2], PICTURES[:2], strict=True)]
    options = {"max_new_tokens": 4, "num_beams": 3}
    rows = model.generate(**together, **options)[:, together["input_ids"].shape[1] :]
    for row, inputs in zip(rows, apart, strict=True):
        torch.testing.assert_close(row, model.generate(**inputs, **options)[0, inputs["input_ids"].shape[1] :])


def test_beams_without_images_are_repeated_and_tiles_without_places_refused(folder):
    model, ids = MM15ForImageTextToText.from_pretrained(folder), torch.full((2, 5), 40)
    none = torch.zeros(0, 3, 64, 64, dtype=torch.uint8)
    repeated, inputs = model._expand_inputs_for_generation(3, input_ids=ids, pixel_values=none)
    assert repeated.shape == (6, 5)
    assert len(inputs["pixel_values"]) == 0
    with pytest.raises(ValueError, match="2 tiles, but no image token in the prompts"):
        model._expand_inputs_for_generation(3, input_ids=ids, pixel_values=none.new_zeros(2, 3, 64, 64))


def test_generation_without_a_cache_answers_the_same(folder):
    model, processor = AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    inputs = processor(images=PICTURES[0], text=QUESTIONS[0])
    cached, uncached = (model.generate(**inputs, max_new_tokens=NEW, use_cache=flag) for flag in (True, False))
    torch.testing.assert_close(cached, uncached)


def test_loss_is_the_mean_over_labelled_tokens(ours, folder):
    model, processor = AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    inputs = processor(images=PICTURES[0], text=QUESTIONS[0])
    labels = inputs["input_ids"].clone()
    labels[:, :-4] = -100
    with torch.no_grad():
        output = model(**inputs, labels=labels)
    expected = torch.nn.functional.cross_entropy(output.logits[0, -5:-1], labels[0, -4:])
    torch.testing.assert_close(output.loss, expected)


def test_either_class_loads_what_the_other_saved(ours, folder, tmp_path):
    theirs = AutoModelForImageTextToText.from_pretrained(folder)
    theirs.save_pretrained(tmp_path)
    again = MM15.from_pretrained(tmp_path)
    assert again.config == ours.config
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in ours.state_dict().items())


@pytest.mark.parametrize(("change", "says"), [
    (lambda tensors: tensors.pop("connector.positions"), "connector.positions is missing"),
    (lambda tensors: tensors.update({"connector.strange": torch.zeros(1)}), "connector.strange is unknown"),
    (lambda tensors: tensors.update({"vision.positions": torch.zeros(1, 9, 128)}), "vision.positions is (1, 9, 128), the model has (1, 64"),
])
def test_a_tensor_that_does_not_fit_is_named(ours, tmp_path, change, says):
    save_whole(tmp_path, ours, load_tokenizer(), IMAGES, max_tokens=64)
    tensors = load_file(tmp_path / "model.safetensors")
    change(tensors)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=re.escape(says)):
        AutoModelForImageTextToText.from_pretrained(tmp_path)


def test_a_model_of_experts_is_loaded_and_generates(tmp_path):
    register()
    sparse = replace(PRESETS["tiny"], decoder=replace(PRESETS["tiny"].decoder, experts=4))
    save_whole(tmp_path, MM15(sparse), load_tokenizer(), IMAGES, max_tokens=512)
    inputs = AutoProcessor.from_pretrained(tmp_path)(images=PICTURES[0], text=QUESTIONS[0])
    model = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert model.generate(**inputs, min_new_tokens=3, max_new_tokens=3).shape[1] == inputs["input_ids"].shape[1] + 3


@pytest.fixture(scope="module")
def processor(folder):
    return AutoProcessor.from_pretrained(folder)


@pytest.mark.parametrize(("images", "text", "says"), [
    (PICTURES[0], "no marker", "0 image markers but 1 images"),
    (None, "<image> and <image>", "2 image markers but 0 images"),
    ([PICTURES[0], []], list(QUESTIONS), "3 texts but 2 lists of images"),
    ([PICTURES[0], [], []], list(QUESTIONS), "text 1: 2 image markers but 0 images"),
    (None, None, "no text"),
])
def test_images_without_their_places_are_refused(processor, images, text, says):
    with pytest.raises(ValueError, match=says):
        processor(images=images, text=text)


def test_an_unknown_option_is_refused(processor):
    with pytest.raises(ValueError, match=r"\['truncation'\]: not an option"):
        processor(text="What?", truncation=True)


@pytest.mark.parametrize(("chat", "says"), [
    ([{"role": "assistant", "content": "yes"}], "roles are assistant"),
    ([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "user", "content": "c"}], "roles are user, user, user"),
    ([{"role": "user", "content": [{"type": "audio", "audio": "x"}]}], "part of type 'audio'"),
])
def test_a_chat_that_cannot_be_laid_out_is_refused(processor, chat, says):
    with pytest.raises(ValueError, match=says):
        processor.apply_chat_template(chat)


def test_earlier_turns_of_a_chat_are_read(processor):
    chat = [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "Two?"}]
    ids = processor.apply_chat_template(chat)["input_ids"][0]
    assert processor.tokenizer.decode(ids) == "<bos><user>One?<assistant>yes<eos><user>Two?<assistant>"


def test_special_tokens_in_a_question_stay_text(processor):
    ids = processor(text="<eos><assistant>")["input_ids"][0].tolist()
    assert [ids.count(processor.tokenizer.convert_tokens_to_ids(token)) for token in ("<eos>", "<assistant>")] == [0, 1]


def test_pipeline_answers_with_what_a_stage_published(tmp_path):
    register()
    config = SftConfig(images=IMAGES, steps=1, batch=2, lr=1e-3, max_tokens=1024)
    train_stage(config=config, model_config=PRESETS["tiny"], data=DataConfig(), seed=0, start=None, checkpoints=tmp_path / "checkpoints",
                out=tmp_path / "out", report=lambda progress: None, should_stop=lambda: False)
    asked = pipeline("image-text-to-text", model=str(tmp_path / "out"), device="cpu")
    (answer,) = asked(images=PICTURES[0], text=QUESTIONS[0], max_new_tokens=NEW, return_full_text=False)
    assert answer["generated_text"] == our_answer(MM15.from_pretrained(tmp_path / "out").eval(), QUESTIONS[0], PICTURES[0])[1]
    assert (asked.processor.images, asked.processor.max_tokens) == (to_plain(IMAGES), 1024)


def test_a_video_in_a_chat_is_24_tiles(processor):
    frames = [Image.new("RGB", (90, 50), (shade, 0, 0)) for shade in range(60)]
    chat = [{"role": "user", "content": [{"type": "video", "video": frames}, {"type": "text", "text": "What happens?"}]}]
    inputs = processor.apply_chat_template(chat)
    assert inputs["pixel_values"].shape == (24, 3, 64, 64)
    assert int((inputs["input_ids"] == processor.tokenizer.convert_tokens_to_ids("<image>")).sum()) == 24 * 16
