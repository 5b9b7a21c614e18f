"""Data sets of the hub: the real client asks a real server, over https, for what the catalogue allows and nothing else."""

import re
from dataclasses import replace

import pytest
from huggingface_hub import constants

from model.config.catalogue import RemoteConfig, SourceConfig
from model.data.sources.dataset import BrokenSample, Source, open_dataset
from model.data.sources.hub_files import chosen_files
from model.huggingface import Listing
from tests.support import corpora
from tests.support.hub_server import COMMIT, HOST, TOKEN, hub_server

ALLOWED = RemoteConfig(schemes=("https",), hosts=(HOST,))
CARD = """---
license: mit
configs:
- config_name: charts
  data_files:
  - split: train
    path: charts/train-*
  - split: test
    path: [charts/test-*]
- config_name: broken
  data_files: broken/*.parquet
- config_name: rows
  data_files: rows/train-*
---
# Charts
"""
SOURCE = SourceConfig(category="general", name="charts", layout="cauldron", hub="someone/charts", subset="charts", revision=COMMIT)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A hub with a data set of two training files, a test file, and what should not be fetched."""
    folder = tmp_path_factory.mktemp("hub")
    local = corpora.cauldron(folder / "local", "general", 6)
    parts = [path.read_bytes() for path in sorted((folder / "local").glob("*.parquet"))]
    with hub_server(folder) as hub:
        hub.local = local
        hub.files = {"README.md": CARD.encode(), "charts/train-00000-of-00002.parquet": parts[0],
                     "charts/train-00001-of-00002.parquet": parts[1], "charts/test-00000-of-00001.parquet": parts[0],
                     "broken/0.parquet": b"PAR1 and no more",
                     "rows/train-0.jsonl": b"{}\n", "rows/train-0.pkl": b"cos\nsystem\n(S'exit 1'\ntR."}
        yield hub


@pytest.fixture
def hub(server, monkeypatch):
    """The hub as it begins, and this process pointed at it."""
    server.repositories = {"datasets/someone/charts": dict(server.files)}
    server.gated, server.cut, server.asked = set(), {}, []
    server.point_this_process(monkeypatch)
    return server


def catalogue(folder, source=SOURCE, remote=ALLOWED):
    return replace(corpora.catalogue(folder, source), remote=remote)


def opened(folder, source=SOURCE, remote=ALLOWED):
    """Open the data set as a process that never did."""
    return Source(source, catalogue(folder, source, remote))


def turns(source):
    return [source.sample(index).turns for index in range(len(source))]


def fetched(hub):
    return sorted({path.rpartition(f"/{COMMIT}/")[2] for word, path in hub.asked if word == "GET" and "/resolve/" in path})


def test_samples_are_those_of_the_same_files_on_disk(hub, tmp_path):
    here = open_dataset(hub.local, corpora.catalogue(tmp_path / "local", hub.local))
    there = opened(tmp_path)
    assert turns(there) == turns(here)
    assert all(there.sample(k).images[0].tobytes() == here.sample(k).images[0].tobytes() for k in range(len(here)))
    assert fetched(hub) == ["charts/train-00000-of-00002.parquet", "charts/train-00001-of-00002.parquet"]


def test_the_split_is_the_one_that_was_asked_for(hub, tmp_path):
    assert len(opened(tmp_path, replace(SOURCE, split="test"))) == 3
    assert fetched(hub) == ["charts/test-00000-of-00001.parquet"]


def test_a_commit_that_was_fetched_is_never_asked_for_again(hub, tmp_path):
    first = turns(opened(tmp_path))
    hub.asked, hub.repositories = [], {}  # a hub that is gone
    assert turns(opened(tmp_path)) == first
    assert not hub.asked


def test_a_download_that_broke_off_goes_on(hub, tmp_path):
    name = "charts/train-00001-of-00002.parquet"
    hub.cut = {name: 500}
    assert len(opened(tmp_path)) == 6
    assert not hub.cut
    assert [path for word, path in hub.asked if word == "GET" and path.endswith(name)][1:]


def test_a_broken_row_is_named_by_its_place_on_the_hub(hub, tmp_path):
    corpora.cauldron(tmp_path / "bad", "general", 2, files=1)
    rows = (tmp_path / "bad" / "general-00000.parquet").read_bytes()
    hub.repositories["datasets/someone/charts"]["charts/train-00000-of-00002.parquet"] = rows.replace(b"IHDR", b"IHDX")
    source = opened(tmp_path)
    with pytest.raises(BrokenSample, match=re.escape(f"someone/charts@{COMMIT[:8]}/charts/train-00000-of-00002.parquet:1")):
        source.sample(1)
    assert source.sample(2).images


@pytest.mark.parametrize("remote", [RemoteConfig(), RemoteConfig(schemes=("https",), hosts=("huggingface.co",)),
                                    RemoteConfig(schemes=("s3",), hosts=(HOST,))])
def test_a_hub_that_the_catalogue_does_not_allow_is_not_asked(hub, tmp_path, remote):
    with pytest.raises(ValueError, match=f"hub data set someone/charts: the catalogue does not allow https to {HOST}"):
        opened(tmp_path, remote=remote)
    assert not hub.asked


def test_what_is_gated_needs_a_token(hub, tmp_path, monkeypatch):
    hub.gated = {"datasets/someone/charts"}
    with pytest.raises(ValueError, match=r"GatedRepoError(.|\n)*HF_TOKEN"):
        opened(tmp_path)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert len(opened(tmp_path)) == 6


@pytest.mark.parametrize(("change", "says"), [
    ({"hub": "someone/charst"}, "someone/charst@01234567: cannot be fetched from the hub (RepositoryNotFoundError"),
    ({"hub": "a/b/c"}, "a/b/c@01234567: cannot be fetched from the hub (HFValidationError"),
    ({"revision": "f" * 40}, "not this revision"),
    ({"subset": "chart"}, "subset chart, split train: no such subset\nhint: did you mean 'charts'?"),
    ({"subset": ""}, "subset default, split train: no such subset\nhint: known: broken, charts, rows"),
    ({"split": "trains"}, "split trains: no such split\nhint: did you mean 'train'?"),
    ({"subset": "rows"}, "rows/train-0.jsonl, rows/train-0.pkl; allowed: .parquet"),
    ({"subset": "broken"}, "broken/0.parquet: not readable as parquet"),
])
def test_what_is_not_there_is_said(hub, tmp_path, change, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        opened(tmp_path, replace(SOURCE, **change))
    assert set(fetched(hub)) <= {"broken/0.parquet"}


def test_a_hub_that_does_not_answer_is_said_with_its_address(hub, tmp_path, monkeypatch):
    away = f"https://{HOST}:9"
    monkeypatch.setattr(constants, "ENDPOINT", away)
    message = rf"someone/charts@01234567: cannot be fetched from the hub \(ConnectError(.|\n)*the hub is {away}"
    with pytest.raises(ValueError, match=message):
        opened(tmp_path)


NAMES = ("README.md", "data/test-0.parquet", "data/train-0.parquet", "data/train-1.parquet", "deep/er/train-0.parquet", "one/train.parquet",
         "one/train/0.parquet", "train-0.parquet")


@pytest.mark.parametrize(("configs", "subset", "chosen"), [
    ((), "", ["data/train-0.parquet", "data/train-1.parquet", "train-0.parquet"]),
    ((), "one", ["one/train.parquet", "one/train/0.parquet"]),
    (({"config_name": "default", "data_files": "data/train-*"}, {"config_name": "x", "data_files": "train-0.parquet"}), "",
     ["data/train-0.parquet", "data/train-1.parquet"]),
    (({"config_name": "a", "data_files": ["train-0.parquet", "one/*.parquet"]},), "", ["one/train.parquet", "train-0.parquet"]),
    (({"config_name": "a", "data_files": "x"}, {"config_name": "b", "default": True, "data_files": "train-*"}), "", ["train-0.parquet"]),
    (({"config_name": "a", "data_files": [{"split": "test", "path": "data/test-*"}, {"split": "train", "path": ["**/train-0.parquet"]}]},),
     "a", ["data/train-0.parquet", "deep/er/train-0.parquet", "train-0.parquet"]),
    (({"config_name": "a", "data_dir": "one"},), "a", ["one/train.parquet", "one/train/0.parquet"]),
    (({"config_name": "a", "data_dir": "data/", "data_files": "train-1*"},), "a", ["data/train-1.parquet"]),
])
def test_a_card_says_in_several_ways_which_files_a_subset_has(configs, subset, chosen):
    assert chosen_files(replace(SOURCE, subset=subset), Listing(NAMES, configs)) == chosen


@pytest.mark.parametrize("pattern", ["https://169.254.169.254/a.parquet", "/etc/*.parquet", "../x/*.parquet", "hf://datasets/other/x/*.parquet",
                                     "a/../../x.parquet"])
def test_a_card_chooses_among_the_files_of_its_repository_alone(pattern):
    with pytest.raises(ValueError, match=r"the card refers to '.*'; allowed: files of its own repository"):
        chosen_files(replace(SOURCE, subset="a"), Listing(NAMES, ({"config_name": "a", "data_files": pattern},)))


@pytest.mark.parametrize("configs", [({"config_name": "a", "data_files": "nothing-*"},), ({"config_name": "a", "data_dir": "none"},)])
def test_patterns_without_a_file_are_said_with_what_there_is(configs):
    with pytest.raises(ValueError, match=r"no file matches .*; it has README.md, .* and 3 more"):
        chosen_files(replace(SOURCE, subset="a"), Listing(NAMES, configs))
