"""Print how well the landmark fit follows detected landmarks on kept-out people.

    python scripts/evaluate_fit.py [--data ../shared/data]

Landmarks are those that the shipped detector and landmarker find. Error: mean distance between fitted and
detected points, contour left out, as a part of the distance between the outer eye corners (33 and 263).
Expressions: correlation over the photos of fitted activations and the teacher's, of those that photos show.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from facewright.data.datasets.kept_out import is_kept_out
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import basis_of_found
from facewright.fitting.settings import LandmarkFitSettings
from facewright.models.base import load_base_model
from fit_evaluation.found_faces import found_faces
from training_data.photos import SETS, load_set

TARGET_ERROR = 0.015
SHOWN = 0.02  # standard deviation of an expression that photos show
BATCH = 256
SIZE = 160, 160  # holds all photos


@dataclass(frozen=True)
class KeptOut:
    """Kept-out people: landmarks found (N, 478, 2) in px, labelled activations (N, E), who; photos asked."""

    points: torch.Tensor
    activations: torch.Tensor
    people: list[str]
    asked: int


def kept_out_faces(data: Path, count: int, expressions: tuple[str, ...]) -> KeptOut:
    """Kept-out photos of both sets; an expression that the labels do not have is at rest in all."""
    points, activations, people, asked = [], [], [], 0
    for number, name in enumerate(SETS):
        labels = np.load(data / name / "labels.npz")
        whose = [str(person) for person in labels["identity"]]
        kept = np.array([is_kept_out(person) for person in whose]).nonzero()[0][:count]
        rows, found = found_faces(load_set(data, number), kept)
        shown = dict(
            zip(map(str, labels["blendshape_names"]), labels["blendshapes"][rows].T / 255, strict=True)
        )
        at_rest = np.zeros(len(rows))
        points.append(found)
        activations.append(np.stack([shown.get(each, at_rest) for each in expressions], 1))
        people += [whose[row] for row in rows]
        asked += len(kept)
    return KeptOut(
        torch.from_numpy(np.concatenate(points)),
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
    parts = [
        fit_landmarks(model, part, SIZE, basis=basis, settings=LandmarkFitSettings())
        for part in faces.points.split(BATCH)
    ]
    residual = torch.cat([part.residual for part in parts])
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
