"""Print how well the landmark fit follows detected landmarks on kept-out people.

    python scripts/evaluate_fit.py [--data ../shared/data]

Landmarks are those that the shipped detector and landmarker find. Error: mean distance between fitted and
detected points, contour left out, as a part of the distance between the outer eye corners (33 and 263).
The fit is that of `facewright reconstruct --no-photometric`; where its last step, closing lips and lids of
closed mouths and eyes, costs some of its nearness, what the landmarks alone give is printed beside it.
Expressions: correlation over the photos of fitted activations and the teacher's, of those that photos show.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from facewright.data.datasets.kept_out import is_kept_out
from facewright.fitting.closed_lids import close_lids
from facewright.fitting.closed_lips import close_lips
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import basis_of_found
from facewright.fitting.records import LANDMARK_SET, landmark_error
from facewright.models.base import load_base_model
from facewright.models.lip_seam import lip_seam
from fit_evaluation.found_faces import found_faces
from training_data.photos import SETS, load_set

TARGET_ERROR = 0.015
SHOWN = 0.02  # standard deviation of an expression that photos show
BATCH = 256
SEEN = 5e-5  # a difference of mean errors that two digits of a percentage show


@dataclass(frozen=True)
class KeptOut:
    """Kept-out people.

    Attributes:
        points: landmarks found (N, 478, 2), px.
        sizes: (height, width) of their photos.
        activations: of the labels, (N, E).
        people: who they are.
        asked: how many photos were searched.
    """

    points: torch.Tensor
    sizes: list[tuple[int, int]]
    activations: torch.Tensor
    people: list[str]
    asked: int


def kept_out_faces(data: Path, count: int, expressions: tuple[str, ...]) -> KeptOut:
    """Kept-out photos of both sets; an expression that the labels do not have is at rest in all."""
    points, sizes, activations, people, asked = [], [], [], [], 0
    for number, name in enumerate(SETS):
        labels = np.load(data / name / "labels.npz")
        whose = [str(person) for person in labels["identity"]]
        kept = np.array([is_kept_out(person) for person in whose]).nonzero()[0][:count]
        photos = load_set(data, number)
        rows, found = found_faces(photos, kept)
        shown = dict(
            zip(map(str, labels["blendshape_names"]), labels["blendshapes"][rows].T / 255, strict=True)
        )
        at_rest = np.zeros(len(rows))
        points.append(found)
        sizes += [(int(height), int(width)) for height, width in photos.sizes[rows]]
        activations.append(np.stack([shown.get(each, at_rest) for each in expressions], 1))
        people += [whose[row] for row in rows]
        asked += len(kept)
    return KeptOut(
        torch.from_numpy(np.concatenate(points)),
        sizes,
        torch.from_numpy(np.concatenate(activations)).float(),
        people,
        asked,
    )


def correlations(fitted: torch.Tensor, labels: torch.Tensor) -> dict[int, float]:
    """Correlation of activations over the photos, of the expressions that these show."""
    both = torch.stack([fitted, labels]) - torch.stack([fitted, labels]).mean(1, keepdim=True)
    spread = both.square().mean(1).sqrt()
    found = (both[0] * both[1]).mean(0) / spread.prod(0).clamp_min(1e-9)
    return {int(row): float(found[row]) for row in (spread[1] > SHOWN).nonzero()[:, 0]}


def stability(identity: torch.Tensor, people: list[str]) -> tuple[float, float]:
    """RMS distance of identity coefficients between photos of one person, and of different people."""
    names = np.array(people)
    same = torch.from_numpy(names[:, None] == names[None])
    distance = torch.cdist(identity, identity)
    other = ~same
    same.fill_diagonal_(False)
    return float(distance[same].mean()), float(distance[other].mean())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--count", type=int, default=100_000, help="faces of each set at most")
    arguments = parser.parse_args()
    model = load_base_model()
    basis = basis_of_found(model)
    faces = kept_out_faces(arguments.data, arguments.count, model.expression_names)
    fits, seam = [], lip_seam(model)
    for first in range(0, len(faces.points), BATCH):
        batch = slice(first, first + BATCH)
        fits.append(fit_landmarks(model, faces.points[batch], faces.sizes[batch], basis=basis))
    parts = [close_lids(model, basis, close_lips(model, seam, fit)) for fit in fits]
    residual, alone = (torch.cat([part.residual for part in each]) for each in (parts, fits))
    identity = torch.cat([part.parameters.identity for part in parts])
    print(
        f"{len(residual)} faces found in {faces.asked} photos of {len(set(faces.people))} people that no "
        "training saw"
    )
    print(
        f"fitted against detected landmarks: mean {residual.mean():.2%}, median {residual.median():.2%}, "
        f"95 % below {residual.quantile(0.95):.2%}, worst {residual.max():.2%} "
        f"(target: mean <= {TARGET_ERROR:.1%})"
    )
    keep = (~model.landmarks[LANDMARK_SET].contour).float()
    own = [landmark_error(p.landmarks_px, p.detected_px, keep.expand(len(p.sizes), -1)) for p in parts]
    print(f"the head's own points, without what landmarks show on anyone: mean {torch.cat(own).mean():.2%}")
    if abs(float(residual.mean() - alone.mean())) >= SEEN:
        print(f"before lips and lids of closed mouths and eyes were closed: mean {alone.mean():.2%}")
    same, other = stability(identity, faces.people)
    print(f"identity distance: one person {same:.2f}, two people {other:.2f}, ratio {same / other:.3f}")
    expression = torch.cat([part.parameters.expression for part in parts])
    found = correlations(expression, faces.activations)
    least = sorted(found, key=found.__getitem__)[:5]
    print(
        f"{len(found)} expressions against the labels: mean correlation {np.mean(list(found.values())):.3f}, "
        f"mean difference {(expression - faces.activations).abs().mean():.3f}; least: "
        + ", ".join(f"{model.expression_names[row]} {found[row]:.2f}" for row in least)
    )
    rows = {name: number for number, name in enumerate(model.expression_names)}
    glances = {"upwards": ("eyeLookUp", "eyeLookDown"), "outwards": ("eyeLookOut", "eyeLookIn")}
    told = []
    for way, (one, other) in glances.items():
        both = [
            each[:, rows[f"{one}Left"]] - each[:, rows[f"{other}Left"]]
            for each in (expression, faces.activations)
        ]
        told.append(f"{way} {torch.corrcoef(torch.stack(both))[0, 1]:.2f}")
    blinks = found[rows["eyeBlinkLeft"]], found[rows["eyeBlinkRight"]]
    print(f"gaze of the left eye: {', '.join(told)}; blinks {blinks[0]:.2f}, {blinks[1]:.2f}")


if __name__ == "__main__":
    main()
