"""Print how well the head from a frontal photo fits another photo that shows the same person turned.

    python scripts/evaluate_profile.py [--data ../shared/data]

The identity comes from the labelled landmarks of a photo whose yaw is below 12 degrees; in a photo of at
least 25 degrees pose and expression are fitted with this identity held. Errors are distances between its
labelled landmarks and the head's, mm at the head, means over pairs of photos, two drawn for each person of
both photo sets, and over the pairs of people who are kept out of all statistics. The labels are what
MediaPipe sees: they tell which head is more like the person as it sees people, and it makes people more alike
than scans do.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facewright.data.aligned_faces import FOLDERS
from facewright.data.datasets.kept_out import is_kept_out
from facewright.data.datasets.labelled_folders import read_labelled_folder
from facewright.data.datasets.record import FacePhoto
from facewright.detection.points import LIPS
from facewright.fitting.landmark import fit_landmarks, refit_known
from facewright.fitting.landmark_basis import LandmarkBasis, basis_of_found
from facewright.fitting.records import FaceFit, project_landmarks
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.scene.camera import PerspectiveCamera

FRONTAL, TURNED, DRAWN = 12.0, 25.0, 2  # degrees of yaw, and pairs of a person
BLOCK, STEPS = 256, 8  # photos at a time; steps of the fit to the turned photo
PARTS = {
    "nose": (168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 98, 327, 129, 358, 48, 278, 64, 294, 45, 275, 220, 440),
    "lips": LIPS,
    "chin": (18, 200, 199, 175, 83, 313, 201, 421, 208, 428),
}


@dataclass(frozen=True)
class Seen:
    """Landmarks (N, 478, 2) in px of some photos, and the photos' (height, width)."""

    points: Tensor
    sizes: list[tuple[int, int]]


def yaw(photo: FacePhoto) -> float:
    """Labelled yaw, degrees."""
    turn = (photo.coefficients or {})["transform"][:3, :3]
    return float(torch.rad2deg(torch.atan2(turn[0, 2], turn[2, 2])))


def drawn_pairs(people: dict[str, list[FacePhoto]]) -> list[tuple[str, FacePhoto, FacePhoto]]:
    """Who, a frontal photo and a turned one, of the photos that are labelled."""
    generator, pairs = np.random.default_rng(0), []
    for who, own in sorted(people.items()):
        photos = [each for each in own if each.landmarks is not None and each.coefficients is not None]
        turns = np.abs([yaw(photo) for photo in photos])
        frontal, turned = np.flatnonzero(turns < FRONTAL), np.flatnonzero(turns >= TURNED)
        for _ in range(DRAWN if len(frontal) and len(turned) else 0):
            pairs.append((who, photos[generator.choice(frontal)], photos[generator.choice(turned)]))
    return pairs


def seen(photos: list[FacePhoto]) -> Seen:
    """Labelled landmarks of photos that all have some."""
    points, sizes = [], []
    for photo in photos:
        if photo.landmarks is None:
            raise ValueError(f"{photo.name} has no landmarks: leave it out of the pairs.")
        points.append(photo.landmarks.points)
        _, height, width = photo.image.read().pixels.shape
        sizes.append((height, width))
    return Seen(torch.stack(points), sizes)


def fits(model: FaceModel, basis: LandmarkBasis, photos: Seen) -> list[FaceFit]:
    """Fits of photos, some at a time."""
    return [
        fit_landmarks(model, photos.points[at : at + BLOCK], photos.sizes[at : at + BLOCK], basis=basis)
        for at in range(0, len(photos.points), BLOCK)
    ]


def errors(model: FaceModel, basis: LandmarkBasis, turned: list[FaceFit], identity: Tensor) -> Tensor:
    """(N, 4) mm: of the parts, and of all landmarks but the outline's, of identities in turned photos."""
    keep, found = ~model.landmarks["dense478"].contour, []
    for fit, known in zip(turned, identity.split(BLOCK), strict=True):
        held = refit_known(model, fit, known, basis=basis, steps=STEPS)
        camera, depth = held.parameters.camera, held.parameters.pose.translation[:, 2:]
        if not isinstance(camera, PerspectiveCamera):
            raise TypeError("fits see heads in perspective")
        beside = basis.placement[:, : basis.count].T
        seen_px = project_landmarks(held.parameters, held.landmarks_head + beside)
        away = (seen_px - held.detected_px).norm(dim=-1) * depth / camera.focal[:, None]
        parts = [away[:, list(rows)].mean(1) for rows in PARTS.values()]
        found.append(torch.stack([*parts, away[:, keep].mean(1)], 1))
    return torch.cat(found)


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    people: dict[str, list[FacePhoto]] = {}
    for name in FOLDERS:
        for photo in read_labelled_folder(options.data / name, name):
            people.setdefault(photo.identity or photo.name, []).append(photo)
    pairs = drawn_pairs(people)
    kept_out = torch.tensor([is_kept_out(who) for who, _, _ in pairs])
    frontal, turned = seen([first for _, first, _ in pairs]), seen([second for _, _, second in pairs])
    model = load_base_model()
    basis = basis_of_found(model, by_another=True)
    known = fits(model, basis, turned)
    expected = torch.cat([basis.centre, basis.untold]).expand(len(pairs), -1)
    made = {
        "mean head": torch.zeros_like(expected),
        "expected head": expected,
        "fit": torch.cat([fit.parameters.identity for fit in fits(model, basis, frontal)]),
        "fit of the turned photo itself": torch.cat([fit.parameters.identity for fit in known]),
    }
    print(f"{len(pairs)} pairs, {int(kept_out.sum())} of people kept out; mm: {', '.join(PARTS)}, all")
    for name, identity in made.items():
        found = errors(model, basis, known, identity)
        told = [" ".join(f"{x:.2f}" for x in rows.mean(0)) for rows in (found, found[kept_out])]
        print(f"{name:32s} {told[0]}   kept out {told[1]}", flush=True)


if __name__ == "__main__":
    main()
