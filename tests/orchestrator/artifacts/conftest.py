"""An S3 server on this machine, and stores on it."""

import uuid

import boto3
import pytest
from moto.server import ThreadedMotoServer

from model import manifest
from orchestrator.artifacts.object_store import ObjectStore


@pytest.fixture(scope="session")
def s3_server():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """The URI of an empty bucket, with the environment that leads to it."""
    for name, value in {"AWS_ACCESS_KEY_ID": "test-key", "AWS_SECRET_ACCESS_KEY": "test-secret", "AWS_ENDPOINT_URL": s3_server,
                        "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    name = f"ablate-{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}/artifacts"


@pytest.fixture
def no_wait():
    return lambda _seconds: None


@pytest.fixture(params=["s3", "memory"])
def store(request, no_wait):
    """One contract over all back ends."""
    uris = {"s3": lambda: request.getfixturevalue("bucket"), "memory": lambda: f"memory://{uuid.uuid4().hex}"}
    return ObjectStore(uris[request.param](), sleep=no_wait)


@pytest.fixture
def published(tmp_path):
    """A published directory with a file below a folder."""
    def write(folder):
        (folder / "deep").mkdir()
        (folder / "weights.bin").write_bytes(bytes(range(256)) * 40)
        (folder / "deep" / "config.json").write_text("{}")

    manifest.publish(tmp_path / "made", write)
    return tmp_path / "made"
