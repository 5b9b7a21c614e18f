"""What lmms-eval asks, in our words: images in their places, and how an answer ends. Knows nothing of lmms-eval, nor of torch.

- Answers are greedy. A task that asks for sampling or beams is refused: its score would be of something else than it
  says.
- lmms-eval hands texts and images over apart. Where the text has an `<image>` for each, they stand there, else before
  it.
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
"""Settings of generation that must have one of these values, because that is what greedy decoding does."""
WITHOUT_EFFECT = ("top_p", "top_k", "image_aspect_ratio")
"""Settings that change nothing here: they shape sampling, or the input of another model."""
KNOWN = ("until", "max_new_tokens", "temperature", *GREEDY, *WITHOUT_EFFECT)


@dataclass(frozen=True, slots=True)
class Decoding:
    """How an answer ends."""

    max_new_tokens: int
    until: tuple[str, ...] = ()
    """The answer ends before the first of these."""

    def cut(self, text: str) -> str:
        """Return the text up to the first stop."""
        return text[: min([len(text), *(text.index(stop) for stop in self.until if stop in text)])]


def decoding(asked: Mapping[str, Any], *, longest: int, name: str) -> Decoding:
    """Read a task's `generation_kwargs`.

    Args:
        asked: as the task gives them.
        longest: tokens of an answer, where the task does not say.
        name: of the request, for messages.

    Raises:
        ValueError: what is asked for is not greedy decoding, or has no meaning here.
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
        ValueError: one is a video or a sound.
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
        ValueError: the text has markers of its own, in another number.
    """
    markers = text.count(IMAGE)
    if markers == count:
        return text
    if markers:
        raise ValueError(f"{name}: {markers} {IMAGE} in the text, but {count} images")
    return IMAGE * count + text
