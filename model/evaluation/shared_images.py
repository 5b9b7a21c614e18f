"""Image tokens of a window of items, computed once for all items that show the same pictures.

POPE asks 18 questions about a picture and GQA 32; the encoder is nine tenths of the work of a short answer. What is kept
for later items is let go after the last one. A picture that one item shows is encoded in its batch, as without sharing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.data.encoding import Encoded
from model.network.mm15 import MM15


class SharedTiles:
    """Hands out one array for all items of a window with equal tiles; if off, it counts bytes only."""

    def __init__(self, *, is_on: bool) -> None:
        self._is_on = is_on
        self._seen: dict[bytes, NDArray[np.uint8]] = {}
        self.num_bytes = 0
        """Bytes of the arrays that were handed out."""

    def shared(self, encoded: Encoded) -> Encoded:
        """Return the item with the array of an earlier one, if that one has the same tiles."""
        if not encoded.num_tiles or not self._is_on:
            self.num_bytes += encoded.tiles.nbytes
            return encoded
        tiles = np.ascontiguousarray(encoded.tiles)
        # Of whole items: worked examples before a question count as part of its picture.
        digest = hashlib.blake2b(tiles.data, digest_size=16).digest()
        if digest not in self._seen:
            self.num_bytes += tiles.nbytes
        return replace(encoded, tiles=self._seen.setdefault(digest, tiles))


class ImageTokens:
    """The image tokens of a window, computed batch by batch and kept as long as an item is left that needs them."""

    def __init__(self, model: MM15, window: Sequence[Encoded], *, tokens: int) -> None:
        self._model, self._tokens = model, tokens
        self._uses = Counter(id(each.tiles) for each in window)
        self._kept: dict[int, Tensor] = {}

    @torch.no_grad()
    def of(self, encoded: Sequence[Encoded]) -> Tensor:
        """Return images_ID of a batch, in reading order. Each item of the window may be asked for once."""
        shown = [each.tiles for each in encoded if each.num_tiles]
        self._encode({id(tiles): tiles for tiles in shown if id(tiles) not in self._kept})
        parts = [self._kept[id(tiles)] for tiles in shown]
        for tiles in shown:
            self._uses[id(tiles)] -= 1
            if not self._uses[id(tiles)]:
                del self._kept[id(tiles)]
        if parts:
            return torch.cat(parts)
        return torch.zeros(0, self._model.config.decoder.width, device=self._model.vision.mean.device)

    def _encode(self, fresh: dict[int, NDArray[np.uint8]]) -> None:
        if not fresh:
            return
        stacked = torch.from_numpy(np.concatenate(list(fresh.values()))).to(self._model.vision.mean.device)
        images_ID = self._model.connector(self._model.vision(stacked), tokens=self._tokens).flatten(0, 1)
        sizes = [len(tiles) * self._tokens for tiles in fresh.values()]
        self._kept |= dict(zip(fresh, images_ID.split(sizes), strict=True))
