"""A whole model of another family as a frozen subject of evaluation: it answers by its own processor, beside our models.

- The checkpoint is one of transformers' image-text-to-text models, with its processor, published by `python -m model.weights --whole`.
- It is asked in the form of its own chat template; one without a template gets the question with its image markers in place.
- Answers are greedy, one item at a time: the processors of families pad differently, and an answer must not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForImageTextToText, AutoProcessor

from model.evaluation.generation import Answered
from model.samples import IMAGE, Item
from model.training.loop import Stopped

EVERY = 8
"""Items between two reports."""
MISSING = ("torchvision", "sentencepiece", "num2words")
"""Packages that processors of some families import."""


def open_whole(folder: Path) -> tuple[Any, Any]:
    """Return model and processor of a whole checkpoint, from its folder alone; no code of the checkpoint is run.

    Raises:
        ValueError: the family is not known, weights are missing, a package that its processor imports is missing, or a file cannot be read.
    """
    try:
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        model, loading = AutoModelForImageTextToText.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except ImportError as error:
        names = [name for name in MISSING if name in str(error)]
        raise ValueError(
            f"{folder}: the processor of this family needs {' and '.join(names) or 'a package'} that is not installed; "
            "allowed: families whose processor needs none, or an environment that has it"
        ) from error
    except (ValueError, OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise ValueError(
            f"{folder}: cannot be opened as an image-text-to-text model of transformers "
            f"({str(error).strip().splitlines()[0][:200]})"
        ) from error
    lacking = sorted(map(str, (*loading["missing_keys"], *loading["mismatched_keys"])))
    if lacking:  # transformers would go on with random numbers in their place
        raise ValueError(
            f"{folder}: {len(lacking)} weights are missing or of another shape, {lacking[0]} among them; allowed: a whole "
            "checkpoint"
        )
    if not hasattr(processor, "image_processor"):
        raise ValueError(
            f"{folder}: its processor ({type(processor).__name__}) takes no images; allowed: one of text and images"
        )
    return model.eval(), processor


@dataclass(frozen=True, slots=True)
class Subject:
    """A foreign model ready to answer."""

    model: Any
    processor: Any
    max_new_tokens: int
    report: Callable[[dict[str, Any]], None] = lambda _: None
    should_stop: Callable[[], bool] = lambda: False

    def answer(self, items: Iterator[Item], count: int) -> list[Answered]:
        """Answer items in their order.

        Args:
            items: opened one by one.
            count: how many there are, for progress.

        Raises:
            Stopped: asked to stop.
            ValueError: the processor refuses an item.
        """
        answered = []
        for number, item in enumerate(items):
            if number % EVERY == 0:
                if self.should_stop():
                    raise Stopped(f"stopped after {number} of {count} items")
                self.report({"step": number, "steps": count})
            answered.append(self._answered(item))
        self.report({"step": count, "steps": count})
        return answered

    @torch.inference_mode()
    def _answered(self, item: Item) -> Answered:
        try:
            inputs = self.processor(images=list(item.images) or None, text=self._prompt(item), return_tensors="pt").to(
                self.model.device
            )
        except (ValueError, TypeError, IndexError) as error:
            raise ValueError(
                f"{item.item_id}: refused by {type(self.processor).__name__}: {str(error).splitlines()[0]}"
            ) from error
        found = self.model.generate(**inputs, max_new_tokens=self.max_new_tokens, do_sample=False)
        new = found[0, inputs["input_ids"].shape[1] :]
        text = self.processor.decode(new, skip_special_tokens=True).strip()
        return Answered(replace(item, images=()), text, self._tokens_per_image(inputs["input_ids"], len(item.images)))

    def _prompt(self, item: Item) -> str:
        """Return worked examples and question with a place for each picture, in the family's own form."""
        turns = [
            *((("user", shot.question), ("assistant", shot.answer)) for shot in item.shots),
            (("user", item.question),),
        ]
        said = [part for turn in turns for part in turn]
        if getattr(self.processor, "chat_template", None):
            messages = [{"role": role, "content": _parts(text)} for role, text in said]
            return str(self.processor.apply_chat_template(messages, add_generation_prompt=True))
        marker = str(getattr(self.processor, "image_token", IMAGE))
        return "\n".join(text.replace(IMAGE, marker) for _, text in said)

    def _tokens_per_image(self, ids: torch.Tensor, num_images: int) -> float | None:
        marker = getattr(self.processor, "image_token_id", None)
        return int((ids == marker).sum()) / num_images if num_images and marker is not None else None


def _parts(text: str) -> list[dict[str, str]]:
    """Return a text with image markers as the parts of a message."""
    before, *rest = text.split(IMAGE)
    parts = [{"type": "text", "text": before}] if before else []
    for each in rest:
        parts += [{"type": "image"}, *([{"type": "text", "text": each}] if each else [])]
    return parts
