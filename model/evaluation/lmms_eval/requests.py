"""Translate lmms-eval's requests: images in their places, and where an answer ends.

Imports neither lmms-eval nor torch.

- Answers are greedy. A task that asks for sampling or beams is refused, because its score would not be what it claims.
- lmms-eval passes texts and images separately. If the text has an `<image>` for each image, they go there, else before
  the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from model.images.decode import to_rgb
from model.samples import IMAGE

GREEDY: dict[str, tuple[object, ...]] = {
    "do_sample": (False, None),
    "num_beams": (1, None),
    "repetition_penalty": (1, None),
}
"""Settings of generation, and the values that mean greedy decoding; other values are refused."""
WITHOUT_EFFECT = ("top_p", "top_k", "image_aspect_ratio")
"""Settings without effect here: they affect sampling, or the input of another model."""
KNOWN = ("until", "max_new_tokens", "temperature", *GREEDY, *WITHOUT_EFFECT)


@dataclass(frozen=True, slots=True)
class Decoding:
    """Where an answer ends."""

    max_new_tokens: int
    until: tuple[str, ...] = ()
    """Strings; the answer ends before the first of them."""

    def cut(self, text: str) -> str:
        """Return the text before the first of the strings in `until`."""
        return text[: min([len(text), *(text.index(stop) for stop in self.until if stop in text)])]


def decoding(asked: Mapping[str, Any], *, longest: int, name: str) -> Decoding:
    """Read a task's `generation_kwargs`.

    Args:
        asked: the settings of the task.
        longest: the most tokens of an answer, if the task sets no limit.
        name: name of the request, for messages.

    Raises:
        ValueError: the settings do not mean greedy decoding, or are unknown here.
    """
    unknown = sorted(set(asked) - set(KNOWN))
    if unknown:
        raise ValueError(f"{name}: generation_kwargs {', '.join(unknown)}; allowed: {', '.join(KNOWN)}")
    # Like transformers: without do_sample a temperature has no effect, so `do_sample: false, temperature: 0.7` is
    # greedy.
    wrong = [f"{key}: {asked[key]!r}" for key, allowed in GREEDY.items() if asked.get(key) not in allowed]
    if "do_sample" not in asked and asked.get("temperature"):
        wrong.append(f"temperature: {asked['temperature']!r}")
    if wrong:
        raise ValueError(
            f"{name}: {', '.join(wrong)}; allowed: greedy decoding\n"
            "hint: --gen_kwargs do_sample=False,temperature=0 overrides the task, and its score is then of greedy answers"
        )
    stops = asked.get("until") or ()
    until = (stops,) if isinstance(stops, str) else tuple(stops)
    tokens = int(asked.get("max_new_tokens") or longest)
    if tokens < 1:
        raise ValueError(f"{name}: max_new_tokens {tokens}; allowed: >= 1")
    return Decoding(tokens, tuple(stop for stop in until if stop))


def pictures(visuals: Sequence[Any] | None, name: str) -> tuple[Image.Image, ...]:
    """Return the images of a request in RGB.

    Raises:
        ValueError: one of them is a video or a sound.
    """
    found = list(visuals or ())
    for each in found:
        if not isinstance(each, Image.Image):
            raise ValueError(
                f"{name}: a {type(each).__name__} among the images; allowed: images only, no video and no sound"
            )
    return tuple(to_rgb(each) for each in found)


def question(text: str, count: int, name: str) -> str:
    """Return the text with a marker for each image.

    Raises:
        ValueError: the text has its own markers, in another number.
    """
    markers = text.count(IMAGE)
    if markers == count:
        return text
    if markers:
        raise ValueError(f"{name}: {markers} {IMAGE} in the text, but {count} images")
    return IMAGE * count + text
