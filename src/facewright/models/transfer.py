"""Carry a model's statistics from its own mesh to another one, along a dense correspondence of the two means.

What the foreign surface covers is interpolated on its triangles. What it does not cover (the back of the head
behind a face mask) is continued: identity by what the target's own statistics say goes with the covered part,
and every remainder smoothly, dying away from the seam. Eyeballs, teeth and tongue follow their surroundings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu
from threadpoolctl import threadpool_limits
from torch import Tensor

from facewright.core.errors import InputError
from facewright.geometry.laplacian import laplacian_matrix
from facewright.geometry.nearest import closest_points, index_surface
from facewright.models.face_model import FaceModel

LEAST_COVERED = 500  # vertices of the target's skin that must lie on the source
SAMPLES, NOISE = 1_000, 1.0  # covered vertices that identity is continued from, and what they may be off, mm
SHAPE_SCREEN, COLOUR_SCREEN = 1e-2, 1e-4  # a remainder dies away over 1/sqrt(screen) edges: 10 and 100
# Which region of the skin carries the parts inside of it along, for identity and for expressions.
AROUND = {"left_eye": "eye_left", "right_eye": "eye_right"}
AROUND |= {"tongue": "lips", "upper_teeth": "lips", "lower_teeth": "lips"}
WITH_JAW = {"tongue": "chin", "lower_teeth": "chin"}
EYES = ("left_eye", "right_eye")

ExpressionSource = Literal["base", "own"]


@dataclass(frozen=True)
class Correspondence:
    """Where vertices of the target lie on the source model.

    Attributes:
        vertex: of the target, those that are covered.
        corners: vertices of the source around each.
        weights: barycentric.
        rotation: target_from_source, for displacements.
        scale: target_from_source.
    """

    vertex: Int64[ndarray, " C"]
    corners: Int64[ndarray, "C 3"]
    weights: Float[ndarray, "C 3"]
    rotation: Float[ndarray, "3 3"]
    scale: float = 1.0

    def values(self, array: Float[ndarray, "V D"]) -> Float[ndarray, "C D"]:
        """What the source has at the covered vertices."""
        return (array[self.corners] * self.weights[..., None]).sum(1)

    def displacements(self, basis: Float[ndarray, "V 3"]) -> Float[ndarray, "C 3"]:
        """A displacement of the source at the covered vertices, in the target's frame."""
        return self.scale * self.values(basis) @ self.rotation.T


def correspond(
    source: FaceModel,
    placed: Float[ndarray, "V 3"],
    target: FaceModel,
    fitted: Float[ndarray, "W 3"],
    covered: Bool[ndarray, " W"],
) -> Correspondence:
    """Find the point of the source for each covered vertex of the target, part by part.

    Args:
        source: the model that is carried.
        placed: its mean in the target's frame, mm.
        target: the model whose topology is wanted.
        fitted: its vertices, drawn onto ``placed``.
        covered: vertices of the target's skin that have a counterpart; eyeballs are matched where both
            have them.

    Raises:
        InputError: hardly anything is covered.
    """
    vertex, corners, weights = [], [], []
    for part in ("skin", *EYES):
        if part not in source.parts or part not in target.parts:
            continue
        mask = source.parts[part].numpy()
        faces = source.topology.faces.numpy()
        faces = faces[mask[faces].all(1)]
        wanted = target.parts[part].numpy() & (covered if part == "skin" else True)
        if not len(faces) or not wanted.any():
            continue
        chosen = np.flatnonzero(wanted)
        found = closest_points(index_surface(placed, faces), fitted[chosen])
        vertex.append(chosen)
        corners.append(faces[found.triangle])
        weights.append(found.barycentric)
    count = len(vertex[0]) if vertex else 0
    if count < LEAST_COVERED:
        raise InputError(f"the model covers {count} vertices of the head, expected {LEAST_COVERED} at least.")
    rotation, scale = _motion(source.mean.double().numpy(), placed)
    return Correspondence(
        np.concatenate(vertex), np.concatenate(corners), np.concatenate(weights), rotation, scale
    )


def carry_model(
    source: FaceModel,
    target: FaceModel,
    correspondence: Correspondence,
    fitted: Float[ndarray, "W 3"],
    *,
    expressions: ExpressionSource = "base",
) -> FaceModel:
    """A model in the target's topology with the source's mean, statistics and colours.

    Args:
        source: whose statistics are wanted.
        target: whose topology, landmarks and regions are wanted; whose expressions, too, if they are "base".
        correspondence: of the two.
        fitted: the target's vertices on the source's mean.
        expressions: "own": the source's; "base": the target's 52.

    Raises:
        InputError: the source's own expressions are wanted and it has none.
    """
    if expressions == "own" and not source.expression_count:
        raise InputError(f"model {source.name!r} has no expressions of its own.")
    with threadpool_limits(1):
        shapes, colours = (
            _Filler.of(target, correspondence, screen) for screen in (SHAPE_SCREEN, COLOUR_SCREEN)
        )
        identity = _identity(source, target, correspondence, shapes)
        expression = _expressions(source, target, correspondence, shapes) if expressions == "own" else None
        diffuse = _colours(source, target, correspondence, colours)
    mean = torch.from_numpy(fitted).float()
    moved = [(mean - target.mean)[target.parts[part]].mean(0) for part in EYES if part in target.parts]
    model = replace(
        target,
        name=f"{source.name}_in_base",
        version=f"{source.version}/{target.version}",
        mean=mean,
        identity_basis=identity,
        eye_centers=target.eye_centers + torch.stack(moved) if len(moved) == 2 else target.eye_centers,
        **diffuse,
    )
    if expression is None:
        return model
    return replace(
        model,
        expression_basis=expression,
        expression_names=source.expression_names,
        expression_prior=source.expression_prior,
    )


def _motion(source: ndarray, placed: ndarray) -> tuple[ndarray, float]:
    """The similarity that took the source's mean to where it is placed."""
    from facewright.geometry.alignment import align_points

    points = (torch.from_numpy(np.ascontiguousarray(p, dtype=np.float64))[None] for p in (source, placed))
    alignment = align_points(*points, with_scale=True)
    return alignment.rotation[0].numpy(), float(alignment.scale[0])


@dataclass(frozen=True)
class _Filler:
    """Continues values from the covered vertices over the rest of the skin."""

    covered: ndarray
    open: ndarray
    links: sparse.csr_matrix
    solver: SuperLU | None
    count: int

    @classmethod
    def of(cls, target: FaceModel, correspondence: Correspondence, screen: float) -> "_Filler":
        count = len(target.mean)
        matrix = sparse.csr_matrix(laplacian_matrix(target.topology.edges.vertices.numpy(), count))
        is_open = target.parts["skin"].numpy().copy()
        is_open[correspondence.vertex] = False
        open_ = np.flatnonzero(is_open)
        inner = (matrix[open_][:, open_] + screen * sparse.identity(len(open_))).tocsc()
        solver = (
            splu(inner, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}) if len(open_) else None
        )
        return cls(correspondence.vertex, open_, matrix[open_][:, correspondence.vertex], solver, count)

    def __call__(self, values: ndarray) -> ndarray:
        """(V,D) of all vertices from (C,D) of the covered ones; 0 on parts that are not skin."""
        result = np.zeros((self.count, values.shape[1]))
        result[self.covered] = values
        if self.solver is not None:
            result[self.open] = self.solver.solve(-(self.links @ values))
        return result


def _identity(source: FaceModel, target: FaceModel, at: Correspondence, fill: _Filler) -> Tensor:
    predict = _prediction(target, at)
    result = torch.empty(source.identity_count, *target.mean.shape)
    for number, basis in enumerate(source.identity_basis.double().numpy()):
        carried = at.displacements(basis)
        believed = predict(carried)
        remainder = fill(carried - believed[at.vertex])
        _follow(remainder, target, at, AROUND)
        result[number] = torch.from_numpy(believed + remainder)
    return result


def _prediction(target: FaceModel, at: Correspondence):  # noqa: ANN202  a function of arrays
    """What the target's statistics say of the whole head, given the covered part."""
    skin = np.flatnonzero(target.parts["skin"].numpy()[at.vertex])
    chosen = skin[np.linspace(0, len(skin) - 1, min(SAMPLES, len(skin))).astype(np.int64)]
    basis = target.identity_basis.double().numpy()
    flat = basis[:, at.vertex[chosen]].reshape(len(basis), -1)
    gram = flat @ flat.T + NOISE**2 * np.eye(len(basis))
    whole = basis.reshape(len(basis), -1)

    def predict(carried: ndarray) -> ndarray:
        coefficients = np.linalg.solve(gram, flat @ carried[chosen].reshape(-1))
        return (coefficients @ whole).reshape(-1, 3)

    return predict


def _expressions(source: FaceModel, target: FaceModel, at: Correspondence, fill: _Filler) -> Tensor:
    result = torch.empty(source.expression_count, *target.mean.shape)
    for number, basis in enumerate(source.expression_basis.double().numpy()):
        whole = fill(at.displacements(basis))
        _follow(whole, target, at, WITH_JAW)
        result[number] = torch.from_numpy(whole)
    return result


def _follow(move: ndarray, target: FaceModel, at: Correspondence, around: Mapping[str, str]) -> None:
    """Move parts that nothing covers as far as the skin around them moves on average."""
    covered = np.zeros(len(move), dtype=bool)
    covered[at.vertex] = True
    for part, region in around.items():
        if part in target.parts and region in target.regions:
            mask = target.parts[part].numpy()
            near = target.regions[region].numpy() & target.parts["skin"].numpy()
            if not covered[mask].any():
                move[mask] += move[near].mean(0)


def _colours(source: FaceModel, target: FaceModel, at: Correspondence, fill: _Filler) -> dict[str, Tensor]:
    """Diffuse and specular albedo of the source where it has one; the target's otherwise.

    Eyeballs, teeth and tongue keep the target's colours, which then do not vary.
    """
    skin = target.parts["skin"].numpy()
    found: dict[str, Tensor] = {}
    for name in ("diffuse", "specular"):
        basis: Tensor = getattr(source, f"{name}_basis")
        if not len(basis):
            continue
        mean, own = (_columns(getattr(model, f"{name}_mean")) for model in (source, target))
        difference = fill(at.values(mean) - own[at.vertex])
        carried = [fill(at.values(_columns(move))) for move in basis]
        total = np.clip(own + difference * skin[:, None], 0, 1)
        moves = np.stack(carried) * skin[None, :, None]
        shape = getattr(target, f"{name}_mean").shape
        found[f"{name}_mean"] = torch.from_numpy(total).float().reshape(shape)
        found[f"{name}_basis"] = torch.from_numpy(moves).float().reshape(len(basis), *shape)
    return found


def _columns(values: Tensor) -> ndarray:
    return values.double().numpy().reshape(len(values), -1)
