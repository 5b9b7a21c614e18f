"""Nothing in a data set leads out of its folder, into a private network, or beyond the limits."""

import io
import json
import pickle
import ssl
import struct
import tarfile
import zlib
from http.server import BaseHTTPRequestHandler

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model.config.catalogue import RemoteConfig, SourceConfig
from model.data.sources import urls
from model.data.sources.dataset import BrokenSample, open_dataset
from model.data.sources.files import expand, inside
from model.data.sources.urls import check_address, fetch, public_address
from tests.support import corpora
from tests.support.https import certificate, serving

OPEN = RemoteConfig(schemes=("https", "s3"), hosts=("images.example.org", "bucket"))


@pytest.mark.parametrize("address", [
    "http://images.example.org/a.png", "file:///etc/passwd", "ftp://images.example.org/a", "memory://a", "gs://bucket/a",
    "https://evil.example.org/a.png", "https://images.example.org.evil.org/a", "https://user:secret@images.example.org/a",
    "https://images.example.org@evil.org/a", "https://images.example.org/../a", "simplecache::https://images.example.org/a",
    "https://images.example.org/a b", "https://images.example.org\\@evil.org/", "s3://other/a", "https:///a", "https://169.254.169.254/a",
])
def test_an_address_that_is_not_allowed_is_refused(address):
    with pytest.raises(ValueError, match=r"may not be opened|not a plain address|credentials|'\.\.'"):
        check_address(address, OPEN)


def test_remote_is_off_by_default():
    with pytest.raises(ValueError, match="schemes none, hosts none"):
        check_address("https://images.example.org/a.png", RemoteConfig())


def test_what_is_allowed_passes():
    assert check_address("https://IMAGES.example.org/a.png?size=2", OPEN).hostname == "images.example.org"
    assert check_address("s3://bucket/folder/a.tar", OPEN).path == "/folder/a.tar"


@pytest.mark.parametrize("number", ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "::1",
                                    "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1", "224.0.0.1", "fec0::1", "64:ff9b::7f00:1",
                                    "64:ff9b::a9fe:a9fe", "2002:a00:1::1", "2001:0:0:0:0:0:f5ff:fffe", "2001:db8::1", "::127.0.0.1"])
def test_a_host_with_a_private_address_is_refused(number):
    with pytest.raises(ValueError, match="not a public address"):
        public_address("images.example.org", 443, lambda host, port: ["93.184.216.34", number])


@pytest.mark.parametrize("number", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "::ffff:93.184.216.34"])
def test_a_public_address_is_the_one_that_is_connected_to(number):
    assert public_address("images.example.org", 443, lambda host, port: [number]) == number


class Server(BaseHTTPRequestHandler):
    """Answers by path: a picture, a redirect, something large."""

    def do_GET(self):
        status, headers, body = ANSWERS[self.path]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


ANSWERS = {
    "/a.png": (200, {}, b"picture"), "/large": (200, {}, b"x" * 5000), "/missing": (404, {}, b""),
    "/moved": (302, {"Location": "/a.png"}, b""), "/away": (302, {"Location": "https://evil.example.org/a.png"}, b""),
    "/down": (302, {"Location": "http://images.example.org/a.png"}, b""), "/round": (302, {"Location": "/round"}, b""),
    "/inwards": (302, {"Location": "https://bucket/a.png"}, b""),
}


@pytest.fixture(scope="module")
def https(tmp_path_factory):
    """A real https server under the name images.example.org; returns a client that trusts its certificate."""
    trust = certificate(tmp_path_factory.mktemp("tls"), "images.example.org")
    with serving(Server, trust) as port, pytest.MonkeyPatch.context() as patch:
        # The server of the test can only listen on the loopback; everything else of the check stays.
        patch.setattr(urls, "public_address", lambda host, port, resolver: resolver(host, port)[0])
        yield lambda path: fetch(f"https://images.example.org:{port}{path}", OPEN, max_bytes=1000,
                                 resolver=lambda host, port: ["127.0.0.1"], context=ssl.create_default_context(cafile=trust))


def test_a_picture_arrives_from_the_pinned_address_under_the_name_of_its_host(https):
    assert https("/a.png") == b"picture"


@pytest.mark.parametrize(("path", "message"), [
    ("/large", "more than 1000 bytes"), ("/missing", "the server answers 404"), ("/away", "evil.example.org' may not be opened"),
    ("/down", "scheme 'http' may not be opened"), ("/round", "more than 3 redirects"),
])
def test_an_answer_beyond_the_rules_is_refused(https, path, message):
    with pytest.raises(ValueError, match=message):
        https(path)


def test_a_redirect_within_the_rules_is_followed(https):
    assert https("/moved") == b"picture"


def test_a_redirect_to_an_allowed_host_that_is_private_reaches_nothing(https, monkeypatch):
    """The first answer comes from the test's loopback; the host it sends us to is looked at like any other."""
    look = public_address
    monkeypatch.setattr(urls, "public_address", lambda host, port, resolver: look(host, port, lambda *_: ["10.0.0.1"])
                        if host == "bucket" else "127.0.0.1")
    with pytest.raises(ValueError, match=r"bucket resolves to 10\.0\.0\.1, which is not a public address"):
        https("/inwards")


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../secret.png", "a\0.png", "", "a\\b.png"])
def test_a_name_that_climbs_is_refused(tmp_path, name):
    (tmp_path / "images").mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")
    with pytest.raises(ValueError, match="not a name below"):
        inside(str(tmp_path / "images"), name)


def test_a_link_out_of_the_folder_is_refused_and_one_within_followed(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")
    (folder / "real.png").write_bytes(b"x")
    (folder / "out.png").symlink_to(tmp_path / "secret.png")
    (folder / "in.png").symlink_to(folder / "real.png")
    with pytest.raises(ValueError, match="leads out of the folder"):
        inside(str(folder), "out.png")
    assert inside(str(folder), "in.png") == (folder / "real.png").resolve()


@given(st.text(max_size=20))
def test_no_name_whatever_leads_out_of_its_folder(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp()
    try:
        found = inside(str(folder), name)
    except ValueError:
        return
    assert found.is_relative_to(folder.resolve())


def test_an_image_address_in_a_record_is_refused_unless_allowed(tmp_path):
    record = {"image": "https://169.254.169.254/latest/meta-data", "conversations": [
        {"from": "human", "value": "<image>What?"}, {"from": "gpt", "value": "A dog."}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(record))
    source = SourceConfig(category="general", name="x", layout="llava", files=(str(tmp_path / "a.jsonl"),))
    with pytest.raises(BrokenSample, match=r"a\.jsonl:0: .*may not be opened"):
        open_dataset(source, corpora.catalogue(tmp_path, source)).sample(0)


def test_files_at_an_address_are_refused_unless_allowed():
    with pytest.raises(ValueError, match="may not be opened"):
        expand("s3://bucket/a.tar", RemoteConfig())


def member(name, kind=tarfile.REGTYPE, content=b"x", link=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.linkname = kind, len(content) if kind == tarfile.REGTYPE else 0, link
    return entry, io.BytesIO(content)


@pytest.mark.parametrize(("entry", "message"), [
    (member("../../etc/cron.d/a.png"), "leads out of the archive"), (member("/etc/a.png"), "leads out of the archive"),
    (member("a.png", tarfile.SYMTYPE, link="/etc/passwd"), "link or a device"),
    (member("a.png", tarfile.LNKTYPE, link="b"), "link or a device"), (member("0.pkl", content=pickle.dumps(print)), "is a pickle"),
    (member("0.masks.PTH"), "is a pickle"),
    (member("a.png", tarfile.FIFOTYPE), "link or a device"), (member("a.png", tarfile.CHRTYPE), "link or a device"),
])
def test_a_shard_with_what_no_shard_holds_is_refused(tmp_path, entry, message):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(*entry)
    source = SourceConfig(category="general", name="x", layout="caption", files=(str(tmp_path / "a.tar"),))
    with pytest.raises(ValueError, match=message):
        open_dataset(source, corpora.catalogue(tmp_path, source))


def test_a_shard_that_claims_a_huge_member_is_refused(tmp_path):
    entry = tarfile.TarInfo("a.png")
    entry.size = 2**40
    (tmp_path / "a.tar").write_bytes(entry.tobuf() + b"\0" * 1024)
    source = SourceConfig(category="general", name="x", layout="caption", files=(str(tmp_path / "a.tar"),))
    with pytest.raises(ValueError, match=r"allowed: 67108864|not a readable"):
        open_dataset(source, corpora.catalogue(tmp_path, source))


def test_a_compressed_shard_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w:gz") as archive:
        archive.addfile(*member("a.png"))
    source = SourceConfig(category="general", name="x", layout="caption", files=(str(tmp_path / "a.tar"),))
    with pytest.raises(ValueError, match="uncompressed tar"):
        open_dataset(source, corpora.catalogue(tmp_path, source))


def test_bytes_in_a_record_that_are_no_picture_are_broken(tmp_path):
    corpora.shard(tmp_path / "a.tar", [("0.png", b"GIF89a"), ("0.txt", b"a dog")])
    source = SourceConfig(category="caption", name="x", layout="caption", files=(str(tmp_path / "a.tar"),))
    with pytest.raises(BrokenSample, match=r"a\.tar:0: its image: is a GIF; allowed: JPEG"):
        open_dataset(source, corpora.catalogue(tmp_path, source)).sample(0)


def picture(width, height, **options):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG", **options)
    return buffer.getvalue()


def claiming(width, height):
    """A PNG whose header promises more pixels than it holds: what a decompression bomb looks like before it is decoded."""
    content = bytearray(picture(8, 8))
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


BAD = {
    "a bomb": (claiming(60_000, 60_000), "pixels"), "a huge side": (claiming(100_000, 8), "sides of"),
    "a picture cut short": (picture(300, 300, compress_level=0)[:-200_000], "damaged"), "a pickle": (pickle.dumps(print), "damaged"),
    "an animation": (picture(8, 8, save_all=True, append_images=[Image.new("RGB", (8, 8), "red")]), "animated"),
}


def of_json(folder, content):
    source = corpora.llava(folder, "general", 3)
    (folder / "images" / "train" / "general_1_0.png").write_bytes(content)
    return source, r"general\.jsonl:1"


def of_tar(folder, content):
    pictures = [picture(8, 8), content, picture(8, 8)]
    corpora.shard(folder / "a.tar", [member for number, each in enumerate(pictures)
                                     for member in ((f"{number}.png", each), (f"{number}.txt", b"a dog"))])
    return SourceConfig(category="general", name="x", layout="caption", files=(str(folder / "a.tar"),)), r"a\.tar:1"


def of_parquet(folder, content):
    rows = [{"images": [{"bytes": each, "path": None}], "texts": [{"user": "What?", "assistant": "A dog.", "source": "made"}]}
            for each in (picture(8, 8), content, picture(8, 8))]
    folder.mkdir(parents=True)
    datasets.Dataset.from_list(rows).to_parquet(folder / "a.parquet")
    return SourceConfig(category="general", name="x", layout="cauldron", files=(str(folder / "a.parquet"),)), r"a\.parquet:1"


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("make", [of_json, of_tar, of_parquet])
def test_a_picture_that_may_not_be_opened_is_named_by_file_and_index(tmp_path, make, bad):
    content, reason = BAD[bad]
    config, where = make(tmp_path / "data", content)
    source = open_dataset(config, corpora.catalogue(tmp_path, config))
    with pytest.raises(BrokenSample, match=rf"{where}: .*{reason}"):
        source.sample(1)
    assert [len(source.sample(index).images) for index in (0, 2)] == [1, 1]
