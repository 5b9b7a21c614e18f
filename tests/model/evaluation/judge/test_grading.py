"""Judges behind a real HTTP server: what is asked, cached, asked again, recorded, and what happens without one."""

import json

import pytest

from model.config.scoring import ScoringConfig
from model.evaluation.benchmark_scores import total
from model.evaluation.benchmarks.registry import BENCHMARKS
from model.evaluation.judge.endpoint import Endpoint, Judge, JudgeFailed
from model.evaluation.judge.grading import JudgeSession, judge_item, require
from model.evaluation.metrics import ItemScore
from model.samples import Item
from tests.support.judge_server import Server, said

KEY = "sk-do-not-tell-anyone"
RULES = json.dumps(
    {"llava_bench_conv": {"role": "Assistant", "prompt": "Rate both."}, "ground_conv": {"role": "Assistant", "prompt": "Rate."}}
)
PAIR = Item(
    item_id="i",
    benchmark="llava-bench-wild",
    question="<image>Describe.",
    images=(),
    references=("A dog.",),
    meta={"category": "conv", "context": "a park"},
)
GRADE = Item(item_id="i", benchmark="mm-vet", question="<image>What is x?", images=(), references=("1<AND>2",), meta={"capability": "math"})
EXTRACT = Item(
    item_id="i",
    benchmark="mathvista",
    question="<image>How many?",
    images=(),
    references=("4",),
    meta={"question_type": "free_form", "answer_type": "integer", "precision": "0", "query": "How many?"},
)


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def judge(server, tmp_path, waits):
    key_file = tmp_path / "key"
    key_file.write_text(KEY + "\n")
    return Judge(Endpoint(url=server.url, key_file=key_file, cache=tmp_path / "cache", attempts=3), "judge-1", waits.append)


def session(judge, **materials):
    return JudgeSession(judge, ScoringConfig(judge="judge-1"), {"rule.json": RULES, "prompt.txt": "Grade.", **materials})


def test_a_reply_is_asked_for_once_and_then_cached(server, judge):
    server.replies = ["yes"]
    assert [judge.ask("really?").is_cached for _ in range(2)] == [False, True]
    assert judge.ask("really?", temperature=0.5).is_cached is False
    path, asked = server.asked[0]
    assert path == "/v1/chat/completions"
    assert asked == {"model": "judge-1", "messages": [{"role": "user", "content": "really?"}], "temperature": 0.0, "max_tokens": 1024}
    assert set(server.keys) == {f"Bearer {KEY}"}


@pytest.mark.parametrize(
    ("busy", "waited"), [((429, "", {"Retry-After": "7"}), [7.0]), ((503, "", {}), [1.0]), ((500, "", {"Retry-After": "soon"}), [1.0])]
)
def test_a_busy_server_is_asked_again_when_it_says(server, judge, waits, busy, waited):
    server.replies = [busy, "fine"]
    assert judge.ask("well?").text == "fine"
    assert waits == waited


@pytest.mark.parametrize(
    ("reply", "requests", "message"),
    [
        ((500, "", {}), 3, "HTTP 500"),
        ((401, "", {}), 1, "HTTP 401"),
        ((302, "", {"Location": "http://127.0.0.1:9/"}), 1, "HTTP 302"),
        ((200, "not json", {}), 1, "without choices"),
        ((200, '{"choices": []}', {}), 1, "without choices"),
        ((200, said(None), {}), 1, "without text"),
    ],
)
def test_a_judge_that_does_not_answer_is_an_error_without_the_key(server, judge, caplog, reply, requests, message):
    server.replies = [reply]
    with pytest.raises(JudgeFailed, match=message) as caught:
        judge.ask("well?")
    assert len(server.asked) == requests
    assert KEY not in f"{caught.value}{caught.getrepr()}{caplog.text}"


def test_nobody_there_is_an_error_that_names_the_setting(tmp_path):
    with pytest.raises(JudgeFailed, match="ABLATE_JUDGE_URL"):
        Judge(Endpoint(url="http://127.0.0.1:9/v1", attempts=2), "judge-1", lambda _: None).ask("well?")


def test_the_key_is_in_no_cached_file(server, judge, tmp_path):
    server.replies = ["yes"]
    judge.ask("really?")
    kept = [path.read_text() for path in (tmp_path / "cache").rglob("*.json")]
    assert len(kept) == 1
    assert KEY not in kept[0]
    assert json.loads(kept[0])["reply"] == "yes"


def test_a_pair_is_read_and_the_prompt_recorded(server, judge):
    server.replies = ["8 6\nbecause"]
    found = judge_item(BENCHMARKS["llava-bench-wild"], PAIR, "A cat.", session(judge, **{"system.txt": "Be fair."}))
    prompt = (
        "[Context]\na park\n\n[Question]\nDescribe.\n\n[Assistant 1]\nA dog.\n\n[End of Assistant 1]\n\n"
        "[Assistant 2]\nA cat.\n\n[End of Assistant 2]\n\n[System]\nRate both.\n\n"
    )
    assert found.pair == (8, 6)
    assert found.record == {"judge": "judge-1", "temperature": 0.0, "prompt": prompt, "reply": "8 6\nbecause"}
    assert server.asked[0][1]["messages"][0] == {"role": "system", "content": "Be fair."}


def test_boxes_are_shown_as_fractions_in_grounded_conversation(server, judge):
    server.replies = ["8 6"]
    item = Item(
        item_id="i", benchmark="ferret-bench", question="?", images=(), references=("r",), meta={"category": "ground_conv", "context": ""}
    )
    judge_item(BENCHMARKS["ferret-bench"], item, "cat [100, 200, 500, 600]", session(judge))
    assert "cat [0.100, 0.200, 0.500, 0.600]" in server.asked[0][1]["messages"][0]["content"]


def test_a_grade_is_asked_for_beside_the_gold_answer(server, judge):
    server.replies = ["0.5"]
    found = judge_item(BENCHMARKS["mm-vet"], GRADE, "x = 1", session(judge))
    assert found.strict == 0.5
    assert server.asked[0][1]["messages"][0]["content"] == "Grade.\nWhat is x? | 1 <AND> 2 | x = 1 |"


def test_an_unreadable_reply_is_asked_again_warmer_and_then_dropped(server, judge):
    server.replies = ["well", "hm", "0.5"]
    assert judge_item(BENCHMARKS["mm-vet"], GRADE, "x", session(judge)).strict == 0.5
    server.replies = ["well"]
    dropped = judge_item(BENCHMARKS["mm-vet"], GRADE, "y", session(judge))
    assert [asked["temperature"] for _, asked in server.asked] == [0.0, 0.5, 1.0, 0.0, 0.5, 1.0, 1.5, 2.0]
    assert dropped.is_dropped
    found = total(
        BENCHMARKS["mm-vet"], [GRADE, GRADE], [ItemScore(0.5, 0.5, "0.5"), dropped], ScoringConfig(judge="judge-1"), is_limited=True
    )
    assert (found.score, found.is_complete, found.details["num_judge_failures"]) == (50, False, 1)


@pytest.mark.parametrize(
    ("said_by_model", "said_by_judge", "requests", "strict", "parsed"),
    [("4", "unused", 0, 1, "4"), ("There are 4.", "4", 1, 1, "4"), ("There are many.", "many", 1, 0, None), ("", "unused", 0, 0, None)],
)
def test_mathvistas_answer_is_extracted_only_where_it_must_be(server, judge, said_by_model, said_by_judge, requests, strict, parsed):
    server.replies = [said_by_judge]
    found = judge_item(BENCHMARKS["mathvista"], EXTRACT, said_by_model, session(judge))
    assert (len(server.asked), found.strict, found.parsed) == (requests, strict, parsed)


def test_the_score_is_relative_to_the_reference_answers():
    scores = [ItemScore(0, 0, "8 6", pair=(8, 6)), ItemScore(0, 0, "10 5", pair=(10, 5))]
    found = total(BENCHMARKS["llava-bench-wild"], [PAIR, PAIR], scores, ScoringConfig(judge="judge-1"))
    assert found.score == 61.1
    assert found.details["choices"] == {"judge": "judge-1", "judge_temperature": 0.0}


@pytest.mark.parametrize(
    ("materials", "message"),
    [({}, r"no judge/rule\.json"), ({"rule.json": "[]"}, "mapping of category"), ({"rule.json": "not json"}, "mapping of category")],
)
def test_a_copy_without_what_the_judge_is_told_is_refused(materials, message):
    with pytest.raises(ValueError, match=message):
        require(BENCHMARKS["llava-bench-wild"], materials)
