"""The processor: it turns texts and images into the model's inputs and is saved beside the weights.

- It makes the same sequences as training and evaluation.
- A text is a question with `<image>` where each image belongs; there must be as many markers as images. Special tokens
  that are written out in a text stay text, so a chat is encoded turn by turn and not by a template.
- Batches are padded on the left, for generation.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import BatchFeature, PreTrainedTokenizerFast, ProcessorMixin
from transformers.image_utils import load_image

from model.config.fields import build, to_plain
from model.config.stages import ImageConfig
from model.data.encoding import Encoded, Encoder
from model.images.video import open_video, uniform_frames
from model.samples import IMAGE, Turn

Message = dict[str, Any]
"""A message of a chat: `role` (user or assistant) and `content`, which is a text or a list of parts.

A part has the `type` text, image or video; a video is a list of frames or a folder of them.
"""
Picture = Any
"""A PIL image."""
PASSED = {"return_tensors", "padding"}
"""Options that callers of transformers usually pass. They have no effect: batches are always left-padded tensors."""


class MM15Processor(ProcessorMixin):
    """The processor: a tokenizer and one image setting.

    Args:
        tokenizer: a tokenizer with our special tokens.
        images: the fields of `ImageConfig`.
        max_tokens: largest number of tokens of a prompt.
    """

    valid_processor_kwargs = dict

    def __init__(self, tokenizer: PreTrainedTokenizerFast, images: dict[str, Any] | None = None,
                 max_tokens: int = 4096) -> None:
        super().__init__(tokenizer)
        # Plain values, since transformers saves the attributes as JSON.
        self.images = to_plain(build(ImageConfig, images or {}, "images"))
        self.max_tokens = max_tokens
        tokenizer.split_special_tokens = True
        self._encoder = Encoder(tokenizer, build(ImageConfig, self.images, "images"), max_tokens=max_tokens)

    def __call__(  # noqa: D417 (the first line mentions further keywords; pydoclint wants no starred arguments listed)
            self, images: Any = None, text: str | Sequence[str] | None = None, **kwargs: Any) -> BatchFeature:
        """Encode questions. The only further keywords are `return_tensors` ("pt") and `padding`.

        Args:
            images: one image, a list of images in the order of the markers, or a list for each text; PIL images, or
                paths and addresses that transformers can load.
            text: one question or several, with `<image>` where images belong.

        Raises:
            ValueError: markers and images differ in number, a prompt is too long, or an option is unknown.
        """
        unknown = sorted(kwargs.keys() - PASSED)
        if unknown or kwargs.get("return_tensors") not in (None, "pt"):
            raise ValueError(f"{unknown or kwargs['return_tensors']}: not an option; "
                             "allowed: return_tensors='pt', padding")
        if text is None:
            raise ValueError("no text; a question is needed, and `<image>` alone is one")
        texts = [text] if isinstance(text, str) else list(text)
        pairs = zip(texts, _shared_out(texts, images), strict=True)
        return self._batch([self._encoder.prompt((), each, pictures, f"text {number}")
                            for number, (each, pictures) in enumerate(pairs)])

    def apply_chat_template(self, conversation: Sequence[Message] | Sequence[Sequence[Message]], *,
                            tokenize: bool = True, return_dict: bool = True, add_generation_prompt: bool = True,
                            **kwargs: Any) -> Any:
        """Encode chats up to the beginning of the model's next answer.

        Raises:
            ValueError: the roles do not alternate, or an option is not supported.
        """
        options = {**kwargs, **(kwargs.pop("processor_kwargs", None) or {})}
        unknown = sorted(name for name, value in options.items() if name not in PASSED | {"processor_kwargs"} and value)
        if unknown or not (tokenize and return_dict and add_generation_prompt):
            raise ValueError("a chat is encoded as tensors, up to the next answer; "
                             f"not an option: {', '.join(unknown) or 'text'}")
        chats = [conversation] if isinstance(conversation[0], dict) else conversation
        return self._batch([self._chat(chat, f"chat {number}")  # type: ignore[arg-type]
                            for number, chat in enumerate(chats)])

    def _chat(self, chat: Sequence[Message], name: str) -> Encoded:
        roles = [message["role"] for message in chat]
        if roles != [("user", "assistant")[i % 2] for i in range(len(chat))] or len(chat) % 2 == 0:
            raise ValueError(f"{name}: roles are {', '.join(roles)}; allowed: user and assistant in turn, user last")
        contents = [_content(message["content"], name) for message in chat]
        turns = tuple(Turn(contents[i][0], contents[i + 1][0]) for i in range(0, len(chat) - 1, 2))
        pictures = tuple(picture for _, images in contents for picture in images)
        return self._encoder.prompt(turns, contents[-1][0], pictures, name)

    def _batch(self, encoded: list[Encoded]) -> BatchFeature:
        batch = self._encoder.collate(encoded, left=True)
        tensors = {"input_ids": batch.ids_BT, "attention_mask": batch.mask_BT.long()}
        return BatchFeature(tensors | ({"pixel_values": batch.tiles_NCXX} if len(batch.tiles_NCXX) else {}))

    @property
    def model_input_names(self) -> list[str]:
        """The names of the model's inputs."""
        return ["input_ids", "attention_mask", "pixel_values"]


def _shared_out(texts: list[str], images: Any) -> list[tuple[Picture, ...]]:
    """Return the images of each text: those listed for it, or the next of a common list, as many as it has markers."""
    given = [] if images is None else list(images) if isinstance(images, list | tuple) else [images]
    if any(isinstance(each, list | tuple) for each in given):
        if len(given) != len(texts):
            raise ValueError(f"{len(texts)} texts but {len(given)} lists of images")
        return [tuple(map(_picture, each)) for each in given]
    markers = [each.count(IMAGE) for each in texts]
    if sum(markers) != len(given):
        raise ValueError(f"{sum(markers)} image markers but {len(given)} images")
    pictures = iter(map(_picture, given))
    return [tuple(next(pictures) for _ in range(count)) for count in markers]


def _content(content: Any, name: str) -> tuple[str, list[Picture]]:
    """Return the text and the images of a message, with a marker in the text for each image."""
    if isinstance(content, str):
        return content, []
    text, pictures = "", []
    for part in content:
        if part["type"] == "text":
            text += part["text"]
        elif part["type"] == "image":
            text += IMAGE
            pictures.append(_picture(next(part[key] for key in ("image", "path", "url") if key in part)))
        elif part["type"] == "video":
            frames = _frames(part["video"])
            text += IMAGE * len(frames)
            pictures += frames
        else:
            raise ValueError(f"{name}: part of type {part['type']!r}; allowed: text, image, video")
    return text, pictures


def _frames(video: str | Path | Sequence[Picture]) -> tuple[Picture, ...]:
    """Return the frames to show of a video, which is a folder of frames or a list of them."""
    return open_video(Path(video)) if isinstance(video, str | Path) else uniform_frames(video)


def _picture(image: Any) -> Picture:
    """Return a decoded image as it is, and load a path or an address with transformers.

    The image setting decides later whether an EXIF rotation is applied.
    """
    return load_image(image) if isinstance(image, str) else image
