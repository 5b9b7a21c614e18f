"""The losses of MoE routers, over the whole batch of an optimizer step.

- Load-balance loss of a layer: number of experts x sum over experts of (share of the choices that fall on the expert) x
  (mean probability that the router gives it); 1 if all experts are used alike. z-loss of a layer: mean square of the
  logsumexp of the router's logits. Both are averaged over the MoE layers.
- The load-balance loss is not a sum over samples: its shares are taken over all tokens of the optimizer step, of every
  micro-batch and worker. Otherwise one worker and two would train on different losses. Padding does not count.
- The shares carry no gradient. If each worker runs one pass, its forward pass yields them before its backward pass; if
  it runs several, passes without gradients count the choices first.

    B rows   T tokens   E experts
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from model.network.language import LOAD_BALANCE_WEIGHT, ROUTER_Z_WEIGHT


def choices(logits: Sequence[Tensor], mask_BT: Tensor, *, per_token: int) -> Tensor:
    """Count how often each layer's router chooses each expert.

    Args:
        logits: router logits of each layer, (B x T, E), padding included.
        mask_BT: True at real tokens.
        per_token: experts that a router chooses for each token.

    Returns:
        counts of shape (layers, E), fp64, without gradient.
    """
    real = mask_BT.flatten()
    counts = []
    for layer in logits:
        # The router chooses by softmax probabilities, which have the same order as the logits.
        chosen = layer.detach()[real].topk(per_token, -1).indices
        counts.append(torch.bincount(chosen.flatten(), minlength=layer.shape[-1]))
    return torch.stack(counts).double()  # counts are summed over micro-batches and workers: fp64 keeps them exact


def router_losses(logits: Sequence[Tensor], mask_BT: Tensor, counts: Tensor, *, tokens: float) -> tuple[Tensor, Tensor]:
    """Return the load-balance loss and the z-loss of a micro-batch, as parts of those of the whole batch.

    The parts of all micro-batches and workers add up to the losses: each mean divides by the tokens of the whole batch.

    Args:
        logits: router logits of each layer, (B x T, E), padding included.
        mask_BT: True at real tokens.
        counts: the result of `choices`, summed over the whole batch.
        tokens: real tokens of the whole batch.
    """
    real = mask_BT.flatten()
    balance, z = [], []
    for layer, count in zip(logits, counts, strict=True):
        # fp32 under autocast too: the square of a logsumexp, and exp of differences of logits, need the digits.
        scores = layer[real].float()
        # From counts, so a constant: the gradient flows through the mean probabilities alone.
        shares = (count / count.sum()).float()
        # (E): this micro-batch's part of the mean probability of each expert; `@ shares` sums over experts.
        balance.append(scores.shape[-1] * (functional.softmax(scores, -1).sum(0) / tokens) @ shares)
        z.append(scores.logsumexp(-1).square().sum() / tokens)
    return torch.stack(balance).mean(), torch.stack(z).mean()


def weighted(balance: Tensor, z: Tensor) -> Tensor:
    """Return the weighted sum of the router losses, which is added to the cross-entropy."""
    return LOAD_BALANCE_WEIGHT * balance + ROUTER_Z_WEIGHT * z
