"""Make a person's photos agree in a trained encoder: learn its last map anew, by regression.

    python scripts/settle_sphere_encoder.py --checkpoint build/encoder/best.safetensors
        --synthetic build/celeba build/300wlp --to build/settled.safetensors

Data and folds that are kept out are those of the training (``facewright train sphere``); the file that is
written is a checkpoint for ``scripts/ship_network.py sphere_encoder``. Takes five minutes of one core.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from numpy import ndarray
from torch import Tensor

from facewright.core.assets import read_safetensors, write_safetensors
from facewright.data.aligned_faces import load_crops, trained_people
from facewright.data.known_crops import load_known_crops
from facewright.methods.sphere.agreement import AgreementSettings, agree
from facewright.methods.sphere.encoder import Decoder, SphereEncoder
from facewright.methods.sphere.known import KnownFaces
from facewright.methods.sphere.likeness_start import Examples
from facewright.methods.sphere.recipe import default_sphere
from facewright.methods.sphere.start import seen_in
from ship_network import sphere_encoder


def main() -> None:
    """Settle one encoder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--crops", type=Path, default=Path("build/recognition_crops.npy"))
    parser.add_argument("--synthetic", type=Path, nargs="+", required=True)
    parser.add_argument("--rounds", type=int, default=AgreementSettings().rounds)
    parser.add_argument("--spread", type=float, default=AgreementSettings().spread, help="of people, mm")
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    network, header = sphere_encoder(options.checkpoint)[0], dict(read_safetensors(options.checkpoint)[1])
    told, sphere = json.loads(header["settings"]), default_sphere()
    if told["sphere.model"] != [sphere.face_model.name, sphere.face_model.version]:
        raise SystemExit(
            f"{options.checkpoint} was trained on {told['sphere.model']}, not on the shipped head."
        )
    crops = load_crops(options.data, options.crops)
    people = trained_people(crops, told["sphere.kept_out_folds"])
    rows = np.concatenate([np.array(each) for each in people.values()])
    whose = torch.from_numpy(np.repeat(np.arange(len(people)), [len(each) for each in people.values()]))
    cache = options.crops.with_suffix(".synthetic.npy")
    faces = KnownFaces.of(load_known_crops(options.synthetic, cache), sphere)
    encoder = network.encoder
    examples = Examples(
        seen=both_sides(encoder, crops.pixels, rows),
        people=whose,
        chances=torch.ones(len(rows)),
        known=both_sides(encoder, faces.crops.pixels, faces.seen),
        codes=faces.codes[faces.seen],
    )
    axes, settings = network.axes, AgreementSettings(options.rounds, options.spread)
    decoder = Decoder.of(sphere.face_model, axes.deviations, float(axes.scale))
    agree(encoder, examples, decoder, int(sphere.region.sum()), settings)
    told |= {f"agreement.{name}": value for name, value in asdict(settings).items()}
    header |= {"settings": json.dumps(told), "metrics": "{}", "curve": "[]"}  # the run's are of its own map
    write_safetensors(options.to, network.state_dict(), header)
    print(f"{options.to}: {len(rows)} photos of {len(people)} people, {len(faces.seen)} known faces")


def both_sides(
    encoder: SphereEncoder, pixels: UInt8[ndarray, "N S S"], rows: Int64[ndarray, " P"]
) -> Float[Tensor, "P S"]:
    """What the encoder sees in crops and their mirror images together, as it is asked for codes."""
    sides = (torch.cat(seen_in(encoder, pixels, rows, flipped), 1) for flipped in (False, True))
    return sum(sides, torch.zeros(1)) / 2


if __name__ == "__main__":
    main()
