"""Convert a record to a sample, by its layout. Torch-free.

- `llava`: `{"image": name or names, "conversations": [{"from": "human", "value": ...}, {"from": "gpt", ...}]}`, also
  `messages`.
- `cauldron`: `{"images": [...], "texts": [{"user": ..., "assistant": ...}]}`; the images come before the first
  question.
- `caption`: an image and its text. `interleaved`: `texts` and `images` of equal length, with None where the other list
  has the item.
- `text`: an instruction and its answer, in any of the field names that public data sets use; or a conversation without
  images.
- A record that does not match its layout raises `ValueError`; the caller adds file and index.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from model.config.catalogue import BoxForm
from model.data.sources.boxes import convert
from model.images.decode import MAX_PIXELS
from model.plugins import LAYOUTS, planned
from model.samples import FILMS, IMAGE, Sample, Turn

OpenImage = Callable[[Any], Image.Image]
"""Opens the image to which a record refers by a name, a URL, or bytes."""
MAX_IMAGES = 64
"""The most images of one sample: a document with thousands would exhaust its worker's memory."""

MAX_SAMPLE_PIXELS = 4 * MAX_PIXELS
"""The most pixels of all images of a sample together."""

_OTHER_MEDIA = ("video", "videos", "audio", "audios", "sound", "speech")
"""Fields of media that are not images. A record with one of them describes it, so it must not pass as text."""
_OTHER_MARKERS = ("<video>", "<audio>")
_QUESTIONS, _ANSWERS = {"human", "user"}, {"gpt", "assistant"}
_CAPTIONS = ("caption", "text", "txt")
_INSTRUCTIONS = (("instruction", "context", "response"), ("instruction", "input", "output"), ("system_prompt", "question", "response"),
                 ("instruction", None, "output"), ("question", None, "answer"), ("prompt", None, "completion"),
                 ("query", None, "answer"), ("query", None, "response"))
"""First part of the question, its second part if there is one, and the answer."""


@dataclass(frozen=True, slots=True)
class RecordFormat:
    """How the records of a source are read."""

    layout: str
    category: str
    boxes: BoxForm
    open_image: OpenImage
    layout_version: int = 0
    """Of a layout that a package brings; 0 for our own."""


def sample_of(record: Mapping[str, Any], sample_id: str, reading: RecordFormat, *, source: str = "") -> Sample:
    """Return the sample that a record describes.

    Args:
        record: plain values as in JSON; images are names, URLs, bytes or `{"bytes", "path"}`.
        sample_id: the name of the sample in messages.
        reading: layout, category, unit of boxes, and how images are opened.
        source: the data set of the sample.

    Raises:
        ValueError: the record does not match the layout, or an image cannot be opened.
    """
    _check_media(record)
    turns, references = _by_plugin(record, reading) if reading.layout_version else _LAYOUTS[reading.layout](record)
    if not turns:
        raise ValueError("contains no question with an answer")
    if reading.layout != "text":
        _check_markers(turns)
    if len(references) > MAX_IMAGES:
        raise ValueError(f"contains {len(references)} images; allowed: {MAX_IMAGES}")
    images = tuple(reading.open_image(reference) for reference in references)
    num_pixels = sum(image.width * image.height for image in images)
    if num_pixels > MAX_SAMPLE_PIXELS:
        raise ValueError(f"its images have {num_pixels} pixels together; allowed: {MAX_SAMPLE_PIXELS}")
    size = images[0].size if len(images) == 1 else None
    turns = tuple(
        Turn(convert(turn.question, reading.boxes, size), convert(turn.answer, reading.boxes, size)) for turn in turns
    )
    return Sample(sample_id=sample_id, category=reading.category, turns=turns, images=images, source=source)


def _check_media(record: Mapping[str, Any]) -> None:
    for name in _OTHER_MEDIA:
        if record.get(name) not in (None, "", [], {}):
            raise ValueError(
                f"contains {name}: {str(record[name])[:40]!r}; allowed: images and text (a film as its frames)"
            )
    images = record.get("image", record.get("images"))
    for image in images if isinstance(images, list | tuple) else [images]:
        if isinstance(image, str) and image.rpartition(".")[2].lower() in FILMS:
            raise ValueError(f"image {image!r} is a film; allowed: images (a film as a list of its frames)")


def _check_markers(turns: tuple[Turn, ...]) -> None:
    """Refuse a question that begins or ends with the marker of a film, as public data sets write it."""
    for turn in turns:
        for marker in _OTHER_MARKERS:
            if turn.question.strip().startswith(marker) or turn.question.strip().endswith(marker):
                raise ValueError(
                    f"a question contains {marker}, {turn.question[:40]!r}; allowed: {IMAGE}, once for each image"
                )


Parts = tuple[tuple[Turn, ...], list[Any]]


def _by_plugin(record: Mapping[str, Any], reading: RecordFormat) -> Parts:
    """Return turns and images as a package's layout reads them."""
    found = planned(LAYOUTS, reading.layout, reading.layout_version).call(dict(record))
    turns = found.get("turns") if isinstance(found, Mapping) else None
    if not isinstance(turns, list) or not all(isinstance(each, list | tuple) and len(each) == 2 for each in turns):
        raise ValueError(f"the layout {reading.layout!r} returned {str(found)[:60]!r}; allowed: a mapping with `turns`, a list of "
                         "[question, answer], and `images`")
    return tuple(_turn(str(question), str(answer)) for question, answer in turns), list(found.get("images", ()))


def _llava(record: Mapping[str, Any]) -> Parts:
    references = record.get("image", record.get("images"))
    found = [] if references is None else list(references) if isinstance(references, list | tuple) else [references]
    return tuple(_paired(_messages(record))), found


def _messages(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    messages = record.get("conversations", record.get("messages"))
    if not isinstance(messages, Sequence) or isinstance(messages, str):
        raise ValueError(f"has no list `conversations` or `messages`; its fields: {', '.join(record)}")
    found = []
    for message in messages:
        if not isinstance(message, Mapping):
            raise ValueError(f"message {str(message)[:40]!r} is not a mapping")
        found.append((_text(message, "from", "role"), _text(message, "value", "content")))
    return found


def _paired(messages: list[tuple[str, str]]) -> list[Turn]:
    """Pair questions with answers. A system text at the start is put before the first question."""
    system = ""
    if messages and messages[0][0] == "system":
        system, messages = messages[0][1] + "\n", messages[1:]
    if len(messages) % 2:
        raise ValueError(f"{len(messages)} messages; allowed: as many answers as questions")
    turns = []
    for (asker, question), (answerer, answer) in zip(messages[::2], messages[1::2], strict=True):
        if asker not in _QUESTIONS or answerer not in _ANSWERS:
            raise ValueError(f"{asker!r} is followed by {answerer!r}; allowed: human or user, then gpt or assistant")
        turns.append(_turn(system + question, answer))
        system = ""
    return turns


def _turn(question: str, answer: str) -> Turn:
    """Return a turn without the line breaks that LLaVA puts around an image marker."""
    if IMAGE in answer:
        raise ValueError(f"an answer contains {IMAGE}; allowed: in questions only")
    if not answer.strip():
        raise ValueError("an answer is empty")
    return Turn(question.replace(f"{IMAGE}\n", IMAGE).replace(f"\n{IMAGE}", IMAGE).strip(), answer.strip())


def _cauldron(record: Mapping[str, Any]) -> Parts:
    images, texts = record.get("images"), record.get("texts")
    if not isinstance(images, list) or not isinstance(texts, list):
        raise ValueError(f"has no lists `images` and `texts`; its fields: {', '.join(record)}")
    turns = [_turn(_text(text, "user"), _text(text, "assistant")) for text in texts]
    if any(IMAGE in turn.question for turn in turns):
        raise ValueError(f"a question contains {IMAGE}; in this layout the images come before the first question")
    return (_before(turns, len(images)), images) if turns else ((), images)


def _before(turns: list[Turn], num_images: int) -> tuple[Turn, ...]:
    return (Turn(IMAGE * num_images + turns[0].question, turns[0].answer), *turns[1:])


def _caption(record: Mapping[str, Any]) -> Parts:
    image = record.get("image")
    if image is None:
        raise ValueError(f"has no `image`; its fields: {', '.join(record)}")
    return (Turn(IMAGE, _text(record, *_CAPTIONS).strip()),), [image]


def _interleaved(record: Mapping[str, Any]) -> Parts:
    """Return text and images in their order. Each text is the answer to the images before it, so all text has loss."""
    texts, images = record.get("texts"), record.get("images")
    if not isinstance(texts, list) or not isinstance(images, list) or len(texts) != len(images):
        raise ValueError("has no lists `texts` and `images` of equal length")
    turns: list[Turn] = []
    references, waiting = [], 0
    for place, (text, image) in enumerate(zip(texts, images, strict=True)):
        if (text is None) == (image is None):
            raise ValueError(
                f"item {place} has {'neither text nor image' if text is None else 'both text and image'}; allowed: one"
            )
        if image is not None:
            references.append(image)
            waiting += 1
            continue
        if not isinstance(text, str):
            raise ValueError(f"item {place} is {str(text)[:40]!r}; allowed: text")
        turns.append(_document_turn(text, waiting))
        waiting = 0
    if waiting:
        raise ValueError(f"ends with {waiting} images without a text after them; allowed: text after every image")
    return tuple(turns), references


def _document_turn(text: str, num_images: int) -> Turn:
    if not text.strip() or IMAGE in text:
        raise ValueError(f"a text is empty or contains {IMAGE}")
    return Turn(IMAGE * num_images, text.strip())


def _instruction(record: Mapping[str, Any]) -> Parts:
    if "conversations" in record or "messages" in record:
        return tuple(_paired(_messages(record))), []
    for first, second, answer in _INSTRUCTIONS:
        if first in record and answer in record and (second is None or second in record):
            parts = [_text(record, name, may_be_empty=True) for name in (first, second) if name is not None]
            question = "\n".join(part.strip() for part in parts if part.strip())
            if not question:
                raise ValueError("a question is empty")
            return (_turn(question, _text(record, answer)),), []
    if set(record) >= {"text"}:
        return (Turn("", _text(record, "text").strip()),), []
    raise ValueError(f"has none of the known fields of an instruction; its fields: {', '.join(record)}")


def _text(record: Any, *names: str, may_be_empty: bool = False) -> str:
    """Return the first of these fields that exists; it must be text."""
    for name in names:
        if isinstance(record, Mapping) and name in record:
            value = record[name]
            if value is None and may_be_empty:
                return ""
            if not isinstance(value, str) or not (value.strip() or may_be_empty):
                raise ValueError(f"{name} is {str(value)[:40]!r}; allowed: text that is not empty")
            return value
    found = ", ".join(map(str, record)) if isinstance(record, Mapping) else type(record).__name__
    raise ValueError(f"has no {' or '.join(names)}; its fields: {found}")


_LAYOUTS: dict[str, Callable[[Mapping[str, Any]], Parts]] = {
    "llava": _llava, "cauldron": _cauldron, "caption": _caption, "interleaved": _interleaved, "text": _instruction,
}
