"""Several workers on one stage: their collectives, and the sharding of the model over them.

- FSDP2 (`fully_shard`), block by block: each worker holds a shard of every fp32 weight, of its gradient and of the
  optimizer's state; a block's weights are gathered when it runs and freed afterwards. Blocks are gathered and computed
  in bf16 if the stage says so; what is outside of blocks (embeddings, connector, last norm) stays fp32 under the same
  autocast as on one worker.
- A stage gives the same result on one worker and on many, up to rounding: every sum that the loss needs is taken over
  all workers, gradients are summed (not averaged), and all workers run the same number of passes.
- A launcher starts the workers. Ray Train also connects them by torch.distributed and makes each one's GPU the current
  one; after torchrun `connect` does it.
- Each worker builds the whole model in host memory before it keeps its shard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from model.config.stages import TrainConfig
from model.network.experts import routers
from model.network.mm15 import MM15
from model.training.compilation import blocks

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Workers:
    """The group of workers that train a stage together, as seen by one of them.

    Each method that communicates is a collective: every worker must call it, in the same order. With one worker it
    returns its argument.
    """

    device: torch.device
    """Device of this worker."""
    rank: int = 0
    """Number of this worker, 0 to size - 1."""
    size: int = 1
    """Number of workers."""
    mesh: DeviceMesh | None = None
    """The one-dimensional mesh over all workers; None if there is one worker."""

    @property
    def is_first(self) -> bool:
        """Whether this worker is rank 0, which reports and publishes for all."""
        return self.rank == 0

    def sum_scalars(self, *values: float) -> list[float]:
        """Return each value summed over the workers."""
        return self._reduced(values, dist.ReduceOp.SUM)

    def max_scalars(self, *values: float) -> list[float]:
        """Return the maximum of each value over the workers."""
        return self._reduced(values, dist.ReduceOp.MAX)

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Return a new tensor that is summed over the workers and carries no gradient."""
        # dist.all_reduce writes into its argument: the copy leaves the caller's tensor as it was.
        total = tensor.detach().clone()
        if self.mesh is not None:
            dist.all_reduce(total, group=self.mesh.get_group())
        return total

    def broadcast(self, value: T) -> T:
        """Return the value of the first worker; the values of the others are ignored. Also serves as a barrier."""
        if self.mesh is None:
            return value
        # Pickled into a tensor on `device`, since NCCL sends from GPU memory only. The list is filled in place.
        box: list[Any] = [value]
        dist.broadcast_object_list(box, src=0, group=self.mesh.get_group(), device=self.device)
        from_first: T = box[0]
        return from_first

    def run_first(self, work: Callable[[], T]) -> T:
        """Run something at the first worker and return its value at all of them.

        Raises:
            OSError: at the other workers, if it raised at the first one; they would otherwise wait for the group's
                time-out. The first worker raises its own error.
        """
        done: list[T] | None = None
        try:
            if self.is_first:
                done = [work()]
        finally:
            done = self.broadcast(done)
        if done is None:
            raise OSError("the first worker failed at what all of them wait for; its log says why")
        return done[0]

    def all_gather(self, items: list[T]) -> list[T]:
        """Return the items of all workers in batch order: of `size` workers, worker r holds items r, r + size, ..."""
        if self.mesh is None:
            return items
        # Workers may hold different numbers of items: if the batch does not divide, the first ones hold one more.
        parts: list[list[T]] = [[] for _ in range(self.size)]
        dist.all_gather_object(parts, items, group=self.mesh.get_group())
        return [parts[i % self.size][i // self.size] for i in range(sum(map(len, parts)))]

    def _reduced(self, values: Sequence[float], operation: Any) -> list[float]:
        if self.mesh is None:
            return [float(value) for value in values]
        # fp64 keeps token counts exact up to 2**53; fp32 would round them above 2**24.
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total, op=operation, group=self.mesh.get_group())
        reduced: list[float] = total.tolist()
        return reduced


def connect() -> None:
    """Connect the workers that torchrun started; in a process that it did not start, do nothing."""
    if not dist.is_torchelastic_launched():
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(dist.get_node_local_rank())
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def disconnect() -> None:
    """Take leave of the workers that `connect` connected."""
    if dist.is_initialized():
        dist.destroy_process_group()


def init_workers() -> Workers:
    """Return the workers that this process belongs to: itself alone, unless torch.distributed is initialised."""
    # The launcher has made this worker's GPU the current one, as Ray Train does.
    is_cuda = torch.cuda.is_available()
    device = torch.device("cuda", torch.cuda.current_device()) if is_cuda else torch.device("cpu")
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return Workers(device)
    mesh = init_device_mesh(device.type, (dist.get_world_size(),), mesh_dim_names=("workers",))
    return Workers(device, dist.get_rank(), dist.get_world_size(), mesh)


def shard(model: MM15, workers: Workers, config: TrainConfig) -> MM15:
    """Move the model to this worker's device; if there are several workers, shard it over them. Changes it in place."""
    # One worker trains without FSDP: nothing to gather, and every weight is an ordinary tensor.
    if workers.mesh is None:
        return model.to(workers.device)
    # Blocks take their inputs as they are: the residual stream stays fp32, as autocast leaves it on one worker.
    # Gradients are summed in fp32: in bf16 the sum would lose digits with every further worker.
    low = torch.bfloat16 if config.dtype == "bf16" else None
    policy = MixedPrecisionPolicy(param_dtype=low, reduce_dtype=torch.float32, cast_forward_inputs=False)
    # Inner modules first, the model last: `fully_shard` of the model takes the weights that no block has taken, and keeps them
    # gathered from its forward to its backward pass.
    # Routers are gathered by themselves: they compute in fp32 (`model.network.experts`).
    rest = MixedPrecisionPolicy(reduce_dtype=torch.float32, cast_forward_inputs=False)
    for router in routers(model.decoder):
        fully_shard(router, mesh=workers.mesh, mp_policy=rest)
    for block in blocks(model):
        fully_shard(block, mesh=workers.mesh, mp_policy=policy)
    fully_shard(model, mesh=workers.mesh, mp_policy=rest)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            # FSDP2 averages gradients by default. The loss is divided by the tokens of all workers already, so
            # gradients are added.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)  # gloo has no reduction that scales by a factor
    return model


def full_model(model: MM15, workers: Workers) -> MM15:
    """Return the unsharded model at the first worker, with its weights on the CPU. Every worker must call this.

    With one worker this is the model itself. With several, the result is for saving at the first worker; at the others
    it has no weights.
    """
    if workers.mesh is None:
        return model
    # A collective that gathers weight by weight and moves each one to the first worker's CPU: no GPU ever holds the
    # unsharded model.
    weights = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    # On `meta` nothing is allocated or drawn; the gathered tensors become the weights without a copy (`assign`).
    with torch.device("meta"):
        full = type(model)(model.config)
    if workers.is_first:
        full.load_state_dict(weights, assign=True)
        # `assign` replaces tensors one by one, which separates tied tables.
        full.decoder.tie_weights()
    return full
