"""Texts and images to the model's inputs, saved beside its weights: the same sequences as in training and evaluation.

- A text is a question with `<image>` where each image belongs; markers and images must match in number. Special tokens written
  out in a text stay text, so a chat is laid out turn by turn and not by a template.
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
"""`role` (user or assistant) and `content`: a text, or parts of `type` text, image or video (frames, or a folder of them)."""
Picture = Any
"""A PIL image."""
PASSED = {"return_tensors", "padding"}
"""What callers of transformers hand over as a habit; tensors of torch, padded on the left, are all that there is."""


class MM15Processor(ProcessorMixin):
    """A tokenizer and one image setting."""

    valid_processor_kwargs = dict

    def __init__(self, tokenizer: PreTrainedTokenizerFast, images: dict[str, Any] | None = None, max_tokens: int = 4096) -> None:
        """Keep plain values, since they are saved.

        Args:
            tokenizer: with our special tokens.
            images: fields of `ImageConfig`.
            max_tokens: longest prompt.
        """
        super().__init__(tokenizer)
        self.images = to_plain(build(ImageConfig, images or {}, "images"))
        self.max_tokens = max_tokens
        tokenizer.split_special_tokens = True
        self._encoder = Encoder(tokenizer, build(ImageConfig, self.images, "images"), max_tokens=max_tokens)

    def __call__(  # noqa: D417 (said in the first line; pydoclint wants no starred arguments in the list)
            self, images: Any = None, text: str | Sequence[str] | None = None, **kwargs: Any) -> BatchFeature:
        """Encode questions; further keywords are `return_tensors` ("pt") and `padding`, and nothing else.

        Args:
            images: one image, those of one text, or a list for each text; PIL images or what transformers can load.
            text: one question or several, with `<image>` where images belong.

        Raises:
            ValueError: markers and images differ in number, a prompt is too long, or an option is not known.
        """
        unknown = sorted(kwargs.keys() - PASSED)
        if unknown or kwargs.get("return_tensors") not in (None, "pt"):
            raise ValueError(f"{unknown or kwargs['return_tensors']}: not an option; allowed: return_tensors='pt', padding")
        if text is None:
            raise ValueError("no text; a question is needed, `<image>` alone is one")
        texts = [text] if isinstance(text, str) else list(text)
        return self._batch([self._encoder.prompt((), each, pictures, f"text {number}")
                            for number, (each, pictures) in enumerate(zip(texts, _shared_out(texts, images), strict=True))])

    def apply_chat_template(self, conversation: Sequence[Message] | Sequence[Sequence[Message]], *, tokenize: bool = True,
                            return_dict: bool = True, add_generation_prompt: bool = True, **kwargs: Any) -> Any:
        """Encode chats up to where the model's next answer begins.

        Raises:
            ValueError: turns that do not alternate, or an option that cannot be met.
        """
        options = {**kwargs, **(kwargs.pop("processor_kwargs", None) or {})}
        asked = sorted(name for name, value in options.items() if name not in PASSED | {"processor_kwargs"} and value)
        if asked or not (tokenize and return_dict and add_generation_prompt):
            raise ValueError(f"a chat is encoded as tensors, up to the next answer; not an option: {', '.join(asked) or 'text'}")
        chats = [conversation] if isinstance(conversation[0], dict) else conversation
        return self._batch([self._chat(chat, f"chat {number}") for number, chat in enumerate(chats)])  # type: ignore[arg-type]

    def _chat(self, chat: Sequence[Message], name: str) -> Encoded:
        roles = [message["role"] for message in chat]
        if roles != [("user", "assistant")[i % 2] for i in range(len(chat))] or len(chat) % 2 == 0:
            raise ValueError(f"{name}: roles are {', '.join(roles)}; allowed: user and assistant in turn, user last")
        contents = [_content(message["content"], name) for message in chat]
        turns = tuple(Turn(contents[i][0], contents[i + 1][0]) for i in range(0, len(chat) - 1, 2))
        pictures = tuple(picture for _, found in contents for picture in found)
        return self._encoder.prompt(turns, contents[-1][0], pictures, name)

    def _batch(self, encoded: list[Encoded]) -> BatchFeature:
        batch = self._encoder.collate(encoded, left=True)
        tensors = {"input_ids": batch.ids_BT, "attention_mask": batch.mask_BT.long()}
        return BatchFeature(tensors | ({"pixel_values": batch.tiles_NCXX} if len(batch.tiles_NCXX) else {}))

    @property
    def model_input_names(self) -> list[str]:
        """What the model is called with."""
        return ["input_ids", "attention_mask", "pixel_values"]


def _shared_out(texts: list[str], images: Any) -> list[tuple[Picture, ...]]:
    """Return the images of each text: as they were given for each, or in order, as many as it has markers."""
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
    """Return text and images of a message; each image leaves its marker in the text."""
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
    """Return the frames that are shown of a video: a folder of frames, or the frames themselves."""
    return open_video(Path(video)) if isinstance(video, str | Path) else uniform_frames(video)


def _picture(image: Any) -> Picture:
    """Return a decoded image as it is: the image settings say whether it is turned. A path or an address is transformers' to load."""
    return load_image(image) if isinstance(image, str) else image
