"""`torchrun` starts the workers of a stage file; a first worker that fails keeps nobody waiting."""

import json
import os
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file

from model.config.fields import to_plain
from model.training.__main__ import main
from model.training.parallel import init_workers
from tests.support.gloo import CONFIG

STAGE = {"model": "tiny", "data": {}, "start": None, "kind": "sft", "seed": 0, "config": to_plain(CONFIG)}


def test_two_workers_of_torchrun_train_what_one_process_trains(tmp_path):
    (tmp_path / "stage.json").write_text(json.dumps(STAGE))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "model.training"]
    done = subprocess.run([*command, str(tmp_path / "stage.json"), "--out", str(tmp_path / "two")], capture_output=True, text=True,
                          env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(" done {") == 1
    assert main([str(tmp_path / "stage.json"), "--out", str(tmp_path / "one")]) == 0
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name in [each for each in one if not each.endswith("qkv.bias")]:  # attention does not feel the bias of keys
        torch.testing.assert_close(two[name], one[name], rtol=0, atol=2e-5)
    assert (tmp_path / "two" / "README.md").exists()
    assert not (tmp_path / "two.stages").exists()


def fail(rank, folder):
    dist.init_process_group("gloo", store=dist.FileStore(f"{folder}/store", 2), rank=rank, world_size=2)
    try:
        init_workers().run_first(lambda: open(f"{folder}/nowhere/file"))  # noqa: SIM115 - it never opens
    except OSError as error:
        with open(f"{folder}/{rank}", "w") as file:
            file.write(str(error))
    dist.destroy_process_group()


def test_others_hear_that_the_first_worker_failed(tmp_path, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    mp.spawn(fail, (str(tmp_path),), nprocs=2)
    first, second = ((tmp_path / str(rank)).read_text() for rank in range(2))
    assert "No such file or directory" in first
    assert second == "the first worker failed at what all of them wait for; its log says why"


def test_a_worker_alone_returns_or_raises_what_it_did():
    alone = init_workers()
    assert alone.run_first(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        alone.run_first(lambda: 1 // 0)
