"""Count what a step asks of a GPU without one: operations are traced on tensors that have shapes and no memory.

- A launch is an operation that is no view and allocates nothing; operations on lists of tensors take one launch for as many
  tensors as the arguments of a kernel hold. Bytes are those of the distinct tensors that it reads and writes. FLOPs are those
  of products, convolutions and attention, as they run (recomputation included, causal scores halved).
- What a compiler would fuse is estimated: within a compiled region, neighbouring operations that are no products become one
  kernel, which reads its inputs once and writes what is read outside of it; a reduction over other axes is a kernel more.
  The estimate keeps no value in the backward pass from being computed again, which the real compiler may do.
- Attention is one operation each way, with the bytes of its arguments and results, as the kernels of a GPU are. Norms run in
  fp32 under autocast, as on a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

ALLOCATIONS = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view", "detach", "alias", "lift_fresh",
               "set_", "is_same_size", "_local_scalar_dense"}
"""Operations without a kernel, beside views. Numbers are read of the host's tensors alone: for others the trace fails."""
TOGETHER = {1: 110, 2: 64, 3: 48, 4: 36, 5: 30}
"""Lists of tensors in an operation to the number of tensors that one kernel takes of each (ATen/native/cuda/MultiTensorApply.cuh)."""
WHOLE = {"embedding", "embedding_dense_backward", "index_copy", "index_select", "index_add", "index_add_", "index_fill", "index_fill_",
         "_log_softmax", "_log_softmax_backward_data", "nll_loss_forward", "nll_loss_backward", "upsample_bicubic2d", "cumsum", "topk",
         "_adaptive_avg_pool2d", "_adaptive_avg_pool2d_backward", "cat", "convolution", "convolution_backward"}
"""Operations that a compiler calls as they are, or that end a kernel, beside products and attention."""


@torch.library.custom_op("counted::attention", mutates_args=(), schema="(Tensor q, Tensor k, Tensor v, bool is_causal) -> (Tensor, Tensor)")
def attention(q: Tensor, k: Tensor, v: Tensor, is_causal: bool) -> tuple[Tensor, Tensor]:
    raise NotImplementedError


@attention.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, is_causal: bool) -> tuple[Tensor, Tensor]:
    return q.new_empty((*q.shape[:-1], v.shape[-1])), q.new_empty(q.shape[:-1], dtype=torch.float32)


@torch.library.custom_op("counted::attention_backward", mutates_args=(),
                         schema="(Tensor grad, Tensor q, Tensor k, Tensor v, Tensor out, Tensor lse, bool is_causal) "
                                "-> (Tensor, Tensor, Tensor)")
def attention_backward(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor,
                       is_causal: bool) -> tuple[Tensor, Tensor, Tensor]:
    raise NotImplementedError


@attention_backward.register_fake
def _(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, is_causal: bool) -> tuple[Tensor, ...]:
    return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:3], *output)
    ctx.is_causal = inputs[3]


def _backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    return (*torch.ops.counted.attention_backward(grad, *ctx.saved_tensors, ctx.is_causal), None)


attention.register_autograd(_backward, setup_context=_save)


@contextmanager
def as_on_gpu() -> Iterator[None]:
    """Make attention one operation in the low type, and layer norms run in fp32 where autocast is on.

    The functions are replaced, since a mode would be off in the backward pass, where blocks are recomputed.
    """
    with patch.object(functional, "scaled_dot_product_attention", _attend), patch.object(functional, "layer_norm", _norm):
        yield


def _attend(q: Tensor, k: Tensor, v: Tensor, *_: Any, is_causal: bool = False, **__: Any) -> Tensor:
    if torch.is_autocast_enabled("cpu"):
        q, k, v = (each.to(torch.bfloat16) for each in (q, k, v))
    return torch.ops.counted.attention(q, k, v, bool(is_causal))[0]


def _norm(hidden: Tensor, shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5,
          whole: Any = functional.layer_norm) -> Tensor:
    if not torch.is_autocast_enabled("cpu"):
        return whole(hidden, shape, weight, bias, eps)
    with torch.autocast("cpu", enabled=False):
        return whole(hidden.float(), shape, *(None if each is None else each.float() for each in (weight, bias)), eps)


@dataclass(slots=True)
class Operation:
    """One operation: what it reads and writes, as storage -> bytes."""

    name: str
    reads: dict[int, int]
    writes: dict[int, int]
    flops: float
    launches: int
    region: int
    """Number of the compiled region that it is in, 0 for none."""
    axes: tuple[Any, ...] = ()
    """Axes that it reduces."""


@dataclass(slots=True)
class Count:
    """What a step asks of a device."""

    launches: int = 0
    bytes: float = 0.0
    flops: float = 0.0
    floor_s: float = 0.0
    """Seconds if each kernel ran at the rate of products or of memory, whichever takes longer, and nothing waited."""

    def __add__(self, other: Count) -> Count:
        return Count(self.launches + other.launches, self.bytes + other.bytes, self.flops + other.flops, self.floor_s + other.floor_s)

    def __mul__(self, times: int) -> Count:
        return Count(self.launches * times, self.bytes * times, self.flops * times, self.floor_s * times)

    def add(self, bytes_moved: float, flops: float, launches: int, *, flops_per_s: float, bytes_per_s: float) -> None:
        """Add a kernel, or several alike."""
        self.launches += launches
        self.bytes += bytes_moved
        self.flops += flops
        self.floor_s += max(flops / flops_per_s, bytes_moved / bytes_per_s)


@dataclass(eq=False)
class Trace(TorchDispatchMode):
    """Records the operations of everything that runs in it."""

    operations: list[Operation] = field(default_factory=list)
    region: int = 0
    regions: int = 0

    def __post_init__(self) -> None:
        super().__init__()
        self._kept: dict[int, Any] = {}

    @contextmanager
    def compiled(self) -> Iterator[None]:
        """Treat what runs in the context as one compiled function."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def enter(self) -> None:
        """Begin a compiled region."""
        self.regions += 1
        self.region = self.regions

    def leave(self) -> None:
        """End the compiled region."""
        self.region = 0

    def __torch_dispatch__(self, function: Any, kinds: Any, given: tuple[Any, ...] = (), named: dict[str, Any] | None = None) -> Any:
        named = named or {}
        output = function(*given, **named)
        if not _has_no_kernel(function):
            self._record(function, given, named, output)
        return output

    def _record(self, function: Any, given: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        inputs = [each for each in tree_leaves((given, named)) if isinstance(each, Tensor)]
        outputs = [each for each in tree_leaves(output) if isinstance(each, Tensor)]
        name = function.overloadpacket._qualified_op_name.split("::")[1]
        reads, writes = self._sizes(inputs), self._sizes(outputs)
        if not outputs:  # what changes lists of tensors in place returns nothing
            arguments = zip(function._schema.arguments, given, strict=False)
            writes = self._sizes(tree_leaves([each for place, each in arguments if place.alias_info and place.alias_info.is_write]))
        if name.endswith("_") and (name.startswith(("zero", "fill", "copy")) or name == "_foreach_copy_"):
            reads = {key: size for key, size in reads.items() if key not in writes}
        self.operations.append(Operation(name, reads, writes, _flops(function, given, named, output), _launches(name, given), self.region,
                                         _axes(name, given)))

    def _sizes(self, tensors: list[Any] | Any) -> dict[int, int]:
        sizes: dict[int, int] = {}
        for each in tensors:
            storage = each.untyped_storage()
            self._kept[storage._cdata] = storage  # so that no later storage gets the same number
            # An expanded axis is one value that is read again and again, from a cache.
            elements = math.prod(length for length, stride in zip(each.shape, each.stride(), strict=True) if stride)
            sizes[storage._cdata] = max(sizes.get(storage._cdata, 0), elements * each.element_size())
        return sizes

    def count(self, *, flops_per_s: float, bytes_per_s: float) -> Count:
        """Return the launches, bytes and FLOPs of what was recorded, with compiled regions fused."""
        total, rates = Count(), {"flops_per_s": flops_per_s, "bytes_per_s": bytes_per_s}
        last_read = {key: place for place, each in enumerate(self.operations) for key in each.reads}
        first_written: dict[int, int] = {}
        for place, each in enumerate(self.operations):
            for key in each.writes:
                first_written.setdefault(key, place)
        place = 0
        while place < len(self.operations):
            end = self._end_of_group(place)
            group = self.operations[place:end]
            if end - place == 1 and not _is_fusible(group[0]):
                total.add(sum(group[0].reads.values()) + sum(group[0].writes.values()), group[0].flops, group[0].launches, **rates)
            else:
                for part in _connected(list(range(place, end)), self.operations):
                    _add_fused(total, part, self.operations, last_read, first_written, rates)
            place = end
        return total

    def _end_of_group(self, start: int) -> int:
        first = self.operations[start]
        if not _is_fusible(first):
            return start + 1
        end = start + 1
        while end < len(self.operations) and self.operations[end].region == first.region and _is_fusible(self.operations[end]):
            end += 1
        return end


def _add_fused(total: Count, part: list[int], operations: list[Operation], last_read: dict[int, int], first_written: dict[int, int],
               rates: dict[str, float]) -> None:
    inside = set(part)
    read: dict[int, int] = {}
    written: dict[int, int] = {}
    for place in part:
        for key, size in operations[place].reads.items():
            if first_written.get(key, -1) not in inside:  # it was there before
                read[key] = max(read.get(key, 0), size)
        for key, size in operations[place].writes.items():
            # Read by what comes later, or changed in place where it lay before.
            if last_read.get(key, -1) > part[-1] or first_written[key] not in inside or key in read:
                written[key] = max(written.get(key, 0), size)
    reductions = max(1, len({operations[place].axes for place in part if operations[place].axes}))
    total.add(sum(read.values()) * reductions + sum(written.values()), 0.0, reductions, **rates)


def _connected(places: list[int], operations: list[Operation]) -> list[list[int]]:
    """Split operations into sets that share what they read or write; a read that is common to all joins too, as fusing it pays."""
    owner: dict[int, int] = {}
    parent = {place: place for place in places}

    def root(place: int) -> int:
        while parent[place] != place:
            place = parent[place]
        return place

    for place in places:
        for key in (*operations[place].reads, *operations[place].writes):
            parent[root(place)] = root(owner.setdefault(key, place))
    parts: dict[int, list[int]] = {}
    for place in places:
        parts.setdefault(root(place), []).append(place)
    return list(parts.values())


def _is_fusible(operation: Operation) -> bool:
    return bool(operation.region) and not operation.flops and operation.name not in WHOLE and not operation.name.startswith("_foreach")


def _has_no_kernel(function: Any) -> bool:
    if function.namespace == "prim":
        return True
    returns = function._schema.returns
    is_view = bool(returns) and returns[0].alias_info is not None and not returns[0].alias_info.is_write
    return is_view or function.overloadpacket._qualified_op_name.split("::")[1] in ALLOCATIONS


def _launches(name: str, given: tuple[Any, ...]) -> int:
    if not name.startswith(("_foreach", "_fused")):
        return 1
    lists = [each for each in given if isinstance(each, Sequence) and each and isinstance(each[0], Tensor)]
    return math.ceil(len(lists[0]) / TOGETHER.get(len(lists), 36))


def _axes(name: str, given: tuple[Any, ...]) -> tuple[Any, ...]:
    if name in ("mean", "sum", "var_mean", "amax", "linalg_vector_norm", "norm"):
        return tuple(tuple(each) for each in given[1:] if isinstance(each, list | tuple)) or ("all",)
    return ("rows",) if name in ("native_layer_norm", "_softmax") else ()


def _flops(function: Any, given: tuple[Any, ...], named: dict[str, Any], output: Any) -> float:
    if function is torch.ops.counted.attention.default:
        return _attention_flops(given[0], given[1], given[3], products=2)
    if function is torch.ops.counted.attention_backward.default:
        return _attention_flops(given[1], given[2], given[6], products=5)
    formula = flop_registry.get(function.overloadpacket)
    return float(formula(*given, **named, out_val=output)) if formula else 0.0


def _attention_flops(q: Tensor, k: Tensor, is_causal: bool, *, products: int) -> float:
    """Count the products of attention: scores and mix forward; backward these again, and four more, less one that is shared."""
    return 2 * products * q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] * q.shape[3] * (0.5 if is_causal else 1)
