"""Sources in an object store: a real S3 interface on the loopback."""

import re
from dataclasses import replace
from pathlib import Path

import boto3
import fsspec
import moto.settings
import pytest
from moto.server import ThreadedMotoServer

from model.config.catalogue import RemoteConfig
from model.data.mixture import Draw
from model.data.sampler import Catalogue
from model.data.sources import dataset, files
from model.data.sources.dataset import open_dataset
from model.data.sources.fingerprints import category_content
from tests.support import corpora

REMOTE = RemoteConfig(schemes=("s3",), hosts=("bucket",))


@pytest.fixture
def store(monkeypatch):
    """An empty bucket; returns what puts a folder into it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (("AWS_ENDPOINT_URL", f"http://{host}:{port}"), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"),
                        ("AWS_DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="bucket")

    def put(folder):
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                client.upload_file(str(path), "bucket", path.relative_to(folder).as_posix())

    _forget_stores()
    put.server = server
    yield put
    server.stop()
    _forget_stores()


def _forget_stores():
    """A process keeps its connections; the next test has another server."""
    files._store.cache_clear()
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def moved(source, folder):
    """Return a source with its places in the bucket instead of the folder."""
    there = {name: value.replace(str(folder), "s3://bucket") for name, value in (("images", source.images),)}
    return replace(source, files=tuple(name.replace(str(folder), "s3://bucket") for name in source.files), **there)


@pytest.mark.parametrize("make", [corpora.llava, corpora.webdataset], ids=["JSON lines with images", "tar shards"])
def test_samples_of_a_bucket_are_those_of_the_disk(tmp_path, store, make):
    local = make(tmp_path / "data", "general", 4)
    store(tmp_path / "data")
    remote = moved(local, tmp_path / "data")
    found = open_dataset(remote, replace(corpora.catalogue(tmp_path, remote), remote=REMOTE))
    assert len(found) == 4
    for index, expected in enumerate(corpora.made("general", 4)):
        sample = found.sample(index)
        assert sample.turns == expected.turns
        assert [image.tobytes() for image in sample.images] == [image.tobytes() for image in expected.images]


def test_parquet_of_a_bucket_is_read(tmp_path, store):
    local = corpora.cauldron(tmp_path / "data", "general", 4)
    store(tmp_path / "data")
    remote = moved(local, tmp_path / "data")
    found = open_dataset(remote, replace(corpora.catalogue(tmp_path, remote), remote=REMOTE))
    assert [found.sample(index).turns for index in range(4)] == [sample.turns for sample in corpora.made("general", 4)]


@pytest.mark.parametrize("make", [corpora.llava, corpora.webdataset, corpora.cauldron], ids=["JSON lines", "tar", "parquet"])
def test_a_pass_over_a_bucket_stopped_and_divided_among_workers_takes_each_sample_once(tmp_path, store, make):
    local = make(tmp_path / "data", "general", 6)
    store(tmp_path / "data")
    remote = moved(local, tmp_path / "data")
    there, here = replace(corpora.catalogue(tmp_path, remote), remote=REMOTE), corpora.catalogue(tmp_path, local)
    before, after, disk = (Catalogue(config, ["general"], seed=3) for config in (there, there, here))
    workers = [[(before if k < 4 else after).sample(Draw("general", k)) for k in range(rank, 12, 3)] for rank in range(3)]
    taken = [workers[k % 3][k // 3].turns for k in range(12)]
    assert taken == [disk.sample(Draw("general", k)).turns for k in range(12)]
    assert sorted(map(str, taken[:6])) == sorted(map(str, taken[6:])) == sorted(str(each.turns) for each in corpora.made("general", 6))


def test_a_changed_object_is_other_data(tmp_path, store):
    local = corpora.llava(tmp_path / "data", "general", 4)
    store(tmp_path / "data")
    remote = moved(local, tmp_path / "data")
    catalogue = replace(corpora.catalogue(tmp_path, remote), remote=REMOTE)
    before = category_content(catalogue, "general")
    assert category_content(catalogue, "general") == before
    corpora.llava(tmp_path / "data", "general", 5)
    store(tmp_path / "data")
    assert category_content(catalogue, "general") != before


def test_another_bucket_is_refused(tmp_path, store):
    with pytest.raises(ValueError, match="host 'other' may not be opened"):
        files.expand("s3://other/a.jsonl", REMOTE)


def nobody_there(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def refused(monkeypatch):
    monkeypatch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)  # keys are looked at, and ours is unknown


def no_credentials(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")


def nonsense(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")


def untouched(monkeypatch):
    """The store is as it should be."""


TROUBLES = [
    (untouched, "s3://bucket/missing.jsonl", "FileNotFoundError", "check the names of bucket and file"),
    (untouched, "s3://gone/a-*.jsonl", "FileNotFoundError", "a bucket must exist"),
    (refused, "s3://bucket/a.jsonl", "PermissionError", "credentials"),
    (refused, "s3://bucket/a-*.jsonl", "PermissionError", "credentials"),
    (no_credentials, "s3://bucket/a.jsonl", "NoCredentialsError", "AWS_ACCESS_KEY_ID"),
    (nobody_there, "s3://bucket/a.jsonl", "EndpointConnectionError: .*127.0.0.1:9", "AWS_ENDPOINT_URL"),
    (nonsense, "s3://bucket/a.jsonl", "ValueError: Invalid endpoint: nonsense", "AWS_ENDPOINT_URL")]


@pytest.mark.parametrize(("trouble", "name", "reason", "hint"), TROUBLES, ids=lambda value: getattr(value, "__name__", None))
def test_a_store_in_trouble_is_an_error_that_says_which_file_why_and_where_to_look(store, monkeypatch, trouble, name, reason, hint):
    trouble(monkeypatch)
    with pytest.raises(ValueError, match=rf"^{re.escape(name)}: cannot be read \({reason}") as caught:
        files.expand(name, RemoteConfig(schemes=("s3",), hosts=("bucket", "gone")))
    assert hint in str(caught.value).partition("\nhint: ")[2]


@pytest.mark.parametrize("make", [corpora.llava, corpora.webdataset, corpora.cauldron], ids=["images of JSON lines", "tar", "parquet"])
def test_a_store_that_goes_away_between_two_reads_is_such_an_error_too(tmp_path, store, monkeypatch, make):
    local = make(tmp_path / "data", "general", 4)
    store(tmp_path / "data")
    remote = moved(local, tmp_path / "data")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    known = files.expand(remote.files[0], REMOTE)
    store.server.stop()
    monkeypatch.setattr(dataset, "expand", lambda *_: known)
    with pytest.raises(ValueError, match=r"cannot be read \(EndpointConnectionError: .*\nhint: AWS_ENDPOINT_URL"):
        open_dataset(remote, replace(corpora.catalogue(tmp_path, remote), remote=REMOTE))
