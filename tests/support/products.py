"""The types that matrix products run in."""

from collections import defaultdict
from contextlib import contextmanager

from torch.utils._python_dispatch import TorchDispatchMode

NAMES = ("mm", "_grouped_mm")


@contextmanager
def products():
    """Yield, for each kind of matrix product that runs inside, the set of types of its factors."""
    seen = defaultdict(set)

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, function, kinds, given=(), named=None):
            name = function.overloadpacket.__name__
            if name in NAMES:
                seen[name] |= {each.dtype for each in given[:2]}
            return function(*given, **(named or {}))

    with Recorder():
        yield seen
