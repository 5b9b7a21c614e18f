"""How long a sample's sequence is, and whether a stage would train on it: counted without the model, so that a check needs no torch.

The count is that of `model.data.encoding.Encoder`: a token each for the beginning, the two speakers and the end of an answer, the text
by the tokenizer, and an image by its tiles and their indicators.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from model.config.stages import ImageConfig, TrainConfig
from model.images.placement import pieces
from model.images.tiling import tiles
from model.samples import IMAGE, Sample

ROW = "<n>"
"""The indicator that is a token of its own."""


class Lengths:
    """Counts tokens for one training stage."""

    def __init__(self, checkpoint: Path, config: TrainConfig, *, name: str) -> None:
        """Read the tokenizer of a checkpoint.

        Args:
            checkpoint: the folder whose `tokenizer.json` the stage uses.
            config: of the stage.
            name: of the stage, for messages.
        """
        self._tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True
        self._config, self._name = config, name

    def refuse(self, sample: Sample) -> None:
        """Refuse what the stage would refuse.

        Raises:
            ValueError: the sequence is longer than `max_tokens` in one of the stage's image settings, or has more images than a packed
                row may hold.
        """
        if self._config.pack and len(sample.images) > self._config.pack_images:
            raise ValueError(f"{len(sample.images)} images; allowed: {self._config.pack_images} ({self._name}.pack_images)")
        longest = max(self.count(sample, images) for images in self._config.image_settings or (self._config.images,))
        if longest > self._config.max_tokens:
            raise ValueError(f"{longest} tokens; allowed: {self._config.max_tokens} ({self._name}.max_tokens)")

    def count(self, sample: Sample, images: ImageConfig) -> int:
        """Return the number of tokens of a sample's sequence with an image setting."""
        texts = 1 + sum(self._text(turn.answer) + 1 for turn in sample.turns)
        questions = sum(2 + sum(map(self._text, turn.question.split(IMAGE))) for turn in sample.turns if turn.question)
        pictures = sum(self._image(sample, number, images) for number in range(len(sample.images)))
        return texts + questions + pictures

    def _text(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _image(self, sample: Sample, number: int, images: ImageConfig) -> int:
        tiling = tiles(sample.images[number], images, num_images=len(sample.images))
        return sum(
            images.tokens if isinstance(piece, int) else 1 if piece == ROW else self._text(piece)
            for piece in pieces(tiling, images, image_number=number)
        )
