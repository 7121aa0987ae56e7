"""Make a person's photos agree in a trained encoder: learn its last map anew, by regression.

    python scripts/settle_sphere_encoder.py --checkpoint build/encoder/best.safetensors
        --synthetic build/celeba build/300wlp --to build/settled.safetensors

Data and folds that are kept out are those of the training (``facewright train sphere``); the file that is
written is a checkpoint for ``scripts/ship_network.py sphere_encoder``. Takes minutes of one core.
Figures are of people kept out of training who are in no verification pair, and of synthetic photos kept out:
pairs told rightly and, of all pairs, true accepts at 1 % false ones (%), spreads of faces, distance from the
true faces (mm, not aligned) and its cosine.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from numpy import ndarray
from torch import Tensor

from facewright.core.assets import read_safetensors, write_safetensors
from facewright.data.aligned_faces import kept_out_pairs, load_crops, trained_people
from facewright.data.known_crops import load_known_crops
from facewright.evaluation.identity_metrics import Metric, pair_similarity, spread, true_accepts, verify
from facewright.methods.sphere.agreement import AgreementSettings, agree
from facewright.methods.sphere.encoder import Decoder, EncoderOutputs, SphereEncoder
from facewright.methods.sphere.known import KnownFaces, shape_figures
from facewright.methods.sphere.likeness_start import Examples
from facewright.methods.sphere.recipe import default_sphere
from facewright.methods.sphere.start import seen_in
from ship_network import sphere_encoder

METRICS: tuple[Metric, ...] = ("cosine", "euclidean")


def main() -> None:
    """Settle one encoder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--crops", type=Path, default=Path("build/recognition_crops.npy"))
    parser.add_argument("--synthetic", type=Path, nargs="+", required=True)
    parser.add_argument("--rounds", type=int, nargs="+", default=[AgreementSettings().rounds])
    parser.add_argument(
        "--to", type=Path, help="what the last number of rounds gives; only figures if left out"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    network, header = sphere_encoder(options.checkpoint)[0], dict(read_safetensors(options.checkpoint)[1])
    told, sphere = json.loads(header["settings"]), default_sphere()
    if told["sphere.model"] != [sphere.face_model.name, sphere.face_model.version]:
        raise SystemExit(
            f"{options.checkpoint} was trained on {told['sphere.model']}, not on the shipped head."
        )
    crops, folds = load_crops(options.data, options.crops), tuple(told["sphere.kept_out_folds"])
    people = trained_people(crops, folds)
    rows = np.concatenate([np.array(each) for each in people.values()])
    whose = torch.from_numpy(np.repeat(np.arange(len(people)), [len(each) for each in people.values()]))
    cache = options.crops.with_suffix(".synthetic.npy")
    faces = KnownFaces.of(load_known_crops(options.synthetic, cache), sphere)
    encoder = network.encoder
    examples = Examples(
        seen=both_sides(encoder, crops.pixels, rows),
        people=whose,
        chances=torch.bincount(whose)[whose].float() ** -told["sphere.share"],
        known=both_sides(encoder, faces.crops.pixels, faces.seen),
        codes=faces.codes[faces.seen],
    )
    pairs = kept_out_pairs(crops, folds)
    asked = np.unique(np.concatenate(pairs[:2]))
    names = np.unique([crops.identity[row] for row in asked], return_inverse=True)[1]
    sides = [np.searchsorted(asked, side) for side in pairs[:2]]
    kept = both_sides(encoder, crops.pixels, asked)
    held = both_sides(encoder, faces.crops.pixels, faces.held)
    axes, vertices = network.axes, int(sphere.region.sum())
    decoder = Decoder.of(sphere.face_model, axes.deviations, float(axes.scale))
    own = {name: value.clone() for name, value in encoder.state_dict().items()}
    for rounds in options.rounds:
        encoder.load_state_dict(own)
        settings = AgreementSettings(rounds)
        if rounds:  # else the map of the training
            agree(encoder, examples, decoder, vertices, settings)
            told |= {f"agreement.{name}": value for name, value in asdict(settings).items()}
        codes = codes_of(encoder, decoder, kept).double().numpy()
        found = figures(codes, names, sides, pairs[2], vertices)
        found |= shape_figures(codes_of(encoder, decoder, held), faces.codes[faces.held], vertices)
        print(rounds, json.dumps({name: round(value, 3) for name, value in found.items()}), flush=True)
        # The run's figures are of its own map.
        header |= {"settings": json.dumps(told), "metrics": json.dumps(found), "curve": "[]"}
    if options.to:
        write_safetensors(options.to, network.state_dict(), header)


def codes_of(encoder: SphereEncoder, decoder: Decoder, seen: Float[Tensor, "P S"]) -> Float[Tensor, "P D"]:
    """Codes of what was seen in crops and their mirror images together."""
    features = encoder.settings.features
    with torch.no_grad():
        code = encoder.identity(seen[:, :features], seen[:, features:])
        outputs = EncoderOutputs(code, encoder.heads(seen[:, features:]))
        return decoder.decode(outputs, encoder.settings, encoder.mixing).code


def figures(
    codes: Float[ndarray, "P D"],
    people: Int64[ndarray, " P"],
    sides: list[ndarray],
    same: Bool[ndarray, " N"],
    vertices: int,
) -> dict[str, float]:
    """What codes of kept-out people tell of them; sides are of pairs, by number of the codes."""
    alike = {metric: pair_similarity(codes[sides[0]], codes[sides[1]], metric) for metric in METRICS}
    found = {f"kept_out_{name}": 100 * verify(each, same).accuracy for name, each in alike.items()}
    apart = spread(codes / vertices**0.5, people)
    found |= {"true_accepts_at_1_percent": strict(codes, people)}
    return found | {"within_mm": apart.within, "between_mm": apart.between, "ratio": apart.ratio}


def strict(codes: Float[ndarray, "P D"], people: Int64[ndarray, " P"]) -> float:
    """Photos of one person that are told by their cosine where 1 % of all pairs of two people are, too, %."""
    along = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    first, second = np.triu_indices(len(codes), 1)
    return 100 * true_accepts((along @ along.T)[first, second], people[first] == people[second], 0.01)


def both_sides(
    encoder: SphereEncoder, pixels: UInt8[ndarray, "N S S"], rows: Int64[ndarray, " P"]
) -> Float[Tensor, "P S"]:
    """What the encoder sees in crops and their mirror images together, as it is asked for codes."""
    sides = (torch.cat(seen_in(encoder, pixels, rows, flipped), 1) for flipped in (False, True))
    return sum(sides, torch.zeros(1)) / 2


if __name__ == "__main__":
    main()
