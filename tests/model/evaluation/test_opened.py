"""The model of an evaluation: loaded once for all benchmarks of a checkpoint, anew for another setting."""

import torch

from model.evaluation.opened import let_go, open_model


def test_a_worker_loads_a_checkpoint_once_for_all_benchmarks(checkpoint):
    first = open_model(checkpoint, tile=64, dtype="bf16")
    assert open_model(checkpoint, tile=64, dtype="bf16") is first
    assert first.vision.blocks[0].qkv.weight.dtype == torch.bfloat16
    other = open_model(checkpoint, tile=64, dtype="fp32")
    assert other is not first
    assert other.vision.blocks[0].qkv.weight.dtype == torch.float32
    let_go()
    assert open_model(checkpoint, tile=64, dtype="fp32") is not other
    let_go()
