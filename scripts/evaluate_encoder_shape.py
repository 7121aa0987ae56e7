"""How near the shapes of the identity encoder, the fit and the mean head are to those of synthetic people.

Photos are rendered from heads that the encoder's training never showed. Errors are
of neutral faces over the region ``face``, best similarity; the cosine is that of a face's difference from the
mean face with the true one's. A photo in which no face is found is left out and counted.

Example: ``python scripts/evaluate_encoder_shape.py --photos 80``.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity

from facewright.core.progress import ProgressBar
from facewright.data.synthesis import open_studio, photos_of_one
from facewright.geometry.alignment import align_points
from facewright.models.base import load_base_model
from facewright.models.sphere_model import FACE, unit
from facewright.pipeline.identity import IdentityReader

METHODS = ("fit", "sphere")
SEED = 8
FIRST = 4000  # number of the first photo


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=80)
    parser.add_argument("--model", type=Path, help="a face model that heads are asked of, such as the sphere")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_base_model()
    studio, face = open_studio(model), model.regions[FACE]
    readers = {method: IdentityReader.load(method, model_file=options.model) for method in METHODS}
    mean = model.mean[face].double()
    squared: dict[str, list[float]] = {name: [] for name in ("mean head", *METHODS)}
    cosine: dict[str, list[float]] = {method: [] for method in METHODS}
    with ProgressBar(options.photos) as bar:
        for number in range(FIRST, FIRST + options.photos):
            bar.advance()
            shown = photos_of_one(studio, SEED, [number])[0]
            found = readers["fit"].finder(shown.image)
            if not found:
                continue
            true = model.vertices(shown.parameters.identity[:1])[0, face].double()
            squared["mean head"].append(squared_error(mean, true))
            for method, reader in readers.items():
                code = torch.from_numpy(reader.codes([shown.image], found[0].points[None])).float()
                scale, direction = code.norm(dim=1), unit(code)
                head = reader.sphere.face_model.vertices(
                    reader.sphere.codes_from_scale_direction(scale, direction)
                )
                mesh = head[0, face].double()
                squared[method].append(squared_error(mesh, true))
                differences = (aligned(each, mean) - mean for each in (mesh, true))
                first, second = (each.flatten() for each in differences)
                cosine[method].append(float(cosine_similarity(first, second, dim=0)))
    count = len(squared["mean head"])
    told = {
        "photos": count,
        "without_a_face": options.photos - count,
        "rms_mm": {name: round(float(np.mean(values)) ** 0.5, 2) for name, values in squared.items()},
        "cosine": {name: round(float(np.mean(values)), 3) for name, values in cosine.items()},
        "cosine_error": {
            name: round(float(np.std(values)) / count**0.5, 3) for name, values in cosine.items()
        },
    }
    print(json.dumps(told, indent=1))


def aligned(mesh: Float[Tensor, "V 3"], to: Float[Tensor, "V 3"]) -> Float[Tensor, "V 3"]:
    """A mesh moved by the best similarity."""
    return align_points(mesh[None], to[None], with_scale=True).apply(mesh[None])[0]


def squared_error(mesh: Float[Tensor, "V 3"], true: Float[Tensor, "V 3"]) -> float:
    """Mean squared distance of corresponding points, mm^2."""
    return float((aligned(mesh, true) - true).square().sum(1).mean())


if __name__ == "__main__":
    main()
