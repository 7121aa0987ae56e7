"""Write the averaged weights of a training checkpoint into the package, with a note of their origin."""

import argparse
import json
from pathlib import Path
from typing import Any

from torch import nn

from facewright.core.assets import assets_folder, read_safetensors, record_asset
from facewright.methods.recognition.weights import recognition_network
from facewright.methods.specular.model import SpecularNetwork
from facewright.methods.sphere.encoder import EncoderSettings, SphereEncoder
from facewright.networks.heads import FaceNetwork, LandmarkNetwork
from facewright.networks.segmentation import SegmentationNetwork
from facewright.networks.weights import write_weights
from facewright.training.checkpoint import FORMAT
from training_data.landmarker_task import SETTINGS

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
SEGMENTATION_DATA = (
    "crops of scripts/cut_segmentation_crops.py: synthetic-celeba and synthetic-300wlp of facewright "
    "synthesize (2,700 photos of each) with exact labels, faces_in_the_wild and faces_in_colour (2,700 of "
    "each) with landmarks by MediaPipe; a tenth of the identities kept out"
)
SPECULAR_DATA = (
    "examples of scripts/prepare_specular.py: synthetic-celeba (6,000) and synthetic-300wlp (3,000 photos) "
    "of facewright synthesize, 1,800 frames of faces_in_colour and 500 photos of faces_in_the_wild with "
    "landmarks by the shipped landmarker; a tenth of the identities kept out"
)


def detection(name: str, path: Path) -> tuple[nn.Module, str, str]:
    """Network, steps and data of ``best.safetensors`` of ``train_detector.py`` or ``train_landmarker.py``."""
    tensors, header = read_safetensors(path)
    if (header.get("format"), header.get("task")) != (FORMAT, name):
        raise SystemExit(f"{path}: expected best.safetensors of the training of {name}.")
    network = NETWORKS[name]()
    network.load_state_dict(tensors)
    return network, header["steps"], DATA


def best(task: str, network: nn.Module, data: str, path: Path) -> tuple[nn.Module, str, str]:
    """Network, steps and data of ``best.safetensors`` of ``facewright train TASK``."""
    tensors, header = read_safetensors(path)
    if (header.get("format"), header.get("task")) != (FORMAT, task):
        raise SystemExit(f"{path}: expected best.safetensors of facewright train {task}.")
    network.load_state_dict(tensors)
    return network, header["steps"], data


def recognition(path: Path) -> tuple[nn.Module, str, str]:
    """The network of a run of ``facewright train recognition``, its steps and its data."""
    network, header = recognition_network(path)
    told = json.loads(header["settings"])
    seen = f"{told['recognition.people']} people, {told['recognition.photos']} photos"
    folds = " ".join(map(str, told["recognition.kept_out_folds"]))
    data = (
        f"faces_in_the_wild and faces_in_colour, of which {seen}; kept out: a tenth of the people "
        f"(facewright/data/datasets/kept_out.py) and those in folds {folds} of pairs.csv"
    )
    return network, header["steps"], data


def sphere_encoder(path: Path) -> tuple[nn.Module, str, str]:
    """The encoder of a run of ``facewright train sphere``, its steps and its data."""
    tensors, header = read_safetensors(path)
    if (header.get("format"), header.get("task")) != (FORMAT, "sphere"):
        raise SystemExit(f"{path}: expected best.safetensors of facewright train sphere.")
    told = json.loads(header["settings"])
    sizes = {name: told[f"sphere.network.{name}"] for name in EncoderSettings.__dataclass_fields__}
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in sizes.items()}
    network = SphereEncoder(EncoderSettings(**given))
    prefix = "encoder."
    network.load_state_dict({n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)})
    folds = " ".join(map(str, told["sphere.kept_out_folds"]))
    data = (
        f"faces_in_the_wild and faces_in_colour, of which {told['sphere.people']} people, "
        f"{told['sphere.photos']} photos, landmarks by MediaPipe; kept out: a tenth of the people "
        f"(facewright/data/datasets/kept_out.py) and those in folds {folds} of pairs.csv"
    )
    return network, header["steps"], data


TASKS = {
    "recognition": recognition,
    "segmentation": lambda path: best("segmentation", SegmentationNetwork(), SEGMENTATION_DATA, path),
    "sphere_encoder": sphere_encoder,
    "specular": lambda path: best("specular", SpecularNetwork(), SPECULAR_DATA, path),
}


def main() -> None:
    """Ship one network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*sorted(NETWORKS), *TASKS])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--command", required=True, help="the training command, kept in the file")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--metrics", default="{}", help="JSON of measured figures, kept in the file")
    parser.add_argument("--to", type=Path, help="write here instead of into the package")
    options = parser.parse_args()
    if options.name in TASKS:
        network, steps, data = TASKS[options.name](options.checkpoint)
    else:
        network, steps, data = detection(options.name, options.checkpoint)
    notes = {
        "licence": LICENCE,
        "data": data,
        "command": options.command,
        "seed": options.seed,
        "steps": steps,
        "metrics": json.dumps(json.loads(options.metrics)),
    }
    path = options.to or assets_folder() / f"{options.name}.safetensors"
    write_weights(path, network, notes)
    if options.to is None:
        record_asset(path.name, licence=LICENCE, built_by=options.command)
    print(f"{path}: {path.stat().st_size} bytes, step {steps}")


if __name__ == "__main__":
    main()
