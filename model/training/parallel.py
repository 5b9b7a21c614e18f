"""Several workers on one stage: who they are, what they tell one another, and how a model is spread over them.

- FSDP2 (`fully_shard`), block by block: each worker holds a part of every fp32 weight, of its gradient and of the optimizer's
  state; a block is gathered when it is needed and dropped again. Blocks travel and compute in bf16 where the stage says so; what is
  outside of blocks (embeddings, connector, last norm) stays fp32 under the same autocast as on one worker.
- A stage is the same on one worker and on many, to rounding: every sum that the loss needs is taken over all workers, gradients
  are summed (not averaged), and whatever a batch holds, all workers make the same passes.
- What starts the workers (Ray Train, torchrun) also connects them; here they are only asked for.
- Each worker builds the whole model in the memory of its host before it keeps its part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from model.config.stages import TrainConfig
from model.network.mm15 import MM15
from model.training.compilation import blocks

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Workers:
    """The workers of a stage, as one of them sees them."""

    device: torch.device
    rank: int = 0
    size: int = 1
    mesh: DeviceMesh | None = None

    @property
    def is_first(self) -> bool:
        """Whether this worker speaks for all: it reports, and publishes."""
        return self.rank == 0

    def sum_scalars(self, *values: float) -> list[float]:
        """Return each value summed over the workers."""
        return self._reduced(values, dist.ReduceOp.SUM)

    def max_scalars(self, *values: float) -> list[float]:
        """Return the largest of each value over the workers."""
        return self._reduced(values, dist.ReduceOp.MAX)

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Return a tensor summed over the workers; carries no gradient."""
        total = tensor.detach().clone()
        if self.mesh is not None:
            dist.all_reduce(total, group=self.mesh.get_group())
        return total

    def broadcast(self, value: T) -> T:
        """Return what the first worker passes; the others' values are ignored. Also a point that all must reach."""
        if self.mesh is None:
            return value
        box: list[Any] = [value]
        dist.broadcast_object_list(box, src=0, group=self.mesh.get_group(), device=self.device)
        said: T = box[0]
        return said

    def all_gather(self, items: list[T]) -> list[T]:
        """Return the items of all workers in the order of the whole, of which each holds every n-th."""
        if self.mesh is None:
            return items
        parts: list[list[T]] = [[] for _ in range(self.size)]
        dist.all_gather_object(parts, items, group=self.mesh.get_group())
        return [parts[i % self.size][i // self.size] for i in range(sum(map(len, parts)))]

    def _reduced(self, values: Sequence[float], operation: Any) -> list[float]:
        if self.mesh is None:
            return [float(value) for value in values]
        # 64 bits: counts of tokens stay exact.
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total, op=operation, group=self.mesh.get_group())
        found: list[float] = total.tolist()
        return found


def init_workers() -> Workers:
    """Return the workers that this process was started with: itself alone, unless torch.distributed is up."""
    device = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return Workers(device)
    mesh = init_device_mesh(device.type, (dist.get_world_size(),), mesh_dim_names=("workers",))
    return Workers(device, dist.get_rank(), dist.get_world_size(), mesh)


def shard(model: MM15, workers: Workers, config: TrainConfig) -> MM15:
    """Move the model to the worker's device, and spread it over the workers if there are several. Changes the model in place."""
    if workers.mesh is None:
        return model.to(workers.device)
    # Blocks take their inputs as they are: the residual stream stays fp32, as autocast leaves it on one worker.
    low = torch.bfloat16 if config.dtype == "bf16" else None
    policy = MixedPrecisionPolicy(param_dtype=low, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for block in blocks(model):
        fully_shard(block, mesh=workers.mesh, mp_policy=policy)
    fully_shard(model, mesh=workers.mesh, mp_policy=MixedPrecisionPolicy(reduce_dtype=torch.float32, cast_forward_inputs=False))
    for module in model.modules():
        if isinstance(module, FSDPModule):  # the loss is divided by the tokens of all workers: their gradients add up
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)  # gloo knows no other sum with a factor
    return model


def full_model(model: MM15, workers: Workers) -> MM15:
    """Return the model whole: itself, or at the first worker one with the weights of all on its CPU. Every worker must ask."""
    if workers.mesh is None:
        return model
    weights = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    with torch.device("meta"):
        whole = type(model)(model.config)
    if workers.is_first:
        whole.load_state_dict(weights, assign=True)
        whole.decoder.tie_weights()
    return whole
