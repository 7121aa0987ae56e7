"""Measure how the shipped landmarker's errors go together, and write the statistic that the fit uses.

    python scripts/measure_landmark_errors.py [--data ../shared/data] [--record]

Error: the landmarks that detector and landmarker find in photos of people of the training split, less the
teacher's labels, in the upright frame of ``facewright.detection.landmark_errors``. Run it again whenever the
landmarker changes. The modes' share is also printed for people that neither training nor this statistic saw.
"""

from pathlib import Path

import numpy as np
import torch
from numpy import ndarray

from facewright.core.assets import write_safetensors
from facewright.detection.landmark_errors import FILE, upright_frames
from fit_evaluation.found_faces import found_faces
from training_data.commands import asset_options, finish_asset
from training_data.photos import PhotoSet, load_photos

MODES = 16
BY = "python scripts/measure_landmark_errors.py --data ../shared/data --record"
LICENCE = "Apache-2.0; a statistic of the landmarker's errors on research images, of which none is contained"


def errors_on(photos: PhotoSet, count: int, seed: int) -> ndarray:
    """Errors (N, 478, 2) of the landmarks found in some photos, in their upright frames."""
    rows = np.random.default_rng(seed).permutation(len(photos))[:count]
    kept, found = found_faces(photos, rows)
    points = torch.from_numpy(found).double()
    turn, radius = upright_frames(points)
    difference = points - torch.from_numpy(photos.landmarks[kept, :, :2]).double()
    return ((difference @ turn) / radius[:, None, None]).numpy()


def principal_modes(errors: ndarray, count: int) -> tuple[ndarray, ndarray]:
    """Mean (478, 2) and modes (count, 478, 2) of one standard deviation, the strongest first."""
    mean = errors.mean(0)
    flat = (errors - mean).reshape(len(errors), -1)
    _, singular, rows = np.linalg.svd(flat, full_matrices=False)
    modes = rows[:count] * (singular[:count] / np.sqrt(len(errors)))[:, None]
    return mean, modes.reshape(count, *mean.shape)


def share_explained(errors: ndarray, mean: ndarray, modes: ndarray) -> float:
    """Part of the errors' variance about the mean that lies in the span of the modes."""
    flat = (errors - mean).reshape(len(errors), -1)
    basis = np.linalg.qr(modes.reshape(len(modes), -1).T)[0]
    return float(((flat @ basis) ** 2).sum() / (flat**2).sum())


def main() -> None:
    """Measure, print, write."""
    parser = asset_options(__doc__, FILE)
    parser.add_argument("--photos", type=int, default=1600)
    parser.add_argument("--modes", type=int, default=MODES)
    parser.add_argument("--keep", type=Path, help="also write the errors themselves here (npz)")
    options = parser.parse_args()
    photos = load_photos(options.data)
    seen = errors_on(photos.select(~photos.kept_out), options.photos, seed=0)
    unseen = errors_on(photos.select(photos.kept_out), options.photos // 4, seed=1)
    if options.keep:
        np.savez(options.keep, seen=seen, unseen=unseen)
    mean, modes = principal_modes(seen, options.modes)
    for name, errors in (("training people", seen), ("kept-out people", unseen)):
        size = np.sqrt((errors**2).sum(-1).mean())
        print(
            f"{name}: {len(errors)} faces, rms {size:.4f} of the radius, "
            f"{share_explained(errors, mean, modes):.1%} of the variance in {len(modes)} modes"
        )
    print(f"mean error: rms {np.sqrt((mean**2).sum(-1).mean()):.4f} of the radius")
    tensors = {"mean": torch.from_numpy(mean).half(), "modes": torch.from_numpy(modes).half()}
    notes = {"command": BY, "faces": str(len(seen)), "unit": "root mean square distance from the middle"}
    write_safetensors(options.out, tensors, {**notes, "licence": LICENCE})
    finish_asset(options, LICENCE, BY)


if __name__ == "__main__":
    main()
