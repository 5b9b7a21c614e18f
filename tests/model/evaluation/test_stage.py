"""One evaluation, for real, with a small random model."""

import json
import math
from dataclasses import replace

import pytest
import torch
from PIL import Image

from model.config.scoring import ScoringConfig
from model.config.stages import PRESETS, DataConfig, EvaluateConfig, ImageConfig
from model.data.tokenizer import load_tokenizer
from model.evaluation.benchmarks.registry import BENCHMARKS
from model.evaluation.generation import Answered
from model.evaluation.judge.endpoint import Endpoint, JudgeFailed
from model.evaluation.kept_answers import keep, kept
from model.evaluation.opened import let_go, open_model
from model.evaluation.stage import EvaluationInputs, evaluate_stage
from model.evaluation.stored_answers import read, rescored
from model.evaluation.workbench_items import workbench_item
from model.manifest import CorruptDirectory, publish, verify
from model.network.mm15 import MM15
from model.samples import IMAGE, Item, Turn, without_pictures
from model.training.loop import Stopped
from tests.support.copies import write
from tests.support.judge_server import Server

TINY = PRESETS["tiny"]
CONFIG = EvaluateConfig(images=ImageConfig(mode="single", tile=64, tokens=4), benchmarks=("scene-qa",), num_items=6, batch=4)
JUDGED = replace(CONFIG, scoring=ScoringConfig(judge="judge-1"))
SPLIT = ImageConfig(mode="dynamic", tile=32, tokens=4, n_min=2, n_max=4)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    directory = tmp_path_factory.mktemp("model") / "checkpoint"
    torch.manual_seed(0)
    model = MM15(replace(TINY, vision=replace(TINY.vision, layers=1), decoder=replace(TINY.decoder, layers=1)))

    def write(target):
        model.save_pretrained(target)
        load_tokenizer().save_pretrained(target)

    publish(directory, write)
    return directory


def evaluate(checkpoint, out, *, benchmark="scene-qa", config=CONFIG, data=None, report=None, should_stop=None, resources=None):
    return evaluate_stage(benchmark=benchmark, config=config, data=data or DataConfig(), checkpoint=checkpoint, out=out,
                          report=report or (lambda progress: None), should_stop=should_stop or (lambda: False),
                          resources=resources or EvaluationInputs())


def rows(out):
    return [json.loads(line) for line in (out / "items.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_worker_loads_a_checkpoint_once_for_all_benchmarks(checkpoint):
    first = open_model(checkpoint, tile=64, dtype="bf16")
    assert open_model(checkpoint, tile=64, dtype="bf16") is first
    assert first.vision.blocks[0].qkv.weight.dtype == torch.bfloat16
    other = open_model(checkpoint, tile=64, dtype="fp32")
    assert other.vision.blocks[0].qkv.weight.dtype == torch.float32
    let_go()
    assert open_model(checkpoint, tile=64, dtype="fp32") is not other
    let_go()


UNJUDGED = sorted(name for name, each in BENCHMARKS.items() if each.source == "workbench" and not each.needs_judge)


@pytest.mark.parametrize("benchmark", UNJUDGED)
def test_every_workbench_benchmark_is_scored_and_its_answers_kept(checkpoint, tmp_path, benchmark):
    found = evaluate(checkpoint, tmp_path / "out", benchmark=benchmark)
    assert (found["benchmark"], found["num_items"], found["is_complete"]) == (benchmark, 6, True)
    assert 0 <= found["score"] <= found["score_lenient"] <= 100
    verify(tmp_path / "out")
    assert [row["item_id"] for row in rows(tmp_path / "out")] == [f"{benchmark}/0/{i}" for i in range(6)]


def test_the_score_is_the_mean_of_the_items(checkpoint, tmp_path):
    found = evaluate(checkpoint, tmp_path / "out", benchmark="form-fields")
    kept = rows(tmp_path / "out")
    assert found["score"] == pytest.approx(100 * math.fsum(row["score"] for row in kept) / len(kept))
    assert found["num_unparseable"] == sum(row["parsed"] is None for row in kept)


def test_yes_no_reports_f1_beside_accuracy(checkpoint, tmp_path):
    found = evaluate(checkpoint, tmp_path / "out", benchmark="scene-probe")
    assert found["details"].keys() == {"accuracy", "precision", "recall", "f1", "yes_ratio"}
    assert found["score"] == pytest.approx(100 * found["details"]["accuracy"])


@pytest.mark.parametrize("images", [CONFIG.images, SPLIT], ids=["single", "dynamic"])
def test_answers_do_not_depend_on_the_batch(checkpoint, tmp_path, images):
    for batch in (1, 6):
        evaluate(checkpoint, tmp_path / str(batch), config=replace(CONFIG, images=images, batch=batch))
    assert rows(tmp_path / "1") == rows(tmp_path / "6")


def test_an_evaluation_repeats_byte_for_byte(checkpoint, tmp_path):
    for name in ("a", "b"):
        evaluate(checkpoint, tmp_path / name)
    assert (tmp_path / "a" / "items.jsonl").read_bytes() == (tmp_path / "b" / "items.jsonl").read_bytes()


@pytest.mark.parametrize(("images", "tokens"), [(CONFIG.images, 4), (replace(CONFIG.images, mode="static"), 20)])
def test_image_tokens_are_counted(checkpoint, tmp_path, images, tokens):
    assert evaluate(checkpoint, tmp_path / "out", config=replace(CONFIG, images=images))["tokens_per_image"] == tokens


def test_text_items_have_no_image_tokens(checkpoint, tmp_path):
    assert evaluate(checkpoint, tmp_path / "out", benchmark="sums-text")["tokens_per_image"] == 0


@pytest.mark.parametrize("benchmark", ["scene-qa", "film-moves", "operators-4shot"])
def test_a_blind_evaluation_shows_no_picture_and_keeps_the_question(checkpoint, tmp_path, benchmark):
    seen, blind = (evaluate(checkpoint, tmp_path / name, benchmark=benchmark, config=replace(CONFIG, blind=name == "blind"))
                   for name in ("seen", "blind"))
    assert blind["tokens_per_image"] == 0 < seen["tokens_per_image"]
    asked = [[(row["item_id"], row["question"], row["references"]) for row in rows(tmp_path / name)] for name in ("seen", "blind")]
    assert asked[0] == asked[1]


def test_two_pictures_are_one_to_who_is_blind():
    item = Item(item_id="i", benchmark="b", question=f"{IMAGE}\nWhat is it?", references=("x",), images=(Image.new("RGB", (8, 8)),),
                shots=(Turn(f"{IMAGE}{IMAGE}\nAnd {IMAGE} here?", "y"),))
    unseen = without_pictures(item)
    assert (unseen.question, unseen.shots, unseen.images) == ("What is it?", (Turn("And  here?", "y"),), ())
    assert unseen.num_markers == 0


def test_progress_is_reported_after_every_batch(checkpoint, tmp_path):
    reports = []
    evaluate(checkpoint, tmp_path / "out", report=reports.append)
    assert reports == [{"step": done, "steps": 6} for done in (0, 4, 6)]


def test_a_stop_between_batches_publishes_nothing(checkpoint, tmp_path):
    answers = iter([False, True])
    with pytest.raises(Stopped, match="4 of 6"):
        evaluate(checkpoint, tmp_path / "out", should_stop=lambda: next(answers))
    assert not (tmp_path / "out").exists()


def test_a_benchmark_without_data_is_refused_before_anything_is_loaded(tmp_path):
    with pytest.raises(ValueError, match="'mme' needs a local copy, but no catalogue"):
        evaluate(tmp_path / "no checkpoint", tmp_path / "out", benchmark="mme")


def test_an_unknown_benchmark_is_named_with_the_nearest_one(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'scene-qa'"):
        evaluate(tmp_path / "no checkpoint", tmp_path / "out", benchmark="scene-aq")


def test_a_damaged_checkpoint_is_refused(checkpoint, tmp_path):
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in checkpoint.iterdir():
        (damaged / file.name).write_bytes(file.read_bytes())
    (damaged / "config.json").write_text("{}")
    with pytest.raises(CorruptDirectory, match=r"config\.json"):
        evaluate(damaged, tmp_path / "out")


@pytest.mark.parametrize("name", ["pope", "mmmu", "refcocog", "open-mi-4shot", "held-out-text"])
def test_a_local_copy_is_answered_and_scored(checkpoint, tmp_path, name):
    resources = EvaluationInputs(local=write(tmp_path, name, suffix="parquet"))
    found = evaluate_stage(benchmark=name, config=replace(CONFIG, num_items=0), data=DataConfig(source="catalogue"), checkpoint=checkpoint,
                           out=tmp_path / "out", report=lambda _: None, should_stop=lambda: False, resources=resources)
    assert found["num_items"] == len(rows(tmp_path / "out")) > 0
    assert found["is_complete"] == (name != "mmmu")  # it is known to have 900 items


def test_bits_per_byte_equal_the_models_own_loss(checkpoint, tmp_path):
    found = evaluate(checkpoint, tmp_path / "out", benchmark="english-bits")
    texts = [row["references"][0] for row in rows(tmp_path / "out")]
    model, tokenizer = MM15.from_pretrained(checkpoint, tile=64), load_tokenizer(checkpoint)
    rows_of_ids = [[tokenizer.convert_tokens_to_ids("<bos>"), *tokenizer.encode(text, add_special_tokens=False)] for text in texts]
    with torch.no_grad():
        logits = [model.decoder(torch.tensor([ids])).logits[0, :-1] for ids in rows_of_ids]
    nats = [torch.nn.functional.cross_entropy(each, torch.tensor(ids[1:]), reduction="sum")
            for each, ids in zip(logits, rows_of_ids, strict=True)]
    bits = float(sum(nats)) / math.log(2) / sum(len(text.encode()) for text in texts)
    assert found["details"]["bits_per_byte"] == pytest.approx(bits, rel=1e-4)
    assert found["score"] == pytest.approx(max(0, 100 * (1 - bits / 8)), rel=1e-3)


def test_a_judged_benchmark_without_a_judge_is_not_run_rather_than_zero(tmp_path):
    with pytest.raises(ValueError, match="mm-vet: not run: it needs a judge"):
        evaluate(tmp_path / "no checkpoint", tmp_path / "out", benchmark="mm-vet")
    config = replace(CONFIG, scoring=ScoringConfig(judge="judge-1"))
    with pytest.raises(ValueError, match=r"no endpoint\nhint: set ABLATE_JUDGE_URL"):
        evaluate(tmp_path / "no checkpoint", tmp_path / "out", benchmark="mm-vet", config=config)


@pytest.mark.parametrize(("benchmark", "reply", "score", "parsed"), [
    ("scene-talk", "8 6\nIt leaves one out.", 75.0, "8 6"), ("region-talk", "10 4", 40.0, "10 4"), ("scene-skills", "0.5", 50.0, "0.5")])
def test_open_answers_of_the_workbench_are_judged_through_an_endpoint(checkpoint, tmp_path, benchmark, reply, score, parsed):
    server = Server()
    server.replies = [reply]
    found = evaluate(checkpoint, tmp_path / "out", benchmark=benchmark, config=JUDGED,
                     resources=EvaluationInputs(endpoint=Endpoint(url=server.url)))
    server.close()
    assert (found["score"], found["is_complete"], len(server.asked)) == (score, True, 6)
    assert found["details"]["judge"] == "judge-1"
    kept = rows(tmp_path / "out")
    assert {row["parsed"] for row in kept} == {parsed}
    assert all(row["references"][0].split("<AND>")[0] in row["judged"]["prompt"] for row in kept)


def test_a_judge_that_fails_late_costs_no_second_generation(checkpoint, tmp_path):
    server = Server()
    server.replies = ["8 6", "8 6", (401, "", {})]
    resources = EvaluationInputs(endpoint=Endpoint(url=server.url, cache=tmp_path / "cache"), kept=tmp_path / "shared")
    told = []
    with pytest.raises(JudgeFailed, match="HTTP 401"):
        evaluate(checkpoint, tmp_path / "out", benchmark="scene-talk", config=JUDGED, resources=resources, report=told.append)
    assert not (tmp_path / "out").exists()
    server.replies = ["8 6"]
    first = len(told)
    found = evaluate(checkpoint, tmp_path / "out", benchmark="scene-talk", config=JUDGED, resources=resources, report=told.append)
    straight = evaluate(checkpoint, tmp_path / "straight", benchmark="scene-talk", config=JUDGED,
                        resources=EvaluationInputs(endpoint=Endpoint(url=server.url)))
    server.close()
    assert first > 0
    assert len(told) == first  # the model answered nothing the second time
    assert {name: value for name, value in found.items() if name != "seconds"} == {
        name: value for name, value in straight.items() if name != "seconds"}
    assert rows(tmp_path / "out") == rows(tmp_path / "straight")


def test_kept_answers_that_are_damaged_or_of_other_items_are_made_again(tmp_path):
    items = [workbench_item(BENCHMARKS["scene-talk"], index, seed=0) for index in range(3)]
    keep(tmp_path, [Answered(replace(each, images=()), "words", 4.0) for each in items[:2]])
    assert [each.prediction for each in kept(tmp_path, items[:2])] == ["words", "words"]
    assert kept(tmp_path, items) is None
    (tmp_path / "answers" / "answers.jsonl").write_text("[]")
    assert kept(tmp_path, items[:2]) is None
    assert kept(tmp_path / "elsewhere", items) is None


def test_the_answer_to_a_sum_is_read_out_by_a_judge_and_compared_by_us(checkpoint, tmp_path):
    server = Server()
    server.replies = ["(A)"]
    evaluate(checkpoint, tmp_path / "out", benchmark="maths-read", config=JUDGED,
             resources=EvaluationInputs(endpoint=Endpoint(url=server.url)))
    server.close()
    chosen = [row for row in rows(tmp_path / "out") if row["options"] and row["judged"]]
    assert chosen
    assert all(row["score"] == (row["options"][0] == row["references"][0]) for row in chosen)


def test_pairs_of_questions_are_scored_as_mme_scores_them(checkpoint, tmp_path):
    found = evaluate(checkpoint, tmp_path / "out", benchmark="scene-pairs", config=replace(CONFIG, num_items=7))
    right = [row["score"] for row in rows(tmp_path / "out")]
    points = [50 * (one + other) + 100 * one * other for one, other in zip(right[::2], right[1::2], strict=True)]
    assert len(right) == 6  # the seventh question would stand alone
    assert found["details"]["perception"] == pytest.approx(sum(points) / 3)
    assert found["score"] == pytest.approx(sum(points) / 3 / 2)


def test_stored_answers_give_the_same_score_again_and_another_choice_another_one(checkpoint, tmp_path):
    resources = EvaluationInputs(local=write(tmp_path, "docvqa"))
    found = evaluate_stage(benchmark="docvqa", config=CONFIG, data=DataConfig(), checkpoint=checkpoint, out=tmp_path / "out",
                           report=lambda _: None, should_stop=lambda: False, resources=resources)
    stored = read(tmp_path / "out" / "items.jsonl", "docvqa")
    spec = BENCHMARKS["docvqa"]
    assert rescored(spec, stored, ScoringConfig(), is_limited=True).score == found["score"]
    changed = [replace(stored[0], prediction="MAY 1")]
    assert [rescored(spec, changed, ScoringConfig(anls_form=form)).score for form in ("rrc", "due")] == [100, 0]
