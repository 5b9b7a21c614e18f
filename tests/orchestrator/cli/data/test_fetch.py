"""`ablate data fetch` against a hub of the test's own: priced first, pinned, checked, continued, and entered into the catalogue."""

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from PIL import Image

from orchestrator.study.public_data import public_copies
from tests.support.hub_server import COMMIT, Hub, hub_server

Ablate = Callable[..., Result]
CAULDRON, DOCVQA = "datasets/HuggingFaceM4/the_cauldron", "datasets/lmms-lab-encoder/DocVQA"
SHARD = "dvqa/train-00000-of-00001.parquet"


def parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "white").save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    chart = {"images": [{"bytes": picture(), "path": None}], "texts": [{"user": "How many bars?", "assistant": "3", "source": "dvqa"}]}
    pages = [{"image": {"bytes": picture(), "path": None}, "question": "What year?", "answers": ["1999"], "questionId": str(i)}
             for i in range(3)]
    card = b"---\nlicense: cc-by-4.0\n---\n"
    with hub_server(tmp_path) as server:
        server.repositories[CAULDRON] = {SHARD: parquet([chart] * 20), "README.md": card}
        server.repositories[DOCVQA] = {"DocVQA/validation-00000-of-00001.parquet": parquet(pages),
                                       "InfographicVQA/validation-00000-of-00001.parquet": parquet(pages[:2])}
        server.point_this_process(monkeypatch)
        yield server


def test_every_data_set_of_the_taxonomy_has_a_line_and_the_in_house_ones_are_named() -> None:
    copies = public_copies().values()
    assert {each.name for each in copies if each.in_house} >= {"ICL-Instruct", "Coco instruct interleaved"}
    assert all(bool(each.layout) for each in copies if not each.obstacle and not each.is_benchmark)
    assert all(each.hub or each.in_house or "no public copy" in each.obstacle for each in copies)


def test_the_price_comes_first_and_nothing_is_fetched(ablate: Ablate, hub: Hub, home: Path) -> None:
    result = ablate("data", "fetch", "DVQA", "docvqa")
    assert result.exit_code == 0, result.output
    assert "cc-by-4.0" in result.stdout
    assert "not stated: read its card" in " ".join(result.stdout.split())
    assert "--yes fetches them" in result.stdout
    assert not home.exists()
    assert not any(method == "GET" and "/resolve/" in path for method, path in hub.asked)


def test_what_is_fetched_is_pinned_entered_and_can_be_used(ablate: Ablate, ablate_json: Callable[..., Any], hub: Hub, home: Path) -> None:
    result = ablate("data", "fetch", "DVQA", "docvqa", "--yes")
    assert result.exit_code == 0, result.output
    checked = ablate_json("data", "check")
    of_catalogue = {each["name"]: each for each in checked["datasets"]}
    assert checked["is_ok"]
    assert (of_catalogue["DVQA"]["size"], of_catalogue["docvqa"]["size"]) == (20, 3), "one subset, one split"
    assert COMMIT in (home / "catalogue.yaml").read_text()

    assert ablate("data", "fetch", "infovqa", "--yes").exit_code == 0
    sizes = {each["name"]: each["size"] for each in ablate_json("data", "check")["datasets"]}
    assert (sizes["DVQA"], sizes["docvqa"], sizes["infovqa"]) == (20, 3, 2), "what was there stays"


def test_a_catalogue_of_a_person_is_not_touched(ablate: Ablate, hub: Hub, home: Path) -> None:
    home.mkdir()
    (home / "catalogue.yaml").write_text("kind: catalogue\nname: mine # with a remark\n")
    result = ablate("data", "fetch", "DVQA", "--yes")
    assert result.exit_code == 0, result.output
    assert "subset: dvqa" in result.stdout
    assert (home / "catalogue.yaml").read_text() == "kind: catalogue\nname: mine # with a remark\n"


def test_an_interrupted_fetch_continues(ablate: Ablate, hub: Hub) -> None:
    hub.cut[SHARD] = 100
    first = ablate("data", "fetch", "DVQA", "--yes")
    again = ablate("data", "fetch", "DVQA", "--yes")
    assert again.exit_code == 0, first.output + again.output
    asked = len(hub.asked)
    assert ablate("data", "fetch", "DVQA", "--yes").exit_code == 0
    assert not any("/resolve/" in path for _, path in hub.asked[asked:]), "a complete copy is not fetched again"


def test_a_file_that_is_not_what_the_hub_has_is_refused_and_removed(ablate: Ablate, hub: Hub, home: Path) -> None:
    hub.stated[SHARD] = hashlib.sha256(b"something else").hexdigest()
    result = ablate("data", "fetch", "DVQA", "--yes")
    assert result.exit_code == 1
    assert "SHA-256" in result.output
    assert not (home / "catalogue.yaml").exists()
    del hub.stated[SHARD]
    assert ablate("data", "fetch", "DVQA", "--yes").exit_code == 0


@pytest.mark.parametrize(("name", "said"), [
    ("DVAQ", "did you mean 'DVQA'?"),
    ("IconQA", "multi_image/IconQA"),
    ("ICL-Instruct", "it was never published"),
    ("GRIT-Flickr30k", "no public copy is known"),
    ("TabFact", "unpack them"),
])
def test_what_cannot_be_fetched_is_said(ablate: Ablate, name: str, said: str) -> None:
    result = ablate("data", "fetch", name)
    assert result.exit_code == 1
    assert said in " ".join(result.output.split())
