import json
import os

from orchestrator.execution.system_metrics import Probe, sample_system_metrics
from orchestrator.settings import visible_gpus


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_short_work_has_one_sample_of_its_own_process(tmp_path):
    with sample_system_metrics(tmp_path / "system.jsonl"):
        pass
    (found,) = lines(tmp_path / "system.jsonl")
    assert found["step"] == 1
    assert 1 < found["system/process_memory_megabytes"] < found["system/system_memory_usage_megabytes"] * 2
    assert 0 <= found["system/system_memory_usage_percentage"] <= 100


def test_samples_are_taken_while_work_goes_on(tmp_path):
    path = tmp_path / "system.jsonl"
    with sample_system_metrics(path, every_s=0.001):
        while not (path.exists() and path.read_text().count("\n") >= 3):
            os.sched_yield()
    assert [found["step"] for found in lines(path)] == list(range(1, len(lines(path)) + 1))
    assert [found["at"] for found in lines(path)] == sorted(found["at"] for found in lines(path))


def test_work_that_fails_is_sampled_too(tmp_path):
    path = tmp_path / "system.jsonl"
    try:
        with sample_system_metrics(path):
            raise ZeroDivisionError
    except ZeroDivisionError:
        assert len(lines(path)) == 1


def test_busy_process_shows_in_its_share_of_the_processor():
    probe = Probe()
    sum(i * i for i in range(2_000_000))
    assert probe.sample()["system/process_cpu_percentage"] > 0


def test_gpus_that_the_process_may_see(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0, GPU-1a2b")
    assert visible_gpus() == {"0", "GPU-1a2b"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == set()
