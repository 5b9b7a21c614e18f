"""The losses of MoE routers, over the global batch.

- Load balance: experts x sum over experts of (share of the choices that fall on it) x (mean probability it is given), per MoE layer,
  the mean over layers; 1 where all experts are used alike. z: mean square of the logsumexp of a router's logits.
- Neither is a sum over samples: the shares are those of all tokens of the optimizer step, of every micro-batch and worker, or one
  worker and two would learn something else. Padding has no part in them.
- The shares carry no gradient. Where one pass holds a worker's whole share they are known before its backward pass; where it takes
  several, a pass without gradients counts first.

    B rows   T tokens   E experts
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from model.network.language import LOAD_BALANCE_WEIGHT, ROUTER_Z_WEIGHT


def choices(logits: Sequence[Tensor], mask_BT: Tensor, *, per_token: int) -> Tensor:
    """Count the choices of each layer's router, (layers, E): `per_token` experts for every real token."""
    real = mask_BT.flatten()
    counts = []
    for layer in logits:
        chosen = layer.detach()[real].topk(per_token, -1).indices
        counts.append(torch.bincount(chosen.flatten(), minlength=layer.shape[-1]))
    return torch.stack(counts).double()


def router_losses(logits: Sequence[Tensor], mask_BT: Tensor, counts: Tensor, *, tokens: float) -> tuple[Tensor, Tensor]:
    """Return a micro-batch's part of load-balance and z-loss; over all micro-batches and workers the parts sum to the losses.

    Args:
        logits: of each layer's router, (B x T, E), padding included.
        mask_BT: True at real tokens.
        counts: `choices` summed over the global batch.
        tokens: real tokens of the global batch.
    """
    real = mask_BT.flatten()
    balance, z = [], []
    for layer, count in zip(logits, counts, strict=True):
        scores = layer[real].float()
        shares = (count / count.sum()).float()
        balance.append(scores.shape[-1] * (functional.softmax(scores, -1).sum(0) / tokens) @ shares)
        z.append(scores.logsumexp(-1).square().sum() / tokens)
    return torch.stack(balance).mean(), torch.stack(z).mean()


def weighted(balance: Tensor, z: Tensor) -> Tensor:
    """Return what is added to the loss."""
    return LOAD_BALANCE_WEIGHT * balance + ROUTER_Z_WEIGHT * z
