"""Encode samples as token sequences: images become their tokens, answers carry the loss, batches are padded.

- A turn is `<user> question <assistant> answer <eos>`. An empty question omits both markers (plain text).
- An image is never cut: a sequence that is too long is an error with both numbers.
- Training pads on the right, generation on the left. `rows` packs several samples into a row, each with its own
  positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import PreTrainedTokenizerFast

from model.config.stages import ImageConfig
from model.images.placement import Piece, pieces
from model.images.tiling import tiles
from model.network.mm15 import IGNORED, Batch
from model.samples import IMAGE, Item, Replaced, Sample, Turn, check_text

BOS, EOS, USER, ASSISTANT, IMAGE_TOKEN, ROW, PAD = "<bos>", "<eos>", "<user>", "<assistant>", "<image>", "<n>", "<pad>"


@dataclass(frozen=True, slots=True)
class Encoded:
    """One sequence: token ids, labels shifted to the position that predicts them, uint8 tiles (N, 3, tile, tile)."""

    ids: list[int]
    labels: list[int]
    tiles: NDArray[np.uint8]
    name: str = ""
    """Name of the sample or item."""
    images: int = 0
    """Number of images, before splitting."""
    source: str = ""
    """The sample's data set or category, for the tally."""
    replaces: tuple[Replaced, ...] = ()
    """Broken samples that this one replaces."""

    @property
    def num_tiles(self) -> int:
        """Number of encoder images."""
        return len(self.tiles)

    @property
    def num_supervised(self) -> int:
        """Tokens that contribute to the loss."""
        return sum(label != IGNORED for label in self.labels)


class Encoder:
    """Encodes samples and items as sequences, for one tokenizer and one image setting."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, images: ImageConfig, *, max_tokens: int) -> None:
        self.tokenizer, self.images, self.max_tokens = tokenizer, images, max_tokens
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
        own = {BOS: tokenizer.bos_token, EOS: tokenizer.eos_token, PAD: tokenizer.pad_token}
        vocabulary = tokenizer.get_vocab()
        names = {token: own.get(token, token) for token in (BOS, EOS, USER, ASSISTANT, IMAGE_TOKEN, ROW, PAD)}
        missing = sorted(token for token, name in names.items() if name not in vocabulary)
        if missing:
            raise ValueError(f"the tokenizer has no {', '.join(missing)}; `python -m model.weights` adds them")
        self.id: dict[str, int] = {token: vocabulary[name] for token, name in names.items()}

    def with_images(self, images: ImageConfig) -> Encoder:
        """Return an encoder with the same tokenizer for another image setting."""
        return Encoder(self.tokenizer, images, max_tokens=self.max_tokens)

    def sample(self, sample: Sample) -> Encoded:
        """Encode a training sample.

        Raises:
            ValueError: the sequence is longer than `max_tokens`.
        """
        builder = _SequenceBuilder(self, sample.images)
        for turn in sample.turns:
            if turn.question:
                builder.prompt(turn.question)
            builder.answer(turn.answer)
        return replace(
            self._finish(builder, sample.sample_id), source=sample.source or sample.category, replaces=sample.replaces
        )

    def item(self, item: Item) -> Encoded:
        """Encode an evaluation item's worked examples and prompt, up to where the answer begins."""
        return self.prompt(item.shots, item.question, item.images, item.item_id)

    def prompt(self, turns: Sequence[Turn], question: str, images: tuple[Image.Image, ...], name: str) -> Encoded:
        """Encode a conversation up to where the next answer begins.

        Raises:
            ValueError: the numbers of images and of markers differ, or the sequence is longer than `max_tokens`.
        """
        markers = question.count(IMAGE) + sum(turn.question.count(IMAGE) for turn in turns)
        if markers != len(images):
            raise ValueError(f"{name}: {markers} image markers but {len(images)} images")
        try:
            check_text(question)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        builder = _SequenceBuilder(self, images)
        for turn in turns:
            if turn.question:
                builder.prompt(turn.question)
            builder.answer(turn.answer)
        builder.prompt(question)
        return self._finish(builder, name)

    def text_ids(self, text: str) -> list[int]:
        """Return the ids of plain text.

        They equal those of the tokenizer's own `encode`, in a third of its time, which is half of a sample's cost.
        """
        backend = self.tokenizer.backend_tokenizer
        backend.encode_special_tokens = True  # a copy in another process loses this setting
        ids: list[int] = backend.encode(text, add_special_tokens=False).ids
        return ids

    def _finish(self, builder: _SequenceBuilder, name: str) -> Encoded:
        if len(builder.ids) > self.max_tokens:
            raise ValueError(
                f"{name}: {len(builder.ids)} tokens; allowed: {self.max_tokens} (max_tokens){builder.cut(self.max_tokens)}"
            )
        if builder.next_image != len(builder.images):
            raise ValueError(f"{name}: {builder.next_image} image markers but {len(builder.images)} images")
        side = self.images.tile
        stacked = np.concatenate(builder.tiles) if builder.tiles else np.zeros((0, 3, side, side), dtype=np.uint8)
        labels = [*builder.targets[1:], IGNORED]
        return Encoded(builder.ids, labels, stacked, name, len(builder.images))

    def collate(self, encoded: Sequence[Encoded], *, left: bool = False, length: int = 0) -> Batch:
        """Pad sequences to the longest one or to a length: on the right for training, on the left for generation."""
        longest = max(length, *(len(each.ids) for each in encoded))
        ids = torch.full((len(encoded), longest), self.id[PAD], dtype=torch.long)
        labels = torch.full_like(ids, IGNORED)
        mask = torch.zeros_like(ids, dtype=torch.bool)
        for row, each in enumerate(encoded):
            span = slice(longest - len(each.ids), longest) if left else slice(0, len(each.ids))
            ids[row, span], labels[row, span] = torch.tensor(each.ids), torch.tensor(each.labels)
            mask[row, span] = True
        stacked = torch.from_numpy(np.concatenate([each.tiles for each in encoded]))
        return Batch(ids, labels, mask, stacked, self.id[IMAGE_TOKEN])

    def rows(self, rows: Sequence[Sequence[Encoded]], *, length: int) -> Batch:
        """Concatenate the samples of each row, and pad it to `length` positions.

        Raises:
            ValueError: a row holds more tokens than `length`.
        """
        ids = torch.full((len(rows), length), self.id[PAD], dtype=torch.long)
        labels = torch.full_like(ids, IGNORED)
        segments, places = torch.zeros_like(ids), torch.zeros_like(ids)
        for row, samples in enumerate(rows):
            start = 0
            for segment, each in enumerate(samples, 1):
                end = start + len(each.ids)
                if end > length:
                    raise ValueError(f"row {row}: {sum(len(one.ids) for one in samples)} tokens; allowed: {length}")
                ids[row, start:end], labels[row, start:end] = torch.tensor(each.ids), torch.tensor(each.labels)
                segments[row, start:end], places[row, start:end] = segment, torch.arange(end - start)
                start = end
        stacked = torch.from_numpy(np.concatenate([each.tiles for samples in rows for each in samples]))
        return Batch(ids, labels, segments > 0, stacked, self.id[IMAGE_TOKEN], segments, places)


class _SequenceBuilder:
    """Builds one sequence. `targets` are the ids that contribute to the loss, IGNORED elsewhere."""

    def __init__(self, encoder: Encoder, images: tuple[Image.Image, ...]) -> None:
        self.encoder, self.images, self.next_image = encoder, images, 0
        self.ids, self.targets = [encoder.id[BOS]], [IGNORED]
        self.tiles: list[NDArray[np.uint8]] = []
        self.spans: list[tuple[int, int]] = []

    def cut(self, length: int) -> str:
        """Return a hint if a cut after `length` tokens would go through an image, else ""."""
        through = [f"\nhint: a cut at that length would go through image {number}, tokens {start} to {end}"
                   for number, (start, end) in enumerate(self.spans) if start < length < end]
        return through[0] if through else ""

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
        encoder, start = self.encoder, len(self.ids)
        if self.next_image == len(self.images):
            raise ValueError(f"image marker {self.next_image + 1}, but {len(self.images)} images")
        tiling = tiles(self.images[self.next_image], encoder.images, num_images=len(self.images))
        self.tiles.append(tiling.tiles)
        for piece in pieces(tiling, encoder.images, image_number=self.next_image):
            self._add(self._piece_ids(piece))
        self.spans.append((start, len(self.ids)))
        self.next_image += 1

    def _piece_ids(self, piece: Piece) -> list[int]:
        if isinstance(piece, int):
            return [self.encoder.id[IMAGE_TOKEN]] * self.encoder.images.tokens
        return [self.encoder.id[ROW]] if piece == ROW else self.encoder.text_ids(piece)

    def _add(self, ids: list[int]) -> None:
        self.ids += ids
        self.targets += [IGNORED] * len(ids)
