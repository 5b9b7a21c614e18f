"""What the machine did during an attempt, sampled by the worker into the attempt's folder. Torch-free.

- Names are those of MLflow's own monitor, below `system/`, so that its page of system metrics shows them; they travel
  with the attempt's curve when it ends, and a worker never speaks to MLflow.
- CPU and memory are this process's and the machine's; GPUs are those that the worker may see.
- Any attempt has at least one sample, at its end; the cost is one thread that sleeps.
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
    """Append a sample a line to `path` while the body runs, and one at its end."""
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
        """Begin to count: rates are those since the last sample."""
        self._process, self._gpus, self._steps = psutil.Process(), _gpus(), 0
        self._process.cpu_percent()
        psutil.cpu_percent()

    def sample(self) -> dict[str, float]:
        """Return the metrics now, with the time `at` and the number of the sample as `step`."""
        self._steps += 1
        memory = psutil.virtual_memory()
        found = {
            "at": time.time(), "step": self._steps,
            "system/cpu_utilization_percentage": psutil.cpu_percent(),
            "system/process_cpu_percentage": self._process.cpu_percent(),
            "system/process_memory_megabytes": self._process.memory_info().rss / _MEGABYTE,
            "system/system_memory_usage_megabytes": memory.used / _MEGABYTE,
            "system/system_memory_usage_percentage": memory.percent,
        }
        for index, handle in self._gpus.items():
            found |= _gpu(index, handle)
        return found


def num_gpus() -> int:
    """Return how many GPUs this process may see."""
    return len(_gpus())


def _gpu(index: int, handle: object) -> dict[str, float]:
    memory, busy = pynvml.nvmlDeviceGetMemoryInfo(handle), pynvml.nvmlDeviceGetUtilizationRates(handle)
    name = f"system/gpu_{index}"
    return {f"{name}_utilization_percentage": float(busy.gpu), f"{name}_memory_usage_megabytes": memory.used / _MEGABYTE,
            f"{name}_memory_usage_percentage": 100 * memory.used / memory.total,
            f"{name}_power_usage_watts": pynvml.nvmlDeviceGetPowerUsage(handle) / 1000}


def _gpus() -> dict[int, object]:
    """Return handles of the GPUs that this process may see; none where NVIDIA's library is not installed."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        return {}
    wanted = visible_gpus()
    found = {}
    for index in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        if wanted is None or {str(index), str(pynvml.nvmlDeviceGetUUID(handle))} & wanted:
            found[index] = handle
    return found
