"""Whether each GPU multiplies as it should and runs a compiled kernel: `python -m model.training.device_check`.

Prints a JSON list with name, memory in GiB and problem ("" if there is none) of every device; an empty list without one.
"""

from __future__ import annotations

import json

import torch

SIDE = 512
TOLERANCE = 1e-2


def main() -> None:
    """Check all devices."""
    print(json.dumps([check(torch.device("cuda", number)) for number in range(torch.cuda.device_count())]))  # noqa: T201


def check(device: torch.device) -> dict[str, str | float]:
    """Return what one device is, and what is wrong with it."""
    properties = torch.cuda.get_device_properties(device)
    return {"name": f"{device}: {properties.name}", "memory_gib": properties.total_memory / 2**30, "problem": problem_of(device)}


def problem_of(device: torch.device) -> str:
    """Multiply two matrices on a device, plainly and in a compiled function; return what is wrong, "" if nothing."""
    left = torch.linspace(-1, 1, SIDE * SIDE, dtype=torch.float64).reshape(SIDE, SIDE)
    wanted = torch.relu(left @ left.T)
    try:
        plain = _product(left.float().to(device))
        compiled = torch.compile(_product)(left.float().to(device))
    except (RuntimeError, OSError) as error:  # torch's own errors of compilers and drivers are RuntimeErrors
        return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
    for name, found in (("matmul", plain), ("compiled kernel", compiled)):
        if not torch.allclose(found.double().cpu(), wanted, rtol=TOLERANCE, atol=TOLERANCE * SIDE):
            return f"{name}: a product of {SIDE} x {SIDE} is wrong"
    return ""


def _product(left: torch.Tensor) -> torch.Tensor:
    return torch.relu(left @ left.T)


if __name__ == "__main__":
    main()
