"""Samples to token sequences: images expand to their tokens, answers carry the loss, batches are padded.

- A turn is `<user> question <assistant> answer <eos>`; an empty question leaves out both markers (plain text).
- Image positions are whole: a sequence longer than allowed is an error with both numbers, never cut.
- Training pads right, generation pads left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import PreTrainedTokenizerFast

from model.config import ImageConfig
from model.data.samples import IMAGE, Item, Sample, Turn
from model.images.layout import Piece, pieces
from model.images.tiling import tiles
from model.mm15 import IGNORED, Batch

BOS, EOS, USER, ASSISTANT, IMAGE_TOKEN, ROW, PAD = "<bos>", "<eos>", "<user>", "<assistant>", "<image>", "<n>", "<pad>"


@dataclass(frozen=True, slots=True)
class Encoded:
    """One sequence: ids, labels shifted onto the predicting position, uint8 tiles (N, 3, tile, tile)."""

    ids: list[int]
    labels: list[int]
    tiles: NDArray[np.uint8]
    source: str = ""
    """What the sample comes from, for the tally: its data set, or its category."""
    replaces: tuple[str, ...] = ()
    """Broken samples that it stands in for."""

    @property
    def num_supervised(self) -> int:
        """Tokens that carry loss."""
        return sum(label != IGNORED for label in self.labels)


class Encoder:
    """Turns samples and items into sequences, for one tokenizer and one image setting."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, images: ImageConfig, *, max_tokens: int) -> None:
        self.tokenizer, self.images, self.max_tokens = tokenizer, images, max_tokens
        own = {BOS: tokenizer.bos_token, EOS: tokenizer.eos_token, PAD: tokenizer.pad_token}
        vocabulary = tokenizer.get_vocab()
        names = {token: own.get(token, token) for token in (BOS, EOS, USER, ASSISTANT, IMAGE_TOKEN, ROW, PAD)}
        missing = sorted(token for token, name in names.items() if name not in vocabulary)
        if missing:
            raise ValueError(f"the tokenizer has no {', '.join(missing)}; `python -m model.weights` adds them")
        self.id: dict[str, int] = {token: vocabulary[name] for token, name in names.items()}

    def sample(self, sample: Sample) -> Encoded:
        """Encode a training sample.

        Raises:
            ValueError: the sequence is longer than `max_tokens`.
        """
        builder = _Builder(self, sample.images)
        for turn in sample.turns:
            if turn.question:
                builder.prompt(turn.question)
            builder.answer(turn.answer)
        return replace(self._finish(builder, sample.sample_id), source=sample.source or sample.category, replaces=sample.replaces)

    def item(self, item: Item) -> Encoded:
        """Encode the prompt of an evaluation item, up to where the answer begins."""
        return self.prompt((), item.question, item.images, item.item_id)

    def prompt(self, turns: Sequence[Turn], question: str, images: tuple[Image.Image, ...], name: str) -> Encoded:
        """Encode a conversation up to where the next answer begins.

        Raises:
            ValueError: images and their markers differ in number, or the sequence is longer than `max_tokens`.
        """
        markers = question.count(IMAGE) + sum(turn.question.count(IMAGE) for turn in turns)
        if markers != len(images):
            raise ValueError(f"{name}: {markers} image markers but {len(images)} images")
        builder = _Builder(self, images)
        for turn in turns:
            if turn.question:
                builder.prompt(turn.question)
            builder.answer(turn.answer)
        builder.prompt(question)
        return self._finish(builder, name)

    def text_ids(self, text: str) -> list[int]:
        """Return the ids of plain text."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _finish(self, builder: _Builder, name: str) -> Encoded:
        if len(builder.ids) > self.max_tokens:
            raise ValueError(f"{name}: {len(builder.ids)} tokens; allowed: {self.max_tokens} (max_tokens)")
        side = self.images.tile
        stacked = np.concatenate(builder.tiles) if builder.tiles else np.zeros((0, 3, side, side), dtype=np.uint8)
        labels = [*builder.targets[1:], IGNORED]
        return Encoded(builder.ids, labels, stacked)

    def collate(self, encoded: Sequence[Encoded], *, left: bool = False) -> Batch:
        """Pad sequences to the longest, on the right for training, on the left for generation."""
        longest = max(len(each.ids) for each in encoded)
        ids = torch.full((len(encoded), longest), self.id[PAD], dtype=torch.long)
        labels = torch.full_like(ids, IGNORED)
        mask = torch.zeros_like(ids, dtype=torch.bool)
        for row, each in enumerate(encoded):
            span = slice(longest - len(each.ids), longest) if left else slice(0, len(each.ids))
            ids[row, span], labels[row, span] = torch.tensor(each.ids), torch.tensor(each.labels)
            mask[row, span] = True
        stacked = torch.from_numpy(np.concatenate([each.tiles for each in encoded]))
        return Batch(ids, labels, mask, stacked, self.id[IMAGE_TOKEN])


class _Builder:
    """Grows one sequence; `targets` are the ids that carry loss, IGNORED elsewhere."""

    def __init__(self, encoder: Encoder, images: tuple[Image.Image, ...]) -> None:
        self.encoder, self.images, self.next_image = encoder, images, 0
        self.ids, self.targets = [encoder.id[BOS]], [IGNORED]
        self.tiles: list[NDArray[np.uint8]] = []

    def prompt(self, question: str) -> None:
        self._add([self.encoder.id[USER]])
        before, *rest = question.split(IMAGE)
        self._add(self.encoder.text_ids(before))
        for text in rest:
            self._image()
            self._add(self.encoder.text_ids(text))
        self._add([self.encoder.id[ASSISTANT]])

    def answer(self, answer: str) -> None:
        ids = [*self.encoder.text_ids(answer), self.encoder.id[EOS]]
        self.ids += ids
        self.targets += ids

    def _image(self) -> None:
        encoder = self.encoder
        tiling = tiles(self.images[self.next_image], encoder.images, num_images=len(self.images))
        self.tiles.append(tiling.tiles)
        for piece in pieces(tiling, encoder.images, image_number=self.next_image):
            self._add(self._piece_ids(piece))
        self.next_image += 1

    def _piece_ids(self, piece: Piece) -> list[int]:
        if isinstance(piece, int):
            return [self.encoder.id[IMAGE_TOKEN]] * self.encoder.images.tokens
        return [self.encoder.id[ROW]] if piece == ROW else self.encoder.text_ids(piece)

    def _add(self, ids: list[int]) -> None:
        self.ids += ids
        self.targets += [IGNORED] * len(ids)
