"""Import weights as a start checkpoint: `python -m model.weights --vision DIR --decoder DIR --out DIRECTORY`.

Encoders of CLIP, SigLIP or open_clip, decoders of any causal language model; folders or hub names (`owner/name@revision`).
Prints one JSON object: the identity of the content, parameters, tensors left out, tokens added.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from model.config.fields import build
from model.config.stages import ConnectorConfig
from model.network.connector import CONNECTORS
from model.weights.assemble import Assembly, assemble

BAD_INPUT = 2
"""Exit code, as the command `ablate` has it."""


def main(arguments: list[str]) -> int:
    """Parse, import, print."""
    parser = argparse.ArgumentParser(prog="python -m model.weights", description=__doc__)
    parser.add_argument("--vision", help="encoder: a folder or a hub name")
    parser.add_argument("--decoder", help="causal language model: a folder or a hub name")
    parser.add_argument("--preset", help="shape of the half that is not imported; it is drawn from the seed")
    parser.add_argument("--connector", choices=sorted(CONNECTORS), default="c_abstractor")
    parser.add_argument("--hidden", type=int, default=1024, help="channels of the C-Abstractor")
    parser.add_argument("--depth", type=int, default=3, help="its blocks before and again after the pooling")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    parser.add_argument("--out", type=Path, required=True, help="directory to publish the checkpoint as; must not exist")
    given = parser.parse_args(arguments)
    try:
        if given.out.exists():
            raise ValueError(f"{given.out}: exists already")
        connector = build(ConnectorConfig, {"kind": given.connector, "hidden": given.hidden, "depth": given.depth}, "connector")
        made = assemble(Assembly(vision=given.vision, decoder=given.decoder, preset=given.preset, connector=connector, seed=given.seed),
                        given.out)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    sys.stdout.write(json.dumps(made, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
