"""Learn which expressions landmarks tell of, print how well, and write the map that the fit expects them by.

    python scripts/fit_landmark_expressions.py [--data ../shared/data] [--made build/turned.npz] [--record]

Landmarks are those that detector and landmarker find in photos of people of the training split, and in faces
turned to large yaw (``scripts/turn_faces.py``); activations are the teacher's. Each face counts once more as
its mirror image. Ridge regression; corrections by yaw and what is left are measured on people who were not
in the regression. Last the map is tried on people whom nothing was learnt from.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from evaluate_fit import correlations
from facewright.core.assets import write_safetensors
from facewright.fitting.landmark_expressions import (
    FILE,
    LandmarkExpressions,
    hats,
    load_landmark_expressions,
    pose_free,
)
from facewright.fitting.records import LANDMARK_SET
from facewright.models.base import load_base_model
from fit_evaluation.found_faces import found_faces
from training_data.commands import asset_options, finish_asset
from training_data.photos import SETS, PhotoSet, load_made, load_set

BY = "python scripts/fit_landmark_expressions.py --data ../shared/data --made build/turned.npz --record"
LICENCE = (
    "Apache-2.0; a statistic of landmarks and expressions in research images (LFW and YouTube Faces "
    "families), of which none is contained"
)
SHOWN = 0.02  # standard deviation of an expression that photos show
RIDGE = 100.0  # mm^2: so much do landmarks differ besides
FOLDS = 2
YAWS = (-75, -60, -45, -30, -15, 0, 15, 30, 45, 60, 75)  # degrees
STRANGE = 0.999  # of all faces differ less from the reference
SURE = 200.0  # faces of 1 standard deviation that the corrections by yaw are held back by


@dataclass(frozen=True)
class Faces:
    """Landmarks (N, 478, 2) in px, y down; activations (N, E); a fold of people (N)."""

    points: Tensor
    activations: Tensor
    fold: Tensor

    def select(self, rows: Tensor) -> "Faces":
        """Some of the faces."""
        return Faces(self.points[rows], self.activations[rows], self.fold[rows])


def joined(parts: list[Faces]) -> Faces:
    """Several as one."""
    return Faces(*(torch.cat([getattr(part, name) for part in parts]) for name in Faces.__annotations__))


def faces_of(photos: PhotoSet, columns: list[int], count: int, seed: int) -> Faces:
    """Faces found in some photos, in the photos' own order: neighbours are one person's, and share a fold."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(photos))[:count])
    kept, found = found_faces(photos, rows)
    fold = (np.arange(len(kept)) * 10 // max(len(kept), 1)) % FOLDS
    activations = torch.from_numpy(photos.expression[kept][:, columns]).float()
    return Faces(torch.from_numpy(found).double(), activations.double(), torch.from_numpy(fold))


def mirror_order(reference: Tensor) -> Tensor:
    """The landmark on the other side of the face for each."""
    return torch.cdist(reference * reference.new_tensor([-1.0, 1.0, 1.0]), reference).argmin(1)


def mirror_names(names: list[str]) -> list[int]:
    """The expression of the other side for each."""
    swapped = {"Left": "Right", "Right": "Left"}
    other = [next((n.removesuffix(s) + o for s, o in swapped.items() if n.endswith(s)), n) for n in names]
    return [names.index(name) for name in other]


def with_mirrored(faces: Faces, order: Tensor, names: list[str]) -> Faces:
    """The faces and their mirror images."""
    points = (faces.points * faces.points.new_tensor([-1.0, 1.0]))[:, order]
    return joined([faces, Faces(points, faces.activations[:, mirror_names(names)], faces.fold)])


def shown_columns(activations: np.ndarray, names: list[str]) -> list[int]:
    """Expressions (N, E) that photos show on either side of the face."""
    shown = activations.std(0) > SHOWN
    return np.flatnonzero(shown | shown[mirror_names(names)]).tolist()


def ridge(moved: Tensor, activations: Tensor) -> tuple[Tensor, Tensor]:
    """Matrix (956, E) and constant (E)."""
    rows, mean = moved - moved.mean(0), activations.mean(0)
    gram = rows.T @ rows + RIDGE * torch.eye(rows.shape[1]).to(rows)
    matrix = torch.linalg.solve(gram, rows.T @ (activations - mean))
    return matrix, mean - moved.mean(0) @ matrix


def corrections(plain: Tensor, activations: Tensor, share: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Offset, slope and deviation (T, E) at each yaw; near (0, 1) where few faces tell of them."""
    count, columns = share.shape[1], []
    for one, truth in zip(plain.T, activations.T, strict=True):
        design = torch.cat([share, share * one[:, None]], 1)
        hold = SURE * torch.cat([torch.ones(count), torch.full((count,), float(one.var()))]).to(one)
        gram = design.T @ design + torch.diag(hold)
        found = torch.linalg.solve(gram, design.T @ (truth - one))
        left = truth - one - design @ found
        squared = (share.T @ left**2 + SURE * (left**2).mean()) / (share.sum(0) + SURE)
        columns.append(torch.stack([found[:count], 1 + found[count:], squared.sqrt()]))
    return tuple(torch.stack(columns, -1))  # type: ignore[return-value]


def learn(faces: Faces, names: list[str], reference: Tensor, contour: Tensor) -> LandmarkExpressions:
    """The map, in double precision."""
    ones = torch.ones_like(faces.points[..., 0])
    moved, sine = pose_free(reference, contour, faces.points, ones)
    strangest = float(moved.square().mean((1, 2)).sqrt().quantile(STRANGE))
    moved = moved.flatten(1)
    turns = torch.tensor(YAWS).double().deg2rad().sin()
    share, plain = hats(turns, sine), torch.zeros_like(faces.activations)
    for fold in range(FOLDS):
        own = faces.fold == fold
        matrix, constant = ridge(moved[~own], faces.activations[~own])
        plain[own] = moved[own] @ matrix + constant
    offset, slope, std = corrections(plain, faces.activations, share)
    matrix, constant = ridge(moved, faces.activations)
    left = (faces.activations - (share @ offset + (share @ slope) * plain)) / (share @ std)
    return LandmarkExpressions(
        names=tuple(names),
        reference=reference,
        contour=contour,
        matrix=matrix,
        strangest=strangest,
        turns=turns,
        offset=offset + slope * constant,
        slope=slope,
        std=std,
        correlation=torch.corrcoef(left.T),
    )


def as_stored(learnt: LandmarkExpressions) -> dict[str, Tensor]:
    """Tensors of the file, half precision."""
    tensors = {name: value.half() for name, value in vars(learnt).items() if isinstance(value, Tensor)}
    return {
        **tensors,
        "contour": learnt.contour.to(torch.uint8),
        "strangest": torch.tensor([learnt.strangest]),
    }


def figures(learnt: LandmarkExpressions, faces: Faces, names: list[str]) -> str:
    """How well the map tells the activations of some faces."""
    points = faces.points.float()
    told, std = learnt.told(points, torch.ones_like(points[..., 0]))
    truth = faces.activations.float()
    found = correlations(told, truth)
    rows = [names.index("eyeLookUpLeft"), names.index("eyeLookDownLeft")]
    up = torch.stack([told[:, rows[0]] - told[:, rows[1]], truth[:, rows[0]] - truth[:, rows[1]]])
    away = (told - truth).square().mean().sqrt()
    return (
        f"{len(truth)} faces, mean correlation {np.mean(list(found.values())):.3f} of {len(found)}, vertical "
        f"gaze {torch.corrcoef(up)[0, 1]:.3f}, rms {away:.3f} (expected {std.square().mean().sqrt():.3f})"
    )


def main() -> None:
    """Learn, print, write."""
    parser = asset_options(__doc__, FILE)
    parser.add_argument("--made", type=Path, help="of scripts/turn_faces.py; none: no turned faces")
    parser.add_argument("--photos", type=int, default=2000, help="of each set, and of the turned faces")
    options = parser.parse_args()
    model = load_base_model()
    names = [str(name) for name in np.load(options.data / SETS[0] / "labels.npz")["blendshape_names"]]
    sets = [load_set(options.data, number) for number in range(len(SETS))]
    columns = shown_columns(np.concatenate([photos.expression[~photos.kept_out] for photos in sets]), names)
    names = [names[column] for column in columns]
    parts = [faces_of(p.select(~p.kept_out), columns, options.photos, seed=0) for p in sets]
    if options.made:
        parts.append(faces_of(load_made(options.made), columns, options.photos, seed=0))
    unseen = [faces_of(p.select(p.kept_out), columns, options.photos // 4, seed=1) for p in sets]
    reference = model.landmark_points(model.mean, LANDMARK_SET).double()
    faces = with_mirrored(joined(parts), mirror_order(reference), names)
    learnt = learn(faces, names, reference, model.landmarks[LANDMARK_SET].contour)
    tensors = as_stored(learnt)
    notes = {"names": " ".join(names), "faces": str(len(faces.points)), "unit": "mm, activations"}
    write_safetensors(options.out, tensors, {**notes, "command": BY, "licence": LICENCE})
    learnt = load_landmark_expressions(options.out)
    for kind, shown in (("learnt from", joined(parts)), ("kept-out people", joined(unseen))):
        print(f"{kind}: {figures(learnt, shown, names)}")
    finish_asset(options, LICENCE, BY)


if __name__ == "__main__":
    main()
