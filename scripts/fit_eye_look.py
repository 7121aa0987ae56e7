"""Find the weights of the landmarker's look at eyes, print how well it sees, and write them.

    python scripts/fit_eye_look.py [--data ../shared/data] [--made build/turned.npz] [--record]

The filters are the first stages of the landmarker's second look; the last layer is ridge regression from what
they see in crops around eyes of people of the training split (and of faces turned to large yaw,
``scripts/turn_faces.py``) to the teacher's points. Crops lie off as those of the landmarker do; shut eyes and
eyes that look aside are drawn more often. Last it is tried on people whom nothing was learnt from.
"""

import json
from pathlib import Path

import numpy as np
import torch

from facewright.core.assets import asset_path
from facewright.detection.landmarker import EYES, SECOND
from facewright.networks.heads import EyeNetwork, LandmarkNetwork, LandmarkNetworkSettings
from facewright.networks.weights import read_weights, write_weights
from training_data.commands import asset_options, finish_asset
from training_data.eyes import CORNERS, EyeStore
from training_data.photos import join, load_made, load_photos

BY = "python scripts/fit_eye_look.py --data ../shared/data --made build/turned.npz --record"
LICENCE = (
    "Apache-2.0; trained on research images (LFW and YouTube Faces families), of which none is contained"
)
RIDGE = 0.3  # of the mean variance of a feature over all crops
HELD, PART = 3000, 1000
SHUT = 0.13  # breadths of an eye between its lids


def network_of_second() -> EyeNetwork:
    """With the filters of the second look, and no last layer yet."""
    second = read_weights(asset_path(SECOND), LandmarkNetwork, LandmarkNetworkSettings)
    network = EyeNetwork().eval()
    wanted = network.backbone.state_dict().keys()
    own = {name: value for name, value in second.backbone.state_dict().items() if name in wanted}
    network.backbone.load_state_dict(own)
    return network


def solve_last_layer(network: EyeNetwork, store: EyeStore, count: int, rng: np.random.Generator) -> None:
    """Set the last layer from ``count`` crops."""
    size, width = network.settings.input_size, network.points.in_features
    gram, right = torch.zeros(width + 1, width + 1).double(), 0.0
    rows = rng.choice(len(store), count, p=store.weights)
    middle = torch.from_numpy(store.points.mean(0)).flatten()
    for part in np.array_split(rows, max(1, count // PART)):
        crops, points = store.crops(part, rng, size)
        seen = torch.nn.functional.pad(network.seen(crops), (0, 1), value=1.0)
        gram += seen.T @ seen
        right = right + (seen.T @ (points.flatten(1) - middle)).double()
    spread = (gram.diagonal()[:-1] - gram[-1, :-1] ** 2 / count).mean()
    hold = torch.full((width + 1,), float(RIDGE * spread)).double()
    hold[-1] = 0
    found = torch.linalg.solve(gram + torch.diag(hold), right).float()
    network.points.weight.copy_(found[:-1].T)
    network.points.bias.copy_(found[-1] + middle)


def figures(network: EyeNetwork, store: EyeStore, rng: np.random.Generator) -> dict[str, float]:
    """Errors in per cent of the eye's breadth, and how well it tells glances and openings."""
    crops, points = store.crops(rng.permutation(len(store))[:HELD], rng, network.settings.input_size)
    found = torch.cat([network(part)[0] for part in crops.split(PART)])
    breadth = (points[:, CORNERS[0]] - points[:, CORNERS[1]]).norm(dim=-1)
    error = 100 * (found - points).norm(dim=-1) / breadth[:, None]
    aside = torch.stack([(p[:, 32, 0] - p[:, CORNERS, 0].mean(1)) / breadth for p in (found, points)])
    opened = torch.stack([(p[:, 4, 1] - p[:, 12, 1]) / breadth for p in (found, points)])
    shut = opened[1] < SHUT
    return {
        "eyes": len(points),
        "mean_error": round(float(error.mean()), 2),
        "irises_error": round(float(error[:, 32:].mean()), 2),
        "aside_correlation": round(float(torch.corrcoef(aside)[0, 1]), 3),
        "opened_correlation": round(float(torch.corrcoef(opened)[0, 1]), 3),
        "shut_opened": round(float(opened[0, shut].mean()), 3),
        "shut_opened_of_the_teacher": round(float(opened[1, shut].mean()), 3),
    }


def main() -> None:
    """Solve, print, write."""
    parser = asset_options(__doc__, EYES)
    parser.add_argument("--made", type=Path, nargs="*", default=[], help="of scripts/turn_faces.py")
    parser.add_argument("--count", type=int, default=44_000, help="crops")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    photos = load_photos(options.data)
    seen = join([photos.select(~photos.kept_out), *(load_made(path) for path in options.made)])
    store, rng = EyeStore(seen), np.random.default_rng(options.seed)
    network = network_of_second()
    with torch.no_grad():
        solve_last_layer(network, store, options.count, rng)
        told = figures(network, EyeStore(photos.select(photos.kept_out)), np.random.default_rng(1))
    print(f"{len(store)} eyes; kept-out people: {told}")
    notes = {"command": BY, "seed": str(options.seed), "licence": LICENCE, "metrics": json.dumps(told)}
    data = f"faces_in_the_wild and faces_in_colour, {len(store)} eyes of people of the training split"
    write_weights(options.out, network, {**notes, "data": data})
    finish_asset(options, LICENCE, BY)


if __name__ == "__main__":
    main()
