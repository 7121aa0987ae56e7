"""Write the averaged weights of a training checkpoint into the package, with a note of their origin."""

import argparse
import json
from pathlib import Path

import torch

from facewright.core.assets import assets_folder, record_asset
from facewright.networks.heads import FaceNetwork, LandmarkNetwork
from facewright.networks.weights import write_weights
from train_landmarker import SETTINGS

NETWORKS = {
    "detector": FaceNetwork,
    "landmarker_first": lambda: LandmarkNetwork(SETTINGS["first"]),
    "landmarker_second": lambda: LandmarkNetwork(SETTINGS["second"]),
}
LICENCE = (
    "Apache-2.0; trained on research images (LFW and YouTube Faces families), of which none is contained"
)
DATA = (
    "faces_in_the_wild (11,028 photos) and faces_in_colour (4,740 frames), labelled by MediaPipe; "
    "a tenth of the identities kept out (facewright/data/datasets/kept_out.py); also faces turned by "
    "turn_faces.py and, for the landmarkers, renderings of the base model by render_faces.py"
)


def main() -> None:
    """Ship one network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(NETWORKS))
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--command", required=True, help="the training command, kept in the file")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--metrics", default="{}", help="JSON of measured figures, kept in the file")
    parser.add_argument("--to", type=Path, help="write here instead of into the package")
    options = parser.parse_args()
    state = torch.load(options.checkpoint, weights_only=True)
    network = NETWORKS[options.name]()
    network.load_state_dict(state["average"])
    notes = {
        "licence": LICENCE,
        "data": DATA,
        "command": options.command,
        "seed": options.seed,
        "steps": str(state["step"]),
        "metrics": json.dumps(json.loads(options.metrics)),
    }
    path = options.to or assets_folder() / f"{options.name}.safetensors"
    write_weights(path, network, notes)
    if options.to is None:
        record_asset(path.name, licence=LICENCE, built_by=options.command)
    print(f"{path}: {path.stat().st_size} bytes, step {state['step']}")


if __name__ == "__main__":
    main()
