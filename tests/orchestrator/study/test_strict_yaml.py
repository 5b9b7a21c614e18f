import contextlib
import os
import string
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import StudyError
from orchestrator.study.strict_yaml import MAX_BYTES, dump, load, parse

BOMB = "a: &a [1, 1]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9))

REFUSED = {
    "alias": ("a: 1\nb: *x", 2, "aliases"),
    "anchor": ("a: &x 1", 1, "anchors"),
    "alias bomb": (BOMB, 1, "anchors"),
    "duplicate key": ("a: 1\nb: {c: 1, c: 2}", 2, "b.c: the key is here twice, first in line 2"),
    "duplicate key in another spelling": ("a: 1\n'a': 2", 2, "twice"),
    "integer key": ("1: 2", 1, "not text"),
    "boolean key": ("true: 2", 1, "not text"),
    "null key": ("~: 2", 1, "not text"),
    "list as key": ("? [1]\n: 2", 1, "allowed: text"),
    "mapping as key": ("{a: 1}: 2", 1, "allowed: text"),
    "merge key": ("a: {<<: {b: 1}}", 1, "merging"),
    "python tag": ("a: !!python/object/apply:os.system [ls]", 1, "tags"),
    "binary tag": ("a: !!binary eA==", 1, "tags"),
    "set tag": ("a: !!set {b}", 1, "tags"),
    "float tag": ("a: !!float 1:30", 1, "tags"),
    "bool tag": ("a: !!bool no", 1, "tags"),
    "text tag": ("a: !!str 1", 1, "tags"),
    "private tag": ("a: !mine 1", 1, "tags"),
    "non-specific tag": ("a: ! 1", 1, "tags"),
    "second document": ("a: 1\n---\nb: 2", 2, "second document"),
    "directive": ("%YAML 1.1\n---\na: 1", 1, "directives"),
    "leading zero": ("a: 010", 1, "leading zero"),
    "not a number": ("a: .nan", 1, "finite"),
    "infinity": ("a: [1, -.inf]", 1, "a[1]: -.inf"),
    "too large a float": ("a: 1e999", 1, "too large"),
    "a huge integer": ("a: " + "9" * 5000, 1, "5000 characters"),
    "2,000 brackets": ("a: " + "[" * 2000, 1, "nested deeper than 20"),
    "2,000 braces": ("{a: " * 2000, 1, "nested deeper than 20"),
    "too many values": ("a: [" + "1, " * 30000 + "]", 1, "more than 20000"),
    "empty": ("", 1, "empty"),
    "only a comment": ("# nothing\n", 2, "empty"),
    "a list": ("- 1", 1, "not a mapping"),
    "a scalar": ("1", 1, "not a mapping"),
    "unclosed list": ("a: [1", 2, "not YAML"),
    "tab": ("a:\n\t- 1", 2, "not YAML"),
    "half a surrogate pair": ('a: "\\ud800"', 1, ""),
    "control character": ("a: \x01", 0, ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_with_its_line(name: str) -> None:
    text, line, words = REFUSED[name]
    with pytest.raises(StudyError) as caught:
        parse(text.encode(), "file.yaml")
    assert words in caught.value.message
    assert caught.value.line == line
    assert str(caught.value).startswith("file.yaml")


def test_bytes_that_are_not_utf8_are_refused_with_their_line() -> None:
    with pytest.raises(StudyError, match=r"f:2: byte 5 is not UTF-8"):
        parse(b"a: 1\n\xff: 2", "f")


def test_file_of_more_than_the_limit_is_refused() -> None:
    with pytest.raises(StudyError, match="larger than 256 KiB"):
        parse(b"a: '" + b"x" * MAX_BYTES + b"'", "f")


@pytest.mark.parametrize(("text", "value"), [
    ("1e-5", 1e-5), ("2E+3", 2000.0), ("-0.5", -0.5), (".5", 0.5), ("1.", 1.0), ("+7", 7), ("0x1F", 31), ("0", 0),
    ("0.1", 0.1), ("no", "no"), ("yes", "yes"), ("on", "on"), ("off", "off"), ("1:30", "1:30"), ("1_000", "1_000"),
    ("2024-11-29", "2024-11-29"), ("True", True), ("FALSE", False), ("~", None), ("null", None), ("", None),
    ("'1'", "1"), ('"true"', "true"), ("''", ""), ("0o17", "0o17"), ("= ", "="), ("[a, [b]]", ["a", ["b"]]), ("{}", {}),
])
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    found = parse(f"a: {text}".encode(), "f").values["a"]
    assert found == value
    assert type(found) is type(value)


def test_every_value_knows_its_line_and_column() -> None:
    document = parse(b"a: 1\nb:\n  c.d: [x,\n    y]\n", "f")
    assert document.lines[("a",)] == (1, 1)
    assert document.lines[("b", "c.d")] == (3, 3)
    assert document.lines[("b", "c.d", 1)] == (4, 5)


def test_error_points_to_the_nearest_ancestor_in_the_file() -> None:
    error = parse(b"a: 1\nb: {c: 2}\n", "f").error(("b", "missing", "deep"), "is missing")
    assert str(error) == "f:2:1: b.missing.deep: is missing"


def test_byte_order_mark_is_skipped() -> None:
    assert parse(b"\xef\xbb\xbfa: 1", "f").values == {"a": 1}


def test_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(StudyError, match="not a regular file"):
        load(tmp_path / "pipe.yaml")


def test_missing_file_is_a_study_error(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="No such file"):
        load(tmp_path / "none.yaml")


def test_name_with_a_zero_byte_is_a_study_error() -> None:
    with pytest.raises(StudyError, match="cannot be read"):
        load(Path("a\0b.yaml"))


def test_large_hostile_files_are_refused_within_a_second() -> None:
    texts = ["- " * 120_000, "a: [" + "{" * 200_000, "".join(f"k{i}: {i}\n" for i in range(25_000)), '"' * 260_000, "? " * 120_000]
    start = time.process_time()
    for text in texts:
        with pytest.raises(StudyError):
            parse(text.encode(), "f")
    assert time.process_time() - start < 5


def _only_a_study_error(data: bytes) -> None:
    with contextlib.suppress(StudyError):
        assert isinstance(parse(data, "f").values, dict)


@given(st.binary(max_size=300))
def test_any_bytes_give_values_or_a_study_error(data: bytes) -> None:
    _only_a_study_error(data)


@given(st.text(alphabet="ab01:-,.[]{}&*!#|>'\"%@`?<~ \n\te\\xuU" + string.digits, max_size=200))
def test_any_yaml_like_text_gives_values_or_a_study_error(text: str) -> None:
    _only_a_study_error(text.encode())


UNREADABLE = "\x7f\x85\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
"""Control characters, and those that turn the writing direction: no study may hold them."""
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-10**9, 10**9) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_characters=UNREADABLE), max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(string.ascii_lowercase, min_size=1), inner, max_size=4),
    max_leaves=12)


@pytest.mark.parametrize("text", ["1e-5", "010", "0x1F", "no", "~", "1:30", ".nan", "- a", "#", "a: b", "", " "])
def test_text_that_looks_like_something_else_is_read_back(text: str) -> None:
    assert parse(dump({"a": [text]}).encode(), "f").values == {"a": [text]}


@given(st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=5), PLAIN, min_size=1, max_size=5))
def test_what_is_dumped_is_read_back(plain: dict[str, object]) -> None:
    assert parse(dump(plain).encode(), "f").values == plain
