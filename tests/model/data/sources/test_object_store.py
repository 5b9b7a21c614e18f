"""Sources in an object store: a real S3 interface on the loopback."""

from dataclasses import replace
from pathlib import Path

import boto3
import fsspec
import pytest
from moto.server import ThreadedMotoServer

from model.data.declared import RemoteConfig
from model.data.sources import files
from model.data.sources.fingerprints import category_content
from model.data.sources.opened import open_source
from tests import corpora

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
    found = open_source(remote, replace(corpora.catalogue(tmp_path, remote), remote=REMOTE))
    assert len(found) == 4
    for index, expected in enumerate(corpora.made("general", 4)):
        sample = found.sample(index)
        assert sample.turns == expected.turns
        assert [image.tobytes() for image in sample.images] == [image.tobytes() for image in expected.images]


def test_parquet_of_a_bucket_is_read(tmp_path, store):
    local = corpora.cauldron(tmp_path / "data", "general", 4)
    store(tmp_path / "data")
    remote = moved(local, tmp_path / "data")
    found = open_source(remote, replace(corpora.catalogue(tmp_path, remote), remote=REMOTE))
    assert [found.sample(index).turns for index in range(4)] == [sample.turns for sample in corpora.made("general", 4)]


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
    with pytest.raises(ValueError, match="cannot be read"):
        files.expand("s3://bucket/missing.jsonl", REMOTE)
