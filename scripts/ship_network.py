"""Write the averaged weights of a training checkpoint into the package, with a note of their origin."""

import argparse
import json
from pathlib import Path
from typing import Any

from torch import nn

from facewright.core.assets import assets_folder, read_safetensors, record_asset
from facewright.data.aligned_faces import kept_out_text
from facewright.methods.recognition.weights import recognition_network
from facewright.methods.specular.model import SpecularNetwork
from facewright.methods.specular.settings import NetworkSettings
from facewright.methods.sphere.encoder import EncoderSettings
from facewright.methods.sphere.head_encoder import HeadEncoder, HeadEncoderSettings
from facewright.models.base import load_base_model
from facewright.models.storage import load_face_model
from facewright.models.told_head import told_head
from facewright.networks.heads import FaceNetwork, LandmarkNetwork
from facewright.networks.segmentation import SegmentationNetwork, SegmentationNetworkSettings
from facewright.networks.weights import write_weights
from facewright.training.checkpoint import FORMAT, origin_notes, trained_network
from training_data.landmarker_task import SETTINGS

NETWORKS = {
    "detector": FaceNetwork,
    "landmarker_first": lambda: LandmarkNetwork(SETTINGS["first"]),
    "landmarker_second": lambda: LandmarkNetwork(SETTINGS["second"]),
}
# Networks that belong to a head: the task that trains them.
HEADS = {"sphere_encoder": "sphere", "specular": "specular"}
Shipped = tuple[nn.Module, dict[str, str]]


def detection(name: str, path: Path) -> Shipped:
    """Network and header of ``best.safetensors`` of ``train_detector.py`` or ``train_landmarker.py``."""
    tensors, header = read_safetensors(path)
    if (header.get("format"), header.get("task")) != (FORMAT, name):
        raise SystemExit(f"{path}: expected best.safetensors of the training of {name}.")
    network = NETWORKS[name]()
    network.load_state_dict(tensors)
    return network, header


def recognition(path: Path) -> Shipped:
    """The network of a run of ``facewright train recognition``, and its header with the data."""
    network, header = recognition_network(path)
    told = json.loads(header["settings"])
    seen = f"{told['recognition.people']} people, {told['recognition.photos']} photos"
    kept_out = kept_out_text(told["recognition.kept_out_folds"])
    data = f"faces_in_the_wild and faces_in_colour, of which {seen}; {kept_out}"
    return network, {"data": data, **header}


def sphere_encoder(path: Path) -> tuple[HeadEncoder, dict[str, str]]:
    """The encoder of a run of ``facewright train sphere``, and its header with the data."""
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
    data = (
        f"faces_in_the_wild and faces_in_colour, of which {told['sphere.people']} people, "
        f"{told['sphere.photos']} photos, landmarks by MediaPipe; "
        f"{kept_out_text(told['sphere.kept_out_folds'])}"
    )
    if "sphere.synthetic" in told:
        data += "; shapes from synthetic photos"
    return network, {"data": data, **header}


def specular(path: Path) -> Shipped:
    """The network of a run of ``facewright train specular``, and its header with the data."""
    network, header = trained_network(path, "specular", SpecularNetwork, NetworkSettings)
    sources = json.loads(header["settings"]).get("specular.data", [])
    sets = [one for source in sources for one in source["sets"]]
    if not sets:
        return network, header
    told = [
        f"{one['photos']} photos of {one['name']}" + (f" (seed {one['seed']})" if "seed" in one else "")
        for one in sets
    ]
    kept = sum(one.get("kept_out", 0) for one in sets)
    data = f"{', '.join(told)}; kept out: {kept} synthetic photos, a tenth of the people of the others"
    return network, {"data": f"examples of scripts/prepare_specular.py: {data}", **header}


def head_of(name: str, checkpoint: Path, file: Path | None) -> dict[str, str]:
    """Header by which a network says of which head it is.

    Args:
        name: of the network, one of ``HEADS``.
        checkpoint: of its training.
        file: the head that it was trained on; the shipped one if None.
    """
    told = json.loads(read_safetensors(checkpoint)[1]["settings"])[f"{HEADS[name]}.model"]
    head = load_face_model(file) if file else load_base_model()
    if [head.name, head.version] != told:
        raise SystemExit(f"trained on {told}, got {head.name} {head.version}: give --head FILE.")
    return told_head(head)


TASKS = {
    "glasses": lambda path: trained_network(
        path, "glasses", SegmentationNetwork, SegmentationNetworkSettings
    ),
    "recognition": recognition,
    "segmentation": lambda path: trained_network(
        path, "segmentation", SegmentationNetwork, SegmentationNetworkSettings
    ),
    "sphere_encoder": sphere_encoder,
    "specular": specular,
}


def main() -> None:
    """Ship one network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*sorted(NETWORKS), *TASKS])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--licence", required=True, help="of the weights, and what they were trained on")
    parser.add_argument("--data", help="what they were trained on; needed where the run does not tell it")
    parser.add_argument("--command", help="the training command, if the run's own is to be another")
    parser.add_argument("--metrics", type=json.loads, help="JSON of measured figures beside the run's own")
    parser.add_argument("--to", type=Path, help="write here instead of into the package")
    parser.add_argument(
        "--head", type=Path, help="file of the head that it was trained on, if not the shipped one"
    )
    options = parser.parse_args()
    if read_safetensors(options.checkpoint)[1].get("format") != FORMAT:
        raise SystemExit(f"{options.checkpoint}: expected best.safetensors of a training.")
    load = TASKS.get(options.name)
    network, header = load(options.checkpoint) if load else detection(options.name, options.checkpoint)
    given = {"data": options.data, "command": options.command, "licence": options.licence}
    notes = origin_notes(header) | {name: text for name, text in given.items() if text is not None}
    missing = sorted({"data", "command"} - notes.keys())
    if missing:
        raise SystemExit(f"the run does not tell its {' and its '.join(missing)}: give --{missing[0]} TEXT.")
    if options.metrics is not None:
        notes["metrics"] = json.dumps(json.loads(notes.get("metrics", "{}")) | options.metrics)
    if options.name in HEADS:
        notes |= head_of(options.name, options.checkpoint, options.head)
    path = options.to or assets_folder() / f"{options.name}.safetensors"
    write_weights(path, network, notes)
    if options.to is None:
        record_asset(path.name, licence=options.licence, built_by=notes["command"])
    print(f"{path}: {path.stat().st_size} bytes, step {header.get('steps')}")


if __name__ == "__main__":
    main()
