"""Our fine-tuning step on made-up samples, as one line of JSON: `python ours_sft_step.py PRESET compiled|plain [BATCH DTYPE]`."""

import json
import sys
from dataclasses import replace

import torch

from model.config.stages import PRESETS
from model.training.dry_run import SAMPLES, rehearsal_config, rehearse
from model.training.throughput import WINDOW


def main(preset: str, blocks: str, batch: str = str(SAMPLES), dtype: str = "") -> None:
    model, reports = PRESETS[preset], []
    config = rehearsal_config(model, steps=WINDOW + 4, batch=int(batch))
    # The rate is that of the last steps: those before them warm up and compile.
    rehearse(model, replace(config, compile=blocks == "compiled", dtype=dtype or config.dtype), report=reports.append)
    last = reports[-1]
    print(json.dumps({"device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
                      **{name: last[name] for name in ("samples_per_s", "tflops_per_s", "peak_memory_gib", "loss")}}))


if __name__ == "__main__":
    main(*sys.argv[1:])
