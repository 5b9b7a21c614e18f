"""A shard is read whole or refused by name; nothing in it is lost without a word."""

import functools
import io
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model.config.catalogue import CatalogueConfig, SourceConfig
from model.data.sources.dataset import BrokenSample, Source
from tests.support import corpora

NUM_SAMPLES = 6


def picture(value=0):
    return corpora.png(Image.new("RGB", (16, 16), (value, 0, 0)))


@functools.cache
def archive():
    """Return an archive of several samples, and where the last one ends."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as opened:
        for number in range(NUM_SAMPLES):
            for name, content in ((f"{number}.png", picture()), (f"{number}.txt", b"red" * 900)):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                opened.addfile(entry, io.BytesIO(content))
        end = opened.offset
    return buffer.getvalue(), end


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("tar") / "s.tar"


def opened(path, layout="caption"):
    config = SourceConfig(category="general", name="x", layout=layout, files=(str(path),))
    return Source(config, CatalogueConfig(name="c", sources=(config,)))


def outcome(path, content):
    """Return the number of samples that can be read, or the error."""
    path.write_bytes(content)
    try:
        source = opened(path)
    except ValueError as error:
        return str(error)
    return len(source)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, len(archive()[0]) - 1))
def test_a_cut_anywhere_is_refused_by_name_or_costs_no_sample(path, length):
    found = outcome(path, archive()[0][:length])
    assert found == NUM_SAMPLES if length >= archive()[1] + 1024 and found == NUM_SAMPLES else "s.tar" in str(found)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, NUM_SAMPLES - 2))
def test_an_emptied_rest_is_refused(path, number):
    content, end = archive()
    place = end * number // NUM_SAMPLES // 512 * 512
    assert "s.tar" in str(outcome(path, content[:place] + bytes(len(content) - place)))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 2 * NUM_SAMPLES - 1), st.integers(0, 147), st.integers(1, 255))
def test_a_damaged_header_in_the_middle_is_refused(path, member, place, change):
    content = bytearray(archive()[0])
    with tarfile.open(fileobj=io.BytesIO(bytes(content))) as whole:
        start = whole.getmembers()[member].offset
    content[start + place] ^= change
    assert "s.tar" in str(outcome(path, bytes(content)))


def test_joined_archives_are_refused_with_a_hint(path):
    content, end = archive()
    assert "list each by itself" in outcome(path, content * 2)
    assert "list each by itself" in outcome(path, content[: end + 1024] + content)


@pytest.mark.parametrize("length", [1024, 0])
def test_archives_of_writers_that_fill_up_to_no_record_are_read(path, length):
    content, end = archive()
    assert outcome(path, content[: end + length] if length else content) == NUM_SAMPLES


@pytest.mark.parametrize("names", [[f"{i}.png" for i in range(12)], [f"frame{i}.png" for i in range(8, 12)], ["a.png", "b.png", "c2.png"],
                                   [f"{i:03d}.png" for i in range(12)], ["2.9.png", "2.10.png", "10.1.png"]])
def test_pictures_of_a_sample_come_in_the_order_of_their_numbers(tmp_path, names):
    talk = {"conversations": [{"from": "human", "value": "<image>" * len(names) + "Which?"}, {"from": "gpt", "value": "The last."}]}
    members = [(f"0.{name}", picture(20 * place)) for place, name in enumerate(names)]
    corpora.shard(tmp_path / "s.tar", [*reversed(members), ("0.json", json.dumps(talk).encode())])
    found = opened(tmp_path / "s.tar", "llava").sample(0)
    assert [image.getpixel((0, 0))[0] // 20 for image in found.images] == list(range(len(names)))


def test_a_kind_twice_in_a_sample_is_refused(tmp_path):
    corpora.shard(tmp_path / "s.tar", [("0.png", picture()), ("0.txt", b"a"), ("0.txt", b"b")])
    with pytest.raises(ValueError, match=r"s\.tar:0: holds \.txt twice"):
        opened(tmp_path / "s.tar")


@pytest.mark.parametrize("kind", ["mp4", "gif", "1.tiff"])
def test_what_shows_something_and_cannot_be_read_makes_its_sample_broken(tmp_path, kind):
    talk = {"conversations": [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "It."}]}
    corpora.shard(tmp_path / "s.tar", [(f"0.{kind}", b"..."), ("0.json", json.dumps(talk).encode())])
    with pytest.raises(BrokenSample, match=rf"its member \.{kind} cannot be read"):
        opened(tmp_path / "s.tar", "llava").sample(0)


def test_other_members_are_of_no_concern(tmp_path):
    corpora.shard(tmp_path / "s.tar", [("0.png", picture()), ("0.txt", b"a dog"), ("0.cls", b"3"), ("0.mask.npy", b"x")])
    assert opened(tmp_path / "s.tar").sample(0).turns[0].answer == "a dog"


def test_an_index_of_an_older_form_is_made_again(tmp_path):
    config = SourceConfig(category="general", name="x", layout="caption", files=(str(tmp_path / "s.tar"),))
    catalogue = CatalogueConfig(name="c", sources=(config,), cache=str(tmp_path / "cache"))
    Path(config.files[0]).write_bytes(archive()[0])
    assert len(Source(config, catalogue)) == NUM_SAMPLES
    Path(config.files[0]).write_bytes(archive()[0][:-10240])
    with pytest.raises(ValueError, match="not a whole tar|unexpected end"):
        Source(config, catalogue)
