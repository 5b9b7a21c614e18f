"""Strict loading of tensors into a module: a tensor that is missing, unknown or of another shape is an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

NAMED = 5
"""Number of tensors that a message names; the others are counted."""


def load_strictly(module: nn.Module, tensors: Mapping[str, Tensor], source: object) -> None:
    """Load all tensors of a module by name. A tensor that the module holds under several names is expected once.

    Args:
        module: receives the tensors.
        tensors: tensors by name; a tied tensor by its first name.
        source: where they come from, for messages.

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
    # Not strict: PyTorch would miss the further names of tied tensors. All others were compared above.
    module.load_state_dict(tensors, strict=False)


def refuse(wrong: Iterable[str], source: object) -> None:
    """Raise an error if there are any problems; otherwise do nothing.

    Args:
        wrong: one message per tensor.
        source: where the tensors come from, for the message.

    Raises:
        ValueError: there are problems; the message has the first of them, and their number.
    """
    problems = sorted(wrong)
    if problems:
        raise ValueError(f"{source}: {'; '.join(problems[:NAMED])} ({len(problems)} tensors in all)")


def aliases(module: nn.Module) -> set[str]:
    """Return the second and further names of tensors that a module holds under several names, such as tied tables."""
    # `keep_vars`: the state dict would otherwise hold a new detached tensor under each name, with another id.
    first: dict[int, str] = {}
    names = module.state_dict(keep_vars=True).items()
    return {name for name, tensor in names if first.setdefault(id(tensor), name) != name}
