"""Tensors by name into a module, strictly: one that is missing, unknown or of another shape is an error that names it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

NAMED = 5
"""Tensors that a message names; the rest is counted."""


def load_strictly(module: nn.Module, tensors: Mapping[str, Tensor], source: object) -> None:
    """Load all tensors of a module; of a tensor that it holds under several names only the first is expected.

    Raises:
        ValueError: a tensor is missing, unknown or of another shape; the message names it and `source`.
    """
    again = aliases(module)
    wanted = {name: tensor.shape for name, tensor in module.state_dict().items() if name not in again}
    wrong = [f"{name} is missing" for name in wanted.keys() - tensors.keys()]
    wrong += [f"{name} is unknown" for name in tensors.keys() - wanted.keys()]
    wrong += [f"{name} is {tuple(tensors[name].shape)}, the model has {tuple(wanted[name])}"
              for name in wanted.keys() & tensors.keys() if tensors[name].shape != wanted[name]]
    refuse(wrong, source)
    module.load_state_dict(tensors, strict=False)


def refuse(wrong: Iterable[str], source: object) -> None:
    """Raise if anything is wrong.

    Raises:
        ValueError: names what is wrong, five at most, and counts the rest.
    """
    found = sorted(wrong)
    if found:
        raise ValueError(f"{source}: {'; '.join(found[:NAMED])} ({len(found)} tensors in all)")


def aliases(module: nn.Module) -> set[str]:
    """Return the names under which a tensor appears again: a tied output table is stored once."""
    first: dict[int, str] = {}
    names = module.state_dict(keep_vars=True).items()
    return {name for name, tensor in names if first.setdefault(id(tensor), name) != name}
