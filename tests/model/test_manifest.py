"""A published directory is whole, or it is an error that names what is wrong."""

import json
import os
from pathlib import Path

import pytest

from model.manifest import MANIFEST, README, CorruptDirectory, identity, publish, read, verify

FILES = {"weights.bin": b"\x00\x01\x02" * 1000, "deep/config.json": b"{}", "deep/manifest.json": b"[]"}


def write(directory, files=FILES):
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)


@pytest.fixture
def published(tmp_path):
    publish(tmp_path / "model", write, meta={"made": "today"})
    return tmp_path / "model"


def test_published_directory_verifies_with_its_meta(published):
    assert verify(published)["meta"] == {"made": "today"}
    assert sorted(read(published)["files"]) == sorted(FILES)


def test_nothing_else_is_left_beside_it(published):
    assert os.listdir(published.parent) == ["model"]


def test_identity_is_the_content_wherever_it_lies(published, tmp_path):
    other = publish(tmp_path / "elsewhere" / "copy", write, meta={"made": "tomorrow"})
    assert other == identity(published)
    assert other != publish(tmp_path / "changed", lambda folder: write(folder, {**FILES, "weights.bin": b"x"}))


def test_identity_counts_names(tmp_path):
    first, second = (publish(tmp_path / name, lambda folder, name=name: write(folder, {name: b"x"})) for name in ("a", "b"))
    assert first != second


def test_a_readme_is_no_part_of_the_content(published):
    before = identity(published)
    (published / README).write_text("how it was made")
    verify(published)
    assert identity(published) == before


def test_a_readme_of_an_older_manifest_may_be_mended_or_missing(published):
    manifest = json.loads((published / MANIFEST).read_text())
    manifest["files"][README] = {"size": 1, "sha256": "0" * 64}
    (published / MANIFEST).write_text(json.dumps(manifest))
    assert sorted(verify(published)["files"]) == sorted(FILES)


def test_a_readme_below_the_top_counts(published):
    (published / "deep" / README).write_text("part of it")
    with pytest.raises(CorruptDirectory, match="unknown .*deep/README.md"):
        verify(published)


@pytest.mark.parametrize("name", FILES)
def test_flipped_byte_is_found_and_named(published, name):
    content = bytearray((published / name).read_bytes())
    content[0] ^= 1
    (published / name).write_bytes(content)
    with pytest.raises(CorruptDirectory, match=f"{Path(name).name}: sha256 is"):
        verify(published)


def test_cut_file_is_found(published):
    os.truncate(published / "weights.bin", 10)
    with pytest.raises(CorruptDirectory, match="weights.bin: sha256 is"):
        verify(published)


def test_missing_file_is_named(published):
    (published / "weights.bin").unlink()
    with pytest.raises(CorruptDirectory, match=r"missing \['weights.bin'\]"):
        verify(published)


@pytest.mark.parametrize("name", ["extra.py", "deep/extra"])
def test_unknown_file_is_named(published, name):
    (published / name).write_text("surprise")
    with pytest.raises(CorruptDirectory, match=rf"unknown \['{name}'\]"):
        verify(published)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"files": []}', b'{"files": {"a": 1}}', b"\xff\xfe", b"null",
                                     b'{"files": {"a": {"sha256": 1}}}', b"[" * 100_000])
def test_damaged_manifest_is_named(published, content):
    (published / MANIFEST).write_bytes(content)
    with pytest.raises(CorruptDirectory, match=MANIFEST):
        verify(published)


def test_directory_without_manifest_was_never_finished(tmp_path):
    write(tmp_path)
    with pytest.raises(CorruptDirectory, match=MANIFEST):
        identity(tmp_path)


def test_flipped_hash_in_the_manifest_is_found(published):
    manifest = read(published)
    manifest["files"]["weights.bin"]["sha256"] = "0" * 64
    (published / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(CorruptDirectory, match="weights.bin"):
        verify(published)


def test_first_publisher_wins(published):
    first = identity(published)
    second = publish(published, lambda folder: write(folder, {"late": b"x"}))
    assert (second, identity(published)) == (first, first)
    assert os.listdir(published.parent) == ["model"]


def test_unpublished_directory_in_the_way_is_an_error(tmp_path):
    (tmp_path / "model").mkdir()
    write(tmp_path / "model")
    with pytest.raises(CorruptDirectory, match="model: no readable manifest"):
        publish(tmp_path / "model", write)


def test_failed_write_publishes_nothing_and_leaves_nothing(tmp_path):
    def fail(folder):
        write(folder)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        publish(tmp_path / "model", fail)
    assert os.listdir(tmp_path) == []


def test_directory_is_invisible_until_it_is_whole(tmp_path):
    seen = []
    publish(tmp_path / "model", lambda folder: seen.append((write(folder), (tmp_path / "model").exists())))
    assert seen == [(None, False)]
