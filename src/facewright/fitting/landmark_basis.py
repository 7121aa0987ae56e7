"""A face model reduced to its landmarks, with the tables that make a Gauss-Newton step cheap.

The shape block of the normal equations is ``sum_l B_l^T W_l B_l`` over the landmarks, with a 3x3 metric
``W_l`` that depends on the pose and the weights. Landmarks that lie close together have nearly the same
metric, so they share one (the mean of their group), and the sums ``sum_{l in g} B_l[a] B_l[b]^T`` are
precomputed: a step costs a small matrix product instead of a dense ``J^T J`` for each face. The gradient
stays exact, so the solution does.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from facewright.core.errors import InputError
from facewright.detection.landmark_errors import LandmarkErrors, load_landmark_errors
from facewright.detection.points import IRISES, LIDS, LIPS
from facewright.fitting.common_errors import ErrorTables, error_tables
from facewright.fitting.identity_centre import expected_identity
from facewright.fitting.landmark_expressions import LandmarkExpressions, load_landmark_expressions
from facewright.fitting.priors import LEAST_STD, ExpressionBelief, expression_belief, opposed_pairs
from facewright.fitting.records import LANDMARK_SET
from facewright.geometry.spread import spread_points
from facewright.models.contour import ContourLines, contour_lines
from facewright.models.face_model import FaceModel

GROUPS = 8
# Landmarks say nothing of the least varying identity modes; leaving them out halves the time of a fit.
IDENTITY_MODES = 90
CONTOUR_GROUPS = 3
# Landmarks by what they tell of expressions; found on 750 photos of people who are in the training set.
DENSE, TELLING_REST = 478, 0.35
TELLING = ((LIPS, 1.5), (LIDS, 2.0), (IRISES, 1.0))
NORMAL_NEIGHBOURS = 30
# A fit hears of the same landmarks a second time; so much less sure is what they told of expressions.
SEEN_TWICE = 1.2
AXIS_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


@dataclass(frozen=True)
class LandmarkBasis:
    """Everything a landmark fit needs of a face model. ``K`` = identity, then expression coefficients.

    Attributes:
        mean: landmarks and then contour candidates of the mean head, mm, head frame; axis by axis; one row a
            face where ``with_untold`` made it.
        placement: how much of the mean is not on the head: what the landmarker sees beside it on anyone, mm.
        basis: their displacement per coefficient, all x, all y, all z: ``M = 3 * N``.
        identity_count: how many of the coefficients are identity: the model's first ones.
        centre: identity that is expected of anyone, standard deviations of the model.
        untold: likewise of the model's other identity coefficients, which are not fitted and in the mean.
        untold_basis: displacement of the landmarks and candidates per such coefficient.
        contour: mask of the landmarks that slide.
        contour_index: those landmarks, in the order of the ring around the face.
        normals: smoothed outward normals of the landmarks on the mean head.
        group: which landmarks share a metric (one-hot).
        shared_gram: ``sum_{l in g} B_l[a] B_l[b]^T`` (both orders) for each group and each of ``AXIS_PAIRS``,
            B of the identity.
        cross_gram: expression against identity.
        own_gram: expression alone.
        expressions: what is expected of the model's of any photo.
        size_direction: identity coefficients that make the mean head larger.
        size_offset: mm; what they leave of growing by a factor of 2, as a shift.
        opposed: expressions that undo one another, in pairs.
        telling: weight of each landmark where expressions alone are asked: lips and lids move with little
            else, but brows, cheeks and jaw also keep what identity missed.
        errors: what the landmarks' errors have in common; None: each errs on its own.
        told: what landmarks tell of the model's expressions; None: the same is expected of all photos.
    """

    mean: Float[Tensor, "*B 3 N"]
    placement: Float[Tensor, "3 N"]
    basis: Float[Tensor, "K M"]
    identity_count: int
    centre: Float[Tensor, " S"]
    untold: Float[Tensor, " R"]
    untold_basis: Float[Tensor, "R M"]
    contour: Bool[Tensor, " L"]
    contour_index: Int64[Tensor, " C"]
    normals: Float[Tensor, "L 3"]
    group: Float[Tensor, "L G"]
    shared_gram: Float[Tensor, "P S S"]
    cross_gram: Float[Tensor, "P E S"]
    own_gram: Float[Tensor, "P E E"]
    expressions: ExpressionBelief
    size_direction: Float[Tensor, " S"]
    size_offset: Float[Tensor, " 3"]
    opposed: Int64[Tensor, "Q 2"]
    telling: Float[Tensor, " L"]
    errors: ErrorTables | None = None
    told: LandmarkExpressions | None = None

    @property
    def count(self) -> int:
        """Number of landmarks."""
        return len(self.contour)

    def points(self, coefficients: Float[Tensor, "B K"]) -> Float[Tensor, "B 3 N"]:
        """Landmarks and contour candidates of heads, mm, head frame, axis by axis."""
        return self.mean + (coefficients @ self.basis).unflatten(-1, (3, -1))

    def with_untold(self, untold: Float[Tensor, "B R"]) -> "LandmarkBasis":
        """For faces of which the coefficients that are not fitted are known, too."""
        other = (untold - self.untold) @ self.untold_basis
        return replace(self, mean=self.mean + other.unflatten(-1, (3, -1)))

    def expected(self, points: Float[Tensor, "B L 2"], weights: Float[Tensor, "B L"]) -> ExpressionBelief:
        """What is expected of the expressions of faces with such landmarks (any unit, y down)."""
        if self.told is None:
            return self.expressions.rows(torch.zeros(len(points), dtype=torch.int64, device=points.device))
        centre, std = self.told.told(points, weights)
        return replace(self.expressions, centre=centre, std=(SEEN_TWICE * std).clamp_min(LEAST_STD))


def landmark_basis(
    model: FaceModel,
    errors: LandmarkErrors | None = None,
    told: LandmarkExpressions | None = None,
    *,
    name: str = LANDMARK_SET,
    centre: Float[Tensor, " K_identity"] | None = None,
    placement: Float[Tensor, " K_identity"] | None = None,
) -> LandmarkBasis:
    """Reduce a face model to a landmark set; many times a fit's work, so keep it when fitting in a loop.

    Args:
        model: face model.
        errors: of the landmarker that will be fitted to; None: each landmark errs on its own.
        told: what landmarks tell of expressions, of which the model's are known by name; None: nothing.
        name: of the landmark set.
        centre: identity that is expected of anyone; None: the model's mean head.
        placement: identity by which the points that the landmarker sees differ from the head's on anyone.

    Raises:
        InputError: the model has no such landmark set.
    """
    if name not in model.landmarks:
        raise InputError(
            f"model {model.name!r} has landmark sets {sorted(model.landmarks)}, not {name!r}: "
            "bring an imported model into the shipped head's topology (facewright model import --to-base)."
        )
    landmarks, lines = model.landmarks[name], contour_lines(model, name)
    identity_count = min(model.identity_count, IDENTITY_MODES)
    full_basis = torch.cat([model.identity_basis, model.expression_basis])
    count = len(landmarks.contour)
    triangle = torch.cat([landmarks.triangle, lines.candidates.triangle])
    weights = torch.cat([landmarks.weights, lines.candidates.weights])
    corners = model.topology.faces[triangle]
    centre = model.mean.new_zeros(model.identity_count) if centre is None else centre.to(model.mean)
    centre, untold = centre[:identity_count], centre[identity_count:]
    mean = (model.mean[corners] * weights[..., None]).sum(1)
    basis = (full_basis[:, corners] * weights[..., None]).sum(2)
    untold_basis = basis[identity_count : model.identity_count]
    basis = torch.cat([basis[:identity_count], basis[model.identity_count :]])
    mean = mean + torch.einsum("r,rlc->lc", untold, untold_basis)
    placed = torch.zeros_like(mean)
    if placement is not None:
        placed = torch.einsum("k,klc->lc", placement[:identity_count].to(basis), basis[:identity_count])
    mean = mean + placed
    group = _groups(mean[:count], landmarks.contour, lines)
    gram = _gram_tables(basis[:, :count], group)
    prior, named = model.expression_prior, set(told.names if told else ()) & set(model.expression_names)
    if told is not None and named:
        told = told.of(model.expression_names, prior)
        prior = replace(prior, correlation=told.correlation)
    size_direction, size_offset = _size(mean[:count], basis[:identity_count, :count])
    return LandmarkBasis(
        mean=mean.T.contiguous(),
        placement=placed.T.contiguous(),
        basis=basis.mT.flatten(1).contiguous(),
        identity_count=identity_count,
        centre=centre,
        untold=untold,
        untold_basis=untold_basis.mT.flatten(1).contiguous(),
        contour=landmarks.contour,
        contour_index=lines.index,
        normals=_smooth_normals(model, landmarks.triangle, mean[:count]),
        group=group,
        shared_gram=gram[:, :identity_count, :identity_count].contiguous(),
        cross_gram=gram[:, identity_count:, :identity_count].contiguous(),
        own_gram=gram[:, identity_count:, identity_count:].contiguous(),
        expressions=expression_belief(prior),
        size_direction=size_direction,
        size_offset=size_offset,
        opposed=opposed_pairs(model.expression_names).to(mean.device),
        telling=_telling(count).to(mean),
        errors=None if errors is None else error_tables(errors, basis[:, :count], group, lines.index),
        told=told if named else None,
    )


def basis_of_found(model: FaceModel, *, by_another: bool = False, about_mean: bool = False) -> LandmarkBasis:
    """``landmark_basis`` for landmarks of the shipped landmarker, with all that is known of them.

    Args:
        model: face model.
        by_another: another landmarker finds the same 478 points.
        about_mean: expect the mean head of anyone, as networks do that learned on such fits.
    """
    errors = load_landmark_errors()
    errors = errors.of_another_landmarker() if by_another else errors
    expected = None if about_mean else expected_identity(model)
    told = load_landmark_expressions()
    if expected is None:
        return landmark_basis(model, errors, told)
    return landmark_basis(model, errors, told, centre=expected.centre, placement=expected.placement)


def _telling(count: int) -> Tensor:
    """1 for all landmarks of a set that is not the dense one."""
    weights = torch.ones(count)
    if count == DENSE:
        weights[:] = TELLING_REST
        for rows, weight in TELLING:
            weights[list(rows)] = weight
    return weights


def _size(points: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Likeliest identity (one unit of prior for each mm^2 missed) and shift that double the head's size."""
    centred = basis - basis.mean(1, keepdim=True)
    matrix = torch.einsum("klc,mlc->km", centred, centred) + torch.eye(len(basis)).to(basis)
    direction = torch.linalg.solve(matrix, torch.einsum("klc,lc->k", centred, points - points.mean(0)))
    return direction, (points - torch.einsum("k,klc->lc", direction, basis)).mean(0)


def _gram_tables(basis: Tensor, group: Tensor) -> Tensor:
    tables = []
    for column in group.unbind(1):
        inside = basis[:, column > 0]
        for a, b in AXIS_PAIRS:
            product = inside[..., a] @ inside[..., b].mT
            tables.append(product if a == b else product + product.mT)
    return torch.stack(tables)


def _groups(points: Tensor, contour: Tensor, lines: ContourLines) -> Tensor:
    """One-hot groups: the fixed landmarks by nearness, the contour by sectors of its ring."""
    fixed = (~contour).nonzero()[:, 0]
    highest = int(points[fixed, 1].argmax())
    seeds, _ = spread_points(points[fixed], min(GROUPS, len(fixed)), highest)
    nearest = torch.cdist(points[fixed], points[fixed[seeds]]).argmin(1)
    label = torch.zeros(len(points), dtype=torch.int64, device=points.device)
    label[fixed] = nearest
    sector = torch.arange(len(lines.index), device=points.device) * CONTOUR_GROUPS // max(len(lines.index), 1)
    label[lines.index] = len(seeds) + sector
    return torch.nn.functional.one_hot(label, len(seeds) + CONTOUR_GROUPS).to(points.dtype)


def _smooth_normals(model: FaceModel, triangle: Tensor, points: Tensor) -> Tensor:
    """Normals averaged over neighbouring landmarks: which way a part of the face looks, not a lip's edge."""
    a, b, c = model.mean[model.topology.faces[triangle]].unbind(1)
    normals = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
    count = min(NORMAL_NEIGHBOURS, len(points))
    near = torch.cdist(points, points).topk(count, largest=False).indices
    return torch.nn.functional.normalize(normals[near].mean(1), dim=-1)
