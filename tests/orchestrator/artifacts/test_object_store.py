import shutil
import threading
import time

import fsspec
import moto.settings
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from model import manifest
from model.manifest import MANIFEST, CorruptDirectory
from orchestrator.artifacts.object_store import TRIES, ObjectStore
from orchestrator.errors import NoResources, OrchestratorError


class TestContract:
    def test_directory_comes_back_as_it_went(self, store, published, tmp_path):
        store.put(published, "stages/ab/out")
        store.get("stages/ab/out", tmp_path / "back")
        assert manifest.verify(tmp_path / "back") == manifest.verify(published)

    def test_directory_without_manifest_is_not_there(self, store, published, tmp_path):
        store.put_file(published / "weights.bin", "stages/ab/out/weights.bin")
        assert not store.has("stages/ab/out")
        with pytest.raises(CorruptDirectory, match="no complete directory"):
            store.get("stages/ab/out", tmp_path / "back")
        assert not (tmp_path / "back").exists()

    def test_damage_in_the_store_is_found_and_nothing_appears(self, store, published, tmp_path):
        store.put(published, "x")
        (tmp_path / "other").write_bytes(b"damaged")
        store.put_file(tmp_path / "other", "x/weights.bin")
        with pytest.raises(CorruptDirectory, match=r"weights\.bin: sha256"):
            store.get("x", tmp_path / "back")
        assert sorted(path.name for path in tmp_path.iterdir() if "back" in path.name) == []

    def test_damaged_directory_is_not_sent(self, store, published):
        (published / "weights.bin").write_bytes(b"damaged")
        with pytest.raises(CorruptDirectory):
            store.put(published, "x")
        assert store.names("x") == []

    def test_whole_directories_of_a_folder_are_listed(self, store, published):
        for name in ("step_2", "step_1"):
            store.put(published, f"checkpoints/{name}")
        store.put_file(published / "weights.bin", "checkpoints/step_3/weights.bin")
        assert store.published("checkpoints") == ["step_1", "step_2"]
        assert store.published("nothing") == []

    def test_removed_directory_is_gone_and_its_neighbour_stays(self, store, published):
        store.put(published, "a/one")
        store.put(published, "a/two")
        store.remove("a/one")
        assert store.names("a/one") == []
        assert store.has("a/two")

    def test_small_text_is_written_once(self, store):
        assert store.read_text("owner.json") is None
        store.write_new("owner.json", "mine")
        store.write_new("owner.json", "another's")
        assert store.read_text("owner.json") == "mine"
        assert store.part("ledgers/b").read_text("owner.json") is None

    def test_removing_what_another_process_removes_is_fine(self, store, published, monkeypatch):
        store.put(published, "x")
        gone = store.names("x")
        store.remove("x")
        monkeypatch.setattr(store, "names", lambda _: gone)
        store.remove("x")

    def test_valid_directory_stays_the_one_that_it_was(self, store, published, tmp_path):
        store.put(published, "x")
        shutil.copytree(published, tmp_path / "here")
        before = (tmp_path / "here").stat().st_ino
        store.get("x", tmp_path / "here")
        assert (tmp_path / "here").stat().st_ino == before

    def test_damaged_directory_is_replaced(self, store, published, tmp_path):
        store.put(published, "x")
        shutil.copytree(published, tmp_path / "here")
        (tmp_path / "here" / "weights.bin").write_bytes(b"damaged")
        store.get("x", tmp_path / "here")
        assert manifest.verify(tmp_path / "here") == manifest.verify(published)
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    def test_slots_that_fetch_one_directory_at_once_never_take_it_away(self, store, published, tmp_path):
        """One slot reads the parent's checkpoint while others still download it."""
        if store.uri.startswith("memory"):
            pytest.skip("fsspec's file system in memory has one position a file, for all threads")
        store.put(published, "x")
        directory, ended, missed = tmp_path / "here", threading.Event(), []
        store.get("x", directory)

        def read():
            while not ended.is_set():
                missed.extend(path for path in ("weights.bin", "manifest.json") if not (directory / path).exists())

        reader = threading.Thread(target=read)
        reader.start()
        slots = [threading.Thread(target=store.get, args=("x", directory)) for _ in range(6)]
        for slot in slots:
            slot.start()
        for slot in slots:
            slot.join()
        ended.set()
        reader.join()
        assert missed == []
        assert manifest.verify(directory) == manifest.verify(published)

    def test_file_that_is_not_there(self, store, tmp_path):
        assert store.get_file("nothing.json", tmp_path / "x") is False
        assert not (tmp_path / "x").exists()

    def test_age_and_size_of_a_file(self, store, published):
        store.put(published, "x")
        (name, num_bytes, written), = [each for each in store.files("x") if each[0] == "x/weights.bin"]
        assert (name, num_bytes) == ("x/weights.bin", 256 * 40)
        assert abs(time.time() - written) < 3600


class Flaky(MemoryFileSystem):
    """Fails the first calls of some verbs, as a store in trouble does; a put that fails leaves half of the file."""

    cachable = False

    def __init__(self, failures, **options):
        super().__init__(**options)
        self.failures = dict(failures)

    def _fail(self, verb):
        left = self.failures.get(verb, 0)
        self.failures[verb] = left - 1
        if left > 0:
            raise OSError(f"503 {verb}")

    def put_file(self, lpath, rpath, **options):
        if self.failures.get("put", 0) > 0:
            self.pipe_file(rpath, b"half")
        self._fail("put")
        super().put_file(lpath, rpath, **options)

    def get_file(self, rpath, lpath, **options):
        self._fail("get")
        super().get_file(rpath, lpath, **options)


def flaky(name, **failures):
    waits = []
    store = ObjectStore(f"memory://{name}", sleep=waits.append)
    store._fs = Flaky(failures)
    return store, waits


def test_failures_that_pass_are_outlived(published, tmp_path):
    store, waits = flaky("passing", put=2, get=2)
    store.put(published, "x")
    store.get("x", tmp_path / "back")
    assert manifest.verify(tmp_path / "back")
    assert len(waits) == 4
    assert waits[1] > waits[0] / 3


def test_store_that_stays_away_is_named_and_shows_nothing_half(published):
    store, waits = flaky("away", put=100)
    with pytest.raises(NoResources, match="memory://away does not answer after"):
        store.put(published, "x")
    assert len(waits) == TRIES
    assert not store.has("x")


def test_upload_that_was_cut_off_is_completed_by_the_next(published, tmp_path):
    store, _ = flaky("cut", put=TRIES)
    with pytest.raises(NoResources):
        store.put(published, "x")
    store.put(published, "x")
    store.get("x", tmp_path / "back")
    assert manifest.verify(tmp_path / "back")


def test_manifest_is_sent_last_and_removed_first(published, monkeypatch):
    store = ObjectStore("memory://order")
    sent, removed = [], []
    monkeypatch.setattr(store._fs, "put_file", lambda _, name: sent.append(name.rpartition("/")[2]))
    store.put(published, "x")
    monkeypatch.undo()
    store.put(published, "x")
    monkeypatch.setattr(store._fs, "rm_file", lambda name: removed.append(name.rpartition("/")[2]))
    store.remove("x")
    assert (sent[-1], removed[0]) == (MANIFEST, MANIFEST)
    assert len(sent) == len(removed) == 3


def test_bucket_that_is_missing_is_named_at_once(bucket, published):
    waits = []
    with pytest.raises(OrchestratorError, match=r"s3://no-such-bucket/x: the store cannot be used \(FileNotFoundError.*\nhint: .*bucket"):
        ObjectStore("s3://no-such-bucket/x", sleep=waits.append).put(published, "y")
    assert waits == []


def test_store_that_refuses_our_key_is_named_at_once(bucket, monkeypatch):
    waits = []
    monkeypatch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)  # keys are looked at, and ours is unknown
    with pytest.raises(OrchestratorError, match=r"the store cannot be used \(PermissionError.*\nhint: .*AWS_ACCESS_KEY_ID"):
        ObjectStore(bucket, sleep=waits.append).has("y")
    assert waits == []


def test_end_point_without_anybody_is_named_after_all_tries(bucket, monkeypatch):
    waits = []
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(NoResources, match=r"does not answer after 4 tries: EndpointConnectionError: .*127\.0\.0\.1:9"):
        ObjectStore(bucket, sleep=waits.append).has("y")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    assert len(waits) == TRIES


def test_manifest_cannot_lead_out_of_its_directory(published, tmp_path):
    store = ObjectStore("memory://escape")
    store.put(published, "x")
    text = (published / MANIFEST).read_text().replace("weights.bin", "../../weights.bin")
    (tmp_path / "evil").write_text(text)
    store.put_file(tmp_path / "evil", f"x/{MANIFEST}")
    with pytest.raises(CorruptDirectory, match="outside of its directory"):
        store.get("x", tmp_path / "back")


@pytest.mark.parametrize("uri", ["ftp://host/x", "simplecache::s3://bucket", "https://host/x", "file:///tmp/x"])
def test_other_schemes_are_refused(uri):
    with pytest.raises(OrchestratorError, match="allowed: a folder, or"):
        ObjectStore(uri)
