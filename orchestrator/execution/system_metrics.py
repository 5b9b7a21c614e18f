"""Sample CPU, memory and GPU use during an attempt into a file of its folder. This module does not import torch.

- The names are those of MLflow's system metrics monitor, so that MLflow shows them on its page of system metrics. They
  are sent with the attempt's training curve after it has ended; a worker never connects to MLflow.
- CPU and memory are measured for this process and for the machine, GPUs for those that the worker may use.
- Each attempt has at least one sample, taken at its end. The cost is one thread that mostly sleeps.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pynvml

from orchestrator.settings import visible_gpus

EVERY_S = 5.0
_MEGABYTE = 1e6


@contextmanager
def sample_system_metrics(path: Path, every_s: float = EVERY_S) -> Iterator[None]:
    """Append a sample to `path` every `every_s` seconds while the body runs, and one at its end; one JSON line each."""
    ended, probe = threading.Event(), Probe()
    thread = threading.Thread(target=_loop, args=(path, probe, every_s, ended), name="system-metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _loop(path: Path, probe: Probe, every_s: float, ended: threading.Event) -> None:
    with path.open("a", buffering=1) as file:
        while not ended.wait(every_s):
            file.write(json.dumps(probe.sample()) + "\n")
        file.write(json.dumps(probe.sample()) + "\n")


class Probe:
    """Reads the counters of this process, this machine and its GPUs."""

    def __init__(self) -> None:
        """Take the first reading; CPU percentages are averages since the previous reading."""
        self._process, self._gpus, self._steps = psutil.Process(), _gpus(), 0
        self._process.cpu_percent()
        psutil.cpu_percent()

    def sample(self) -> dict[str, float]:
        """Return the present metrics, with the time `at` (seconds since 1970) and the number of the sample, `step`."""
        self._steps += 1
        memory = psutil.virtual_memory()
        metrics = {
            "at": time.time(), "step": self._steps,
            "system/cpu_utilization_percentage": psutil.cpu_percent(),
            "system/process_cpu_percentage": self._process.cpu_percent(),
            "system/process_memory_megabytes": self._process.memory_info().rss / _MEGABYTE,
            "system/system_memory_usage_megabytes": memory.used / _MEGABYTE,
            "system/system_memory_usage_percentage": memory.percent,
        }
        for index, handle in self._gpus.items():
            metrics |= _gpu(index, handle)
        return metrics


def num_gpus() -> int:
    """Return the number of GPUs that this process may use."""
    return len(_gpus())


def _gpu(index: int, handle: object) -> dict[str, float]:
    memory, busy = pynvml.nvmlDeviceGetMemoryInfo(handle), pynvml.nvmlDeviceGetUtilizationRates(handle)
    name = f"system/gpu_{index}"
    return {f"{name}_utilization_percentage": float(busy.gpu),
            f"{name}_memory_usage_megabytes": memory.used / _MEGABYTE,
            f"{name}_memory_usage_percentage": 100 * memory.used / memory.total,
            f"{name}_power_usage_watts": pynvml.nvmlDeviceGetPowerUsage(handle) / 1000}


def _gpus() -> dict[int, object]:
    """Return the handles of the GPUs that this process may use; none if NVIDIA's library is not installed."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        return {}
    visible = visible_gpus()
    handles = {}
    for index in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        if visible is None or {str(index), str(pynvml.nvmlDeviceGetUUID(handle))} & visible:
            handles[index] = handle
    return handles
