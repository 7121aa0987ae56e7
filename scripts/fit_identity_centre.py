"""Find which identity of the shipped head is expected of anyone: the mean of scanned people.

    python scripts/fit_identity_centre.py [--data ../shared/data] [--record]

The mean head lies between a sculpted head and the neutral of the ICT Face Model Light, the mean of scans.
That neutral is fitted as a surface. Prints how far the midline of the face lies from the mean head's (mm;
aligned by eyes, mouth corners and base of the nose).
"""

import numpy as np
import torch

from base_model import gates
from base_model.scan_statistics import read_scan_model
from facewright.core.assets import write_safetensors
from facewright.fitting.identity_centre import FILE
from facewright.geometry.alignment import align_points
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.told_head import told_head
from training_data.commands import asset_options, finish_asset

BY = "python scripts/fit_identity_centre.py --data ../shared/data --record"
LICENCE = "CC0-1.0"
# mm^2 for a squared standard deviation. With 3 the centre is 2.3 standard deviations long and misses the
# surface by 0.22 mm; with 0.3 it is 7.1 long, misses it by 0.19 mm, and slides the nose's landmarks along the
# skin, so that fits from the front miss the nose of turned photos by 0.06 mm more (evaluate_profile.py).
PRIOR = 3.0
ALIGNED = [33, 133, 362, 263, 61, 291, 2]
MIDLINE = {
    "glabella": 9,
    "nasion": 168,
    "middle of the dorsum": 195,
    "nose tip": 1,
    "upper lip": 0,
    "lower lip": 17,
    "chin": 199,
}


def symmetric(model: FaceModel, coefficients: np.ndarray) -> torch.Tensor:
    """The part (K,) of coefficients whose shape is its own mirror image over the face."""
    basis = model.identity_basis.double()
    shape = torch.einsum("k,kvc->vc", torch.from_numpy(coefficients), basis)
    flip = shape.new_tensor([-1.0, 1.0, 1.0])
    shape = 0.5 * (shape + shape[model.mirror] * flip)
    face = model.regions["face"]
    flat = basis[:, face].flatten(1)
    # Modes that hardly move the face stay as they are: a millimetre in one vertex is a standard deviation.
    held = torch.eye(len(coefficients)).double()
    right = flat @ shape[face].flatten() + torch.from_numpy(coefficients)
    return torch.linalg.solve(flat @ flat.T + held, right)


def midline(model: FaceModel, identity: torch.Tensor) -> dict[str, tuple[float, float]]:
    """How far forward and up points of the midline lie from the mean head's, mm."""
    head = model.mean + torch.einsum("k,kvc->vc", identity, model.identity_basis)
    marks, mean = (model.landmark_points(each, "dense478").double() for each in (head, model.mean))
    moved = align_points(marks[None, ALIGNED], mean[None, ALIGNED], with_scale=True).apply(marks[None])[0]
    away = (moved - mean).numpy()
    return {name: (float(away[mark, 2]), float(away[mark, 1])) for name, mark in MIDLINE.items()}


def main() -> None:
    """Fit, print, write."""
    options = asset_options(__doc__, FILE).parse_args()
    model = load_base_model()
    fit = gates.scan_mean_fit(model, read_scan_model(options.data / "ict_facekit.npz"), PRIOR)
    centre = symmetric(model, fit.coefficients).float()
    asymmetry = float(np.linalg.norm(centre.numpy() - fit.coefficients))
    print(
        f"{len(centre)} modes, length {float(centre.norm()):.2f} (asymmetry left out: {asymmetry:.2f}); "
        f"surface missed by {np.abs(fit.residual).mean():.2f} mm"
    )
    for name, (forward, up) in midline(model, centre).items():
        print(f"{name:22s} {forward:+.2f} forward {up:+.2f} up")
    notes = {"command": BY, **told_head(model), "licence": LICENCE}
    write_safetensors(options.out, {"centre": centre}, notes)
    finish_asset(options, LICENCE, BY)


if __name__ == "__main__":
    main()
