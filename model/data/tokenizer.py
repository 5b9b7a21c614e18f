"""The byte-level BPE tokenizer: single digits, and special tokens for conversations and images with the first ids.

It was trained on the workbench and is frozen, because every checkpoint depends on its ids. `python -m
model.data.tokenizer OUT` trains one of the same kind. Some of its ids differ, because generators were changed after the
packaged one was trained.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from model.workbench import make_sample, sample_makers
from model.workbench.assets import english

SPECIALS = ("<pad>", "<bos>", "<eos>", "<user>", "<assistant>", "<image>", "<n>")
VOCABULARY = 1024
SAMPLES = 300
"""Training samples of each category on whose text the tokenizer is trained."""
PACKAGED = Path(__file__).parents[1] / "checkpoints" / "tiny"


def load_tokenizer(directory: Path | None = None) -> PreTrainedTokenizerFast:
    """Load a checkpoint's tokenizer, or the packaged one.

    Special tokens that occur in a text stay text: only the encoder may place them.
    """
    folder = directory or PACKAGED
    if (folder / "tokenizer_config.json").exists():  # an imported decoder has its own bos, eos and pad tokens
        return PreTrainedTokenizerFast.from_pretrained(folder, split_special_tokens=True, local_files_only=True)
    path = folder / "tokenizer.json"
    return PreTrainedTokenizerFast(tokenizer_file=str(path), bos_token="<bos>", eos_token="<eos>", pad_token="<pad>",  # noqa: S106
                                   additional_special_tokens=list(SPECIALS[3:]), split_special_tokens=True)


def train_tokenizer() -> Tokenizer:
    """Train a tokenizer on the train split of every category and on English paragraphs."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                       pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=list(SPECIALS), show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(_texts(), trainer)
    return tokenizer


def _texts() -> Iterator[str]:
    for category in sample_makers():
        for index in range(SAMPLES):
            for turn in make_sample(category, "train", index).turns:
                yield turn.question.replace("<image>", "")
                yield turn.answer
    yield from english("train")


if __name__ == "__main__":
    train_tokenizer().save(str(Path(sys.argv[1]) / "tokenizer.json"))
