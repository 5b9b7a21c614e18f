"""Import weights as a start checkpoint: `python -m model.weights --vision DIR --decoder DIR --out DIRECTORY`.

The encoder is of CLIP, SigLIP or open_clip, the decoder any causal language model; each is a folder or a hub name
(`owner/name@revision`). Prints one JSON object: identity of the content, parameters, tensors left out, tokens added.
`--whole DIR` publishes a whole model of another family instead, to be evaluated as it is (`evaluate.model`).
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
from model.weights.whole import publish_whole

BAD_INPUT = 2
"""Exit code for wrong input, the same as that of the command `ablate`."""


def main(arguments: list[str]) -> int:
    """Parse the arguments, import the weights, print the result; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m model.weights", description=__doc__)
    parser.add_argument("--vision", help="encoder: a folder or a hub name")
    parser.add_argument("--decoder", help="causal language model: a folder or a hub name")
    parser.add_argument("--whole", type=Path, help="a whole image-text-to-text model of transformers, to evaluate as it is: a folder")
    parser.add_argument("--preset", help="model that gives the shape of the encoder or decoder that is not imported")
    parser.add_argument("--connector", choices=sorted(CONNECTORS), default="c_abstractor", help="kind of the connector")
    parser.add_argument("--hidden", type=int, default=1024, help="channels of the C-Abstractor")
    parser.add_argument("--depth", type=int, default=3,
                        help="blocks of the C-Abstractor before and again after pooling")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights that are not imported")
    parser.add_argument("--out", type=Path, required=True,
                        help="directory to publish the checkpoint as; must not exist")
    given = parser.parse_args(arguments)
    try:
        if given.out.exists():
            raise ValueError(f"{given.out}: exists already")
        if given.whole:
            sys.stdout.write(json.dumps(publish_whole(given.whole, given.out), indent=1) + "\n")
            return 0
        shape = {"kind": given.connector, "hidden": given.hidden, "depth": given.depth}
        assembly = Assembly(vision=given.vision, decoder=given.decoder, preset=given.preset,
                            connector=build(ConnectorConfig, shape, "connector"), seed=given.seed)
        summary = assemble(assembly, given.out)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    sys.stdout.write(json.dumps(summary, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
