"""What 478 landmarks say of expressions by themselves, as people who were labelled show them.

A landmark fit weighs each landmark by how far it is off, but a half shut lid or a glance is a matter of few
landmarks that move together. So a linear map, learnt from labelled photos, tells from how the landmarks
differ from a reference head's in the same pose which activations to expect; and how far off it was at such a
turn of the head tells how much to believe it.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from facewright.core.assets import asset_path, read_safetensors
from facewright.core.errors import AssetError
from facewright.fitting.orthographic import orthographic_pose
from facewright.models.face_model import ExpressionPrior
from facewright.networks.heads import LANDMARKS

FILE = "landmark_expressions.safetensors"
MAX_EXPRESSIONS, MAX_TURNS = 128, 64


@dataclass(frozen=True)
class LandmarkExpressions:
    """A linear map from landmarks to activations, corrected by how far the head is turned aside.

    Attributes:
        names: of the expressions.
        reference: landmarks of the head that others are compared with, mm, head frame.
        contour: landmarks that slide, of which the pose is not told.
        matrix: activation for each mm (upright frame, all x and y of a landmark side by side).
        strangest: rms mm; a face that differs more from the reference tells no more than one that does so.
        turns: sines of yaw, in ascending order; between them what follows is interpolated.
        offset: what is added to the map's activations.
        slope: what they are multiplied by before.
        std: of the true activations around that.
        correlation: of what is left, between the expressions.
    """

    names: tuple[str, ...]
    reference: Float[Tensor, "L 3"]
    contour: Bool[Tensor, " L"]
    matrix: Float[Tensor, "L2 E"]
    strangest: float
    turns: Float[Tensor, " T"]
    offset: Float[Tensor, "T E"]
    slope: Float[Tensor, "T E"]
    std: Float[Tensor, "T E"]
    correlation: Float[Tensor, "E E"]

    def of(self, names: tuple[str, ...], prior: ExpressionPrior) -> "LandmarkExpressions":
        """The map of a model's expressions; of those without one it tells what the model's prior does."""
        row = {name: number for number, name in enumerate(self.names)}
        own = torch.tensor([number for number, name in enumerate(names) if name in row])
        rows = torch.tensor([row[name] for name in names if name in row])
        like, turns = prior.mean, len(self.turns)
        moved = replace(self, reference=self.reference.to(like), contour=self.contour.to(like.device))
        correlation = prior.correlation.clone()
        correlation[own], correlation[:, own] = 0.0, 0.0
        correlation[own[:, None], own] = self.correlation.to(like)[rows[:, None], rows]
        columns = {}
        for name, fill in (
            ("matrix", like.new_zeros(len(self.matrix), len(names))),
            ("offset", prior.mean.repeat(turns, 1)),
            ("slope", like.new_zeros(turns, len(names))),
            ("std", prior.std.repeat(turns, 1)),
        ):
            fill[:, own] = getattr(self, name).to(like)[:, rows]
            columns[name] = fill
        return replace(moved, names=names, turns=self.turns.to(like), correlation=correlation, **columns)

    def told(
        self, points: Float[Tensor, "B L 2"], weights: Float[Tensor, "B L"]
    ) -> tuple[Float[Tensor, "B E"], Float[Tensor, "B E"]]:
        """Activations to expect, in [0, 1], and how far off they may be (one standard deviation).

        Args:
            points: landmarks in any unit, y down.
            weights: trust in each; one without any tells nothing.
        """
        moved, sine = pose_free(self.reference, self.contour, points, weights)
        plain = moved.flatten(1)
        plain = plain * (self.strangest / plain.square().mean(1, keepdim=True).sqrt()).clamp_max(1.0)
        share = hats(self.turns, sine)
        activation = share @ self.offset + (share @ self.slope) * (plain @ self.matrix)
        return activation.clamp(0, 1), share @ self.std


def pose_free(
    reference: Float[Tensor, "L 3"],
    contour: Bool[Tensor, " L"],
    points: Float[Tensor, "B L 2"],
    weights: Float[Tensor, "B L"],
) -> tuple[Float[Tensor, "B L 2"], Float[Tensor, " B"]]:
    """How landmarks differ from a reference head's in the same pose, and the sine of that pose's yaw.

    Args:
        reference: mm, head frame.
        contour: which of them slide and tell no pose.
        points: in any unit, y down.
        weights: trust in each; where there is none, there is no difference.

    Returns:
        Differences in mm, x along the picture of the head's own x axis as a head without roll has it, y down;
        and the sine, positive where the face looks to the right of the picture.
    """
    rotation, scale, origin = orthographic_pose(reference, points, weights * ~contour)
    seen = origin[:, None] + scale[:, None, None] * (reference @ rotation[:, :2].mT)
    away = (points - seen) * (weights.clamp_max(1.0) / scale[:, None])[..., None]
    down = -rotation[:, :2, 1] / rotation[:, :2, 1].norm(dim=-1, keepdim=True).clamp_min(1e-6)
    across = torch.stack([down[:, 1], -down[:, 0]], -1)
    upright = torch.stack([across, down], -1)
    return away @ upright, (rotation[:, :2, 2] * across).sum(-1)


def hats(turns: Float[Tensor, " T"], sine: Float[Tensor, " B"]) -> Float[Tensor, "B T"]:
    """Shares of the knots on either side of each sine, which sum to 1."""
    place = torch.searchsorted(turns, sine.clamp(float(turns[0]), float(turns[-1])).contiguous())
    right = place.clamp(1, len(turns) - 1)
    left = right - 1
    share = ((sine - turns[left]) / (turns[right] - turns[left])).clamp(0, 1)
    empty = sine.new_zeros(len(sine), len(turns))
    return empty.scatter(1, left[:, None], (1 - share)[:, None]).scatter(1, right[:, None], share[:, None])


def load_landmark_expressions(path: Path | None = None) -> LandmarkExpressions:
    """Load the shipped map, or that of ``path``.

    Raises:
        AssetError: the file is missing, damaged or no such map.
    """
    path = path or asset_path(FILE)
    tensors, notes = read_safetensors(path)
    names = tuple(notes.get("names", "").split())
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    count, turns = len(names), shapes.get("turns", (0,))[0]
    expected = {
        "reference": (LANDMARKS, 3),
        "contour": (LANDMARKS,),
        "matrix": (2 * LANDMARKS, count),
        "strangest": (1,),
        "turns": (turns,),
        **dict.fromkeys(("offset", "slope", "std"), (turns, count)),
        "correlation": (count, count),
    }
    whole = shapes == expected and 0 < count <= MAX_EXPRESSIONS and 2 <= turns <= MAX_TURNS
    if not whole or not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise AssetError(
            f"{path}: expected finite tensors {expected} for the expressions {names}, found {shapes}: "
            "reinstall facewright, or make it anew with scripts/fit_landmark_expressions.py."
        )
    values = {name: tensor.float() for name, tensor in tensors.items()}
    values["contour"] = values["contour"] > 0
    strangest = float(values.pop("strangest"))
    return LandmarkExpressions(names=names, strangest=strangest, **values)
