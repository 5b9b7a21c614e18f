"""Files that nobody vouches for end in a picture or in an error that names them."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from model.images.decode import decode_image, open_image, oriented, to_rgb

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def outcome(content):
    try:
        return decode_image(content, "flipped").mode
    except ValueError as error:
        return str(error)


def png_header_of(width, height):
    """Return a PNG of a few bytes that claims to be this large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]
    bodies = [(len(data), name + data) for name, data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", size) + body + struct.pack(">I", zlib.crc32(body)) for size, body in bodies)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_allowed_formats_open_as_rgb(tmp_path, kind):
    path = tmp_path / "picture"
    path.write_bytes(encoded(PHOTO, kind))
    image = open_image(path)
    assert (image.mode, image.size) == ("RGB", (60, 40))


def test_lossless_pixels_arrive_unchanged(tmp_path):
    PHOTO.save(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(open_image(tmp_path / "a.png")), np.asarray(PHOTO))


@pytest.mark.parametrize(("kind", "named"), [("GIF", "a GIF"), ("BMP", "a BMP"), ("TIFF", "a TIFF"), ("PPM", "a PNM"),
                                             ("JPEG2000", "a JPEG 2000"), ("AVIF", "an AVIF")])
def test_other_formats_are_refused_by_their_kind_whatever_their_name(tmp_path, kind, named):
    path = tmp_path / "looks.png"
    path.write_bytes(encoded(PHOTO, kind))
    with pytest.raises(ValueError, match=f"looks.png: is {named}; allowed: JPEG, PNG, WebP"):
        open_image(path)


@pytest.mark.parametrize(("content", "named"), [
    (b"", "empty"), (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"), (b"%PDF-1.7", "a PDF"),
    (b"<!DOCTYPE html><title>404</title>", "a web page"), (b"  <html>", "a web page"), (b"<svg/>", "an SVG"),
    (b"\0\0\0\x20ftypisom", "a film"), (b"\0\0\0\x1cftypheic", "a HEIC"), (b"PK\x03\x04", "an archive")])
def test_what_is_no_picture_is_named(content, named):
    with pytest.raises(ValueError, match=f"a.jpg: is {named}"):
        decode_image(content, "a.jpg")


@settings(deadline=None, max_examples=100)
@given(st.one_of(st.binary(max_size=64), st.sampled_from([encoded(PHOTO, kind)[:300] for kind in ("GIF", "PNG", "JPEG", "WEBP", "TIFF")])))
def test_a_file_is_refused_in_the_same_words_each_time(content):
    said = {outcome(bytes(bytearray(content))) for _ in range(2)}
    assert len(said) == 1
    assert " at 0x" not in said.pop()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9])
def test_truncated_file_is_refused(tmp_path, kind, part):
    content = encoded(PHOTO, kind)
    path = tmp_path / "cut.img"
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(ValueError, match="cut.img: damaged"):
        open_image(path)


@pytest.mark.parametrize(("width", "height"), [(8000, 8000), (12000, 12000), (60000, 60000), (2**31 - 1, 2**31 - 1)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_decompression_bomb_is_refused_by_its_header(width, height):
    with pytest.raises(ValueError, match=r"bomb: .*pixels.*40000000"):
        decode_image(png_header_of(width, height), "bomb")


def test_bomb_is_refused_where_warnings_are_errors():
    with pytest.raises(ValueError, match="bomb: .*144000000 pixels"):
        decode_image(png_header_of(12000, 12000), "bomb")


def test_side_beyond_what_can_be_split_is_refused():
    with pytest.raises(ValueError, match="70000 x 2 px; allowed: sides of 2 to 65535 px"):
        decode_image(png_header_of(70000, 2), "strip")


def test_file_beyond_the_byte_cap_is_refused(tmp_path):
    (tmp_path / "large.png").write_bytes(encoded(PHOTO, "PNG"))
    with pytest.raises(ValueError, match="large.png: more than 1000 bytes; allowed: 1000 bytes"):
        open_image(tmp_path / "large.png", max_bytes=1000)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animation_is_refused(kind):
    content = encoded(PHOTO, kind, save_all=True, append_images=[PHOTO.rotate(180)])
    with pytest.raises(ValueError, match="film: animated, 2 frames; allowed: 1"):
        decode_image(content, "film")


def test_second_picture_of_a_phone_photograph_is_left_aside():
    content = encoded(PHOTO, "MPO", save_all=True, append_images=[PHOTO.rotate(180)])
    assert decode_image(content, "photograph").tobytes() == decode_image(encoded(PHOTO, "JPEG"), "photograph").tobytes()


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere.png: cannot be read"):
        open_image(tmp_path / "nowhere.png")


def test_symbolic_link_is_refused(tmp_path):
    PHOTO.save(tmp_path / "real.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    with pytest.raises(ValueError, match="link.png: cannot be read"):
        open_image(tmp_path / "link.png")


def test_pipe_is_refused_and_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match="pipe.png: is a pipe"):
        open_image(tmp_path / "pipe.png")


def test_directory_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        open_image(tmp_path)


def test_transparency_becomes_white_paper():
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (10, 20, 30, 255))
    assert list(to_rgb(image).tobytes()) == [255, 255, 255, 10, 20, 30]


def test_sixteen_bit_greys_keep_their_upper_bits():
    image = Image.fromarray(np.array([[0, 256 * 128, 65535]] * 2, dtype=np.uint16))
    assert list(decode_image(encoded(image, "PNG"), "scan").tobytes()) == [0, 0, 0, 128, 128, 128, 255, 255, 255] * 2


CONTENTS = [encoded(PHOTO, "JPEG"), encoded(PHOTO, "PNG"), encoded(PHOTO, "WEBP"), encoded(PHOTO.convert("P"), "PNG")]


FLIPS = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=6)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(CONTENTS), FLIPS)
def test_flipped_bytes_end_in_a_picture_or_an_error_with_the_name(content, flips):
    damaged = bytearray(content)
    for place, value in flips:
        damaged[place % len(damaged)] = value
    assert outcome(bytes(damaged)).startswith(("RGB", "flipped: "))


@pytest.mark.parametrize("size", [(1, 5), (5, 1)])
def test_a_line_of_single_pixels_is_refused(size):
    file = io.BytesIO()
    Image.new("RGB", size).save(file, "PNG")
    with pytest.raises(ValueError, match=f"spacer: {size[0]} x {size[1]} px; allowed: sides of 2 to 65535 px"):
        decode_image(file.getvalue(), "spacer")


def png(*, depth, colour, row, key, palette=b""):
    """Return a PNG of 8 x 8 px with a transparent colour, as other writers than Pillow make them."""
    header = struct.pack(">IIBBBBB", 8, 8, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *([(b"PLTE", palette)] if palette else []), (b"tRNS", key), (b"IDAT", zlib.compress((b"\0" + row) * 8)),
              (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
                                        for name, data in chunks)


KEYED = {
    "RGB, 8 bits": {"depth": 8, "colour": 2, "row": bytes((0, 0, 0, 9, 9, 9)) * 4, "key": bytes(6)},
    "RGB, 16 bits": {"depth": 16, "colour": 2, "row": (bytes(6) + bytes((9, 0)) * 3) * 4, "key": bytes(6)},
    "grey, 16 bits": {"depth": 16, "colour": 0, "row": struct.pack(">HH", 0x1234, 9 << 8) * 4, "key": struct.pack(">H", 0x1234)},
    "grey, 8 bits": {"depth": 8, "colour": 0, "row": bytes((7, 9)) * 4, "key": struct.pack(">H", 7)},
    "grey, 4 bits": {"depth": 4, "colour": 0, "row": bytes((0x71,)) * 4, "key": struct.pack(">H", 7)},
    "grey, 2 bits": {"depth": 2, "colour": 0, "row": bytes((0b10011001,)) * 2, "key": struct.pack(">H", 2)},
    "grey, 1 bit": {"depth": 1, "colour": 0, "row": bytes((0b10101010,)), "key": struct.pack(">H", 1)},
    "palette": {"depth": 8, "colour": 3, "row": bytes((1, 0)) * 4, "key": bytes((255, 0)), "palette": bytes((9, 9, 9, 0, 0, 0))},
}


@pytest.mark.parametrize("kind", KEYED)
def test_a_transparent_colour_shows_white_and_no_other_does(kind):
    pixels = np.asarray(decode_image(png(**KEYED[kind]), kind))
    assert (pixels[:, 0::2] == 255).all()
    assert (pixels[:, 1::2] < 255).all()


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_rotation_is_applied_where_the_settings_say_so(turn):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = turn
    content = encoded(PHOTO, "PNG", exif=exif)
    assert decode_image(content, "photograph").tobytes() == PHOTO.tobytes()
    turned = decode_image(content, "photograph", orientation="exif")
    asked = Image.open(io.BytesIO(content))
    assert turned.tobytes() == ImageOps.exif_transpose(asked).tobytes()
    assert oriented(turned, "exif").tobytes() == turned.tobytes()
