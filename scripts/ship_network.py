"""Write the averaged weights of a training checkpoint into the package, with a note of their origin."""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from facewright.core.assets import assets_folder, read_safetensors, record_asset
from facewright.methods.recognition.weights import recognition_network
from facewright.methods.specular.model import SpecularNetwork
from facewright.methods.sphere.encoder import EncoderSettings
from facewright.methods.sphere.head_encoder import HeadEncoder, HeadEncoderSettings, told_head
from facewright.models.base import load_base_model
from facewright.models.sphere_model import FACE
from facewright.models.storage import load_face_model
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
SAME_IDENTITY = 0.05  # of the size of random faces, by which versions of a head may differ
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
    if "axes.to_head" not in tensors:
        raise SystemExit(f"{path}: the run does not keep the axes of its codes: train it again.")
    network = HeadEncoder(HeadEncoderSettings(**given, identity=tensors["axes.to_head"].shape[1]))
    network.load_state_dict({n: v for n, v in tensors.items() if n.startswith(("encoder.", "axes."))})
    folds = " ".join(map(str, told["sphere.kept_out_folds"]))
    data = (
        f"faces_in_the_wild and faces_in_colour, of which {told['sphere.people']} people, "
        f"{told['sphere.photos']} photos, landmarks by MediaPipe; kept out: a tenth of the people "
        f"(facewright/data/datasets/kept_out.py) and those in folds {folds} of pairs.csv"
    )
    return network, header["steps"], data


def head_of(checkpoint: Path, file: Path | None) -> dict[str, str]:
    """Header by which the sphere's encoder says of which head it is, and in which versions.

    Args:
        checkpoint: of ``facewright train sphere``.
        file: the head that it was trained on; the shipped one if None.
    """
    told = json.loads(read_safetensors(checkpoint)[1]["settings"])["sphere.model"]
    base = load_base_model()
    head = load_face_model(file) if file else base
    if [head.name, head.version] != told:
        raise SystemExit(f"trained on {told}, got {head.name} {head.version}: give --trained-head FILE.")
    versions = [head.version]
    if head.name == base.name and head.version != base.version:
        same = torch.equal(head.topology.faces, base.topology.faces)
        if not same or head.identity_count != base.identity_count:
            raise SystemExit("the shipped head has another topology or other coefficients: train again.")
        faces = torch.randn(100, base.identity_count, generator=torch.Generator().manual_seed(0))
        moves = [(m.vertices(faces) - m.mean)[:, m.regions[FACE]] for m in (head, base)]
        size, change = (float(x.square().sum(2).mean().sqrt()) for x in (moves[0], moves[1] - moves[0]))
        print(f"random faces: {size:.2f} mm from the mean, in the shipped head {change:.3f} mm elsewhere")
        if change > SAME_IDENTITY * size:
            raise SystemExit("the coefficients mean something else in the shipped head: train again.")
        versions.append(base.version)
    return told_head(head, versions)


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
    parser.add_argument(
        "--trained-head", type=Path, help="of sphere_encoder: file of the head, if it is not the shipped one"
    )
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
    if options.name == "sphere_encoder":
        notes |= head_of(options.checkpoint, options.trained_head)
    path = options.to or assets_folder() / f"{options.name}.safetensors"
    write_weights(path, network, notes)
    if options.to is None:
        record_asset(path.name, licence=LICENCE, built_by=options.command)
    print(f"{path}: {path.stat().st_size} bytes, step {steps}")


if __name__ == "__main__":
    main()
