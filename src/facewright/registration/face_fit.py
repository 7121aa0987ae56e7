"""Fit pose, identity and expression of the face model to a scan: the start of non-rigid registration.

What the model can explain is explained with correct correspondences, and so is what is smooth beside it;
non-rigid ICP, which slides, is left the rest.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation
from threadpoolctl import threadpool_limits

from facewright.geometry.laplacian import vertex_areas
from facewright.geometry.nearest import closest_points, index_surface
from facewright.models.face_model import FaceModel
from facewright.registration.correspondence import Matches, Target, match, normals_of
from facewright.registration.lip_gaps import LipGaps
from facewright.registration.records import FaceFit, ScanLandmarks
from facewright.registration.smooth_motion import along_axes, smooth_modes

HIDDEN = ("eye_sockets", "inner_mouth")  # regions of the skin that no scan shows
JUDGED = 4.0  # mm; matches beyond it do not count for the fit
MODE_NODES, MODES, WEAK_EVERY = 400, 100, 4
INSIDE = ("tongue", "upper_teeth", "lower_teeth")
NEAR_MOUTH = 8.0  # mm from the lips; and the limit from which on matches are good enough for lips
FURTHEST_LIP = 4.0  # mm; points of the scan that are further from the lips are none of theirs
INDEPENDENT_LIP = 60.0  # points that all of them count for
OUTSIDE = ("neck", "scalp", "ear_left", "ear_right")  # hair and collars: believed less


@dataclass(frozen=True)
class FaceFitSettings:
    """How the model is fitted.

    Attributes:
        samples: vertices that search for their match.
        iterations: Gauss-Newton steps; the distance that is believed shrinks from first to last.
        first_distance: mm, beyond which a match is not believed in the first step.
        last_distance: mm, in the last; until then landmarks weigh more, and smooth displacements are stiffer.
        min_cosine: between the surfaces' normals.
        plane_sigma: mm; how far matches are off along the normal, after which the prior takes over.
        point_sigma: mm; along the surface, where a match says little.
        outside_weight: of matches on neck, scalp and ears.
        independent: number of matches that the surface counts for; neighbours err together.
        landmark_weight: on the landmarks' rows, whose own sigma counts too.
        independent_landmarks: number of landmarks that all of them count for; detected ones err together.
        lip_gaps: weight of the gaps between the lips, as the landmarks show them.
        lip_points: of the scan around the mouth that are to lie on the lips (a gap that the scan bridges
            is none); 0: only the model's points search.
        beyond_sigma: mm; size of smooth displacements that the model does not know; 0: it knows all.
        beyond_reach: mm; over which these are alike.
    """

    samples: int = 2000
    iterations: int = 10
    first_distance: float = 25.0
    last_distance: float = 2.5
    min_cosine: float = 0.6
    plane_sigma: float = 0.4
    point_sigma: float = 10.0
    outside_weight: float = 0.1
    independent: float = 500.0
    landmark_weight: float = 1.0
    independent_landmarks: float = 60.0
    lip_gaps: float = 1.0
    lip_points: int = 400
    beyond_sigma: float = 1.0
    beyond_reach: float = 25.0


@dataclass(frozen=True)
class _Basis:
    """The model at some points: ``mean + basis @ coefficients``, coefficients with a Gaussian prior."""

    mean: ndarray  # (N,3)
    basis: ndarray  # (N,3,K)

    def at(self, coefficients: ndarray) -> ndarray:
        return self.mean + self.basis @ coefficients

    def beside(self, modes: ndarray) -> "_Basis":
        """With smooth displacements (N,M) as further coefficients."""
        return _Basis(self.mean, np.concatenate([self.basis, along_axes(modes)], axis=2))


def visible_skin(model: FaceModel) -> ndarray:
    """(V,) weight of each vertex on a scan: 1 on the skin, 0 where no scan shows it and on other parts."""
    weight = model.parts["skin"].numpy().astype(np.float64)
    for name in HIDDEN:
        if name in model.regions:
            weight[model.regions[name].numpy()] = 0
    return weight


def fit_face(
    model: FaceModel,
    target: Target,
    start: tuple[Float[ndarray, "3 3"], Float[ndarray, " 3"]],
    landmarks: ScanLandmarks | None,
    settings: FaceFitSettings | None = None,
) -> FaceFit:
    """Fit the model to a scan.

    Args:
        model: the face model.
        target: the scan in mm, in its own frame.
        start: scan_from_head: rotation and translation (mm), right to some centimetres.
        landmarks: in the scan's frame, mm; None leaves correspondence to the surface alone.
        settings: of the fit.
    """
    settings = settings or FaceFitSettings()
    fitter = _Fitter(model, target, landmarks, settings)
    state = _State(fitter.centre.copy(), *start)
    distances = np.geomspace(settings.first_distance, settings.last_distance, settings.iterations)
    with threadpool_limits(1):
        for limit in distances:
            state = fitter.step(state, float(limit))
        median, matched = fitter.judge(state, JUDGED)
    identity, expression, _ = np.split(state.coefficients, [model.identity_count, fitter.known])
    return FaceFit(
        identity,
        expression,
        fitter.vertices(state),
        state.rotation.T.copy(),
        -state.rotation.T @ state.translation,
        median,
        matched,
    )


@dataclass(frozen=True)
class _State:
    """Coefficients, and scan_from_head."""

    coefficients: ndarray
    rotation: ndarray
    translation: ndarray

    def placed(self, shape: ndarray) -> ndarray:
        return shape @ self.rotation.T + self.translation


class _Fitter:
    """One scan's Gauss-Newton steps."""

    def __init__(
        self, model: FaceModel, target: Target, landmarks: ScanLandmarks | None, settings: FaceFitSettings
    ) -> None:
        self.model, self.target, self.landmarks, self.settings = model, target, landmarks, settings
        self.chosen, self.weight = _sampled(model, settings)
        self.modes = _smooth_modes(model, settings)
        self.basis = _basis_at(model, self.chosen).beside(self.modes[self.chosen])
        self.marks = None if landmarks is None else _landmark_basis(model, landmarks.index, self.modes)
        self.gaps = None if landmarks is None else LipGaps.of(model, landmarks)
        self.mouth = _Mouth.of(model, self.modes) if settings.lip_points else None
        expression = model.expression_prior
        self.known = model.identity_count + model.expression_count
        free = 3 * self.modes.shape[1]
        self.centre = np.zeros(self.known + free)
        self.centre[model.identity_count : self.known] = expression.mean.double().numpy()
        narrow = 1 / expression.std.double().numpy().clip(1e-2) ** 2
        self.prior = np.concatenate([np.ones(model.identity_count), narrow, np.ones(free)])

    def matched(self, state: _State, limit: float) -> tuple[ndarray, ndarray, Matches, ndarray]:
        """Samples in the scan's frame, their normals, their matches, and which of these are believed."""
        moved = state.placed(self.basis.at(state.coefficients))
        normals = self.normals(state)[self.chosen] @ state.rotation.T
        found = match(self.target, moved, normals)
        kept = (found.distance < limit) & (found.cosine > self.settings.min_cosine) & ~found.on_border
        return moved, normals, found, kept

    def step(self, state: _State, limit: float) -> _State:
        """One step with matches nearer than ``limit`` mm."""
        moved, normals, found, kept = self.matched(state, limit)
        pivot = moved.mean(0)
        system = _Normal(len(self.centre), state.rotation, pivot)
        robust = self.weight * (1 - (found.distance / limit) ** 2).clip(0, 1) ** 2 * kept
        robust = robust * _independent(float(robust.sum()), self.settings.independent)
        weights = robust / self.settings.plane_sigma**2, robust / self.settings.point_sigma**2
        system.add_surface(moved, self.basis.basis, found.points, normals, weights)
        rough = (limit / self.settings.last_distance) ** 2  # while matches are, landmarks and stiffness lead
        if self.marks is not None and self.landmarks is not None:
            self._add_landmarks(system, state, (self.marks, self.landmarks), rough)
            if self.gaps is not None:
                self._add_gaps(system, state, (self.marks, self.landmarks), self.gaps)
        if self.mouth is not None and limit < NEAR_MOUTH:
            self._add_mouth(system, state, self.mouth, limit)
        prior = self.prior.copy()
        prior[self.known :] *= rough
        step = system.solve(prior, self.centre - state.coefficients)
        coefficients = state.coefficients + step[6:]
        expressions = coefficients[self.model.identity_count : self.known]
        np.clip(expressions, 0, 1, out=expressions)
        turn = Rotation.from_rotvec(step[:3]).as_matrix()
        shift = turn @ (state.translation - pivot) + pivot + step[3:6]
        return _State(coefficients, turn @ state.rotation, shift)

    def vertices(self, state: _State) -> ndarray:
        """(V,3) the head, in its own frame."""
        known, free = np.split(state.coefficients, [self.known])
        return _vertices(self.model, known) + self.modes @ free.reshape(-1, 3)

    def normals(self, state: _State) -> ndarray:
        """(V,3) of the head, in its own frame."""
        return normals_of(self.vertices(state), self.model.topology.faces.numpy())

    def judge(self, state: _State, limit: float) -> tuple[float, float]:
        """Median distance of the face's believed matches, and their share."""
        _, _, found, kept = self.matched(state, limit)
        face = self.model.regions["face"].numpy()[self.chosen]
        if not (face & kept).any():
            return float("inf"), 0.0
        return float(np.median(found.distance[face & kept])), float(kept[face].mean())

    def _add_landmarks(
        self, system: "_Normal", state: _State, seen: "tuple[_Basis, ScanLandmarks]", lead: float
    ) -> None:
        marks, landmarks = seen
        placed = state.placed(marks.at(state.coefficients))
        off = np.linalg.norm(placed - landmarks.points, axis=1) / landmarks.sigma
        trust = lead * self.settings.landmark_weight / landmarks.sigma**2 / (1 + (off / 4) ** 2)
        trust = trust * _independent(float(len(off)), self.settings.independent_landmarks)
        system.add_points(placed, marks.basis, landmarks.points, trust)

    def _add_gaps(
        self,
        system: "_Normal",
        state: _State,
        seen: "tuple[_Basis, ScanLandmarks]",
        gaps: LipGaps,
    ) -> None:
        marks, landmarks = seen
        first, second, way = gaps.first, gaps.second, gaps.way @ state.rotation.T
        placed = state.placed(marks.at(state.coefficients))
        gap = ((placed[first] - placed[second]) * way).sum(1)
        wanted = gaps.wanted(((landmarks.points[first] - landmarks.points[second]) * way).sum(1))
        weight = self.settings.lip_gaps * gaps.weight
        system.add_differences(placed, marks.basis, (first, second), (way, wanted - gap, weight))

    def _add_mouth(self, system: "_Normal", state: _State, mouth: "_Mouth", limit: float) -> None:
        """Points of the scan at the mouth, drawn onto the lips where these are nearest to them."""
        vertices = state.placed(self.vertices(state))
        seen = self.target.vertices
        near, _ = KDTree(vertices[mouth.lips]).query(seen, distance_upper_bound=NEAR_MOUTH)
        chosen = np.flatnonzero(np.isfinite(near))
        chosen = chosen[:: max(1, len(chosen) // self.settings.lip_points)]
        if not len(chosen):
            return
        found = closest_points(index_surface(vertices, mouth.faces), seen[chosen])
        # What is nearest to teeth, tongue or the mouth's lining may be just these.
        kept = mouth.shown[found.triangle] & (found.distance < min(limit, FURTHEST_LIP))
        seen, corners = seen[chosen[kept]], mouth.faces[found.triangle[kept]]
        off, share = seen - found.points[kept], found.barycentric[kept]
        distance = found.distance[kept]
        basis = np.einsum("nc,ncak->nak", share, mouth.basis[mouth.row[corners]])
        weight = (1 - (distance / FURTHEST_LIP) ** 2) ** 2 / self.settings.plane_sigma**2
        weight = weight * _independent(float(len(weight)), INDEPENDENT_LIP)
        way = off / distance[:, None].clip(1e-9)
        system.add_along(found.points[kept], basis, way, (distance, weight))


def _independent(count: float, most: float) -> float:
    """Neighbouring residuals err together: thousands of them weigh as ``most`` would."""
    return most / max(count, most)


def _smooth_modes(model: FaceModel, settings: FaceFitSettings) -> ndarray:
    """(V,M) displacements that the model does not know."""
    mean = model.mean.double().numpy()
    if settings.beyond_sigma <= 0:
        return np.zeros((len(mean), 0))
    nodes, _ = _sampled(model, replace(settings, samples=MODE_NODES))
    return smooth_modes(
        mean, mean[nodes], sigma=settings.beyond_sigma, reach=settings.beyond_reach, count=MODES
    )


class _Normal:
    """Gauss-Newton normal equations over turn (3), shift (3) and coefficients."""

    def __init__(self, count: int, rotation: ndarray, pivot: ndarray) -> None:
        self.matrix, self.right = np.zeros((count + 6, count + 6)), np.zeros(count + 6)
        self.rotation, self.pivot = rotation, pivot

    def add_surface(
        self,
        moved: ndarray,
        basis: ndarray,
        target: ndarray,
        normals: ndarray,
        weights: tuple[ndarray, ndarray],
    ) -> None:
        """Distances along the normals, and weakly in all directions."""
        jacobian = self._jacobian(moved, basis)
        along = np.einsum("nc,nck->nk", normals, jacobian)
        self._add(along, ((target - moved) * normals).sum(1), weights[0])
        some = slice(None, None, WEAK_EVERY)  # the weak rows say the same more than once
        self.add_points(moved[some], basis[some], target[some], WEAK_EVERY * weights[1][some])

    def add_points(self, moved: ndarray, basis: ndarray, target: ndarray, weight: ndarray) -> None:
        """Distances in all directions."""
        jacobian = self._jacobian(moved, basis)
        rows = jacobian.reshape(-1, jacobian.shape[2])
        self._add(rows, (target - moved).ravel(), np.repeat(weight, 3))

    def add_along(self, moved: ndarray, basis: ndarray, way: ndarray, rows: tuple[ndarray, ndarray]) -> None:
        """Distances (and their weights) along given directions."""
        self._add(np.einsum("nc,nck->nk", way, self._jacobian(moved, basis)), *rows)

    def add_differences(
        self,
        moved: ndarray,
        basis: ndarray,
        pairs: tuple[ndarray, ndarray],
        rows: tuple[ndarray, ndarray, ndarray],
    ) -> None:
        """Gaps of pairs along given directions; by how much they are to grow, and weights."""
        jacobian = self._jacobian(moved, basis)
        way, growth, weight = rows
        self._add(np.einsum("nc,nck->nk", way, jacobian[pairs[0]] - jacobian[pairs[1]]), growth, weight)

    def solve(self, prior: ndarray, to_centre: ndarray) -> ndarray:
        """The step; ``prior`` pulls the coefficients towards their centre."""
        matrix, right = self.matrix.copy(), self.right.copy()
        matrix[np.arange(6, len(matrix)), np.arange(6, len(matrix))] += prior
        matrix[np.arange(6), np.arange(6)] += 1e-9 * np.trace(matrix)
        right[6:] += prior * to_centre
        return np.linalg.solve(matrix, right)

    def _jacobian(self, moved: ndarray, basis: ndarray) -> ndarray:
        arm = moved - self.pivot
        jacobian = np.zeros((len(moved), 3, len(self.right)))
        jacobian[:, 0, 1], jacobian[:, 0, 2] = arm[:, 2], -arm[:, 1]
        jacobian[:, 1, 0], jacobian[:, 1, 2] = -arm[:, 2], arm[:, 0]
        jacobian[:, 2, 0], jacobian[:, 2, 1] = arm[:, 1], -arm[:, 0]
        jacobian[:, range(3), range(3, 6)] = 1
        jacobian[:, :, 6:] = self.rotation @ basis
        return jacobian

    def _add(self, rows: ndarray, residual: ndarray, weight: ndarray) -> None:
        weighted = rows * weight[:, None]
        self.matrix += rows.T @ weighted
        self.right += weighted.T @ residual


@dataclass(frozen=True)
class _Mouth:
    """The surface around the mouth, teeth and tongue included.

    Attributes:
        lips: vertices of the lips.
        faces: triangles of the model around the mouth.
        shown: which of them are skin that a scan may show.
        row: of each vertex of the model in ``basis``.
        basis: (N,3,K) of the vertices of the shown triangles.
    """

    lips: ndarray
    faces: ndarray
    shown: ndarray
    row: ndarray
    basis: ndarray

    @classmethod
    def of(cls, model: FaceModel, modes: ndarray) -> "_Mouth | None":
        """None: the model has no inside of the mouth that tells closed lips from open ones."""
        within = [
            model.regions["inner_mouth"],
            *(model.parts[name] for name in INSIDE if name in model.parts),
        ]
        inside = torch.stack(within).any(0).numpy()
        if "mouth" not in model.regions or not inside.any():
            return None
        faces = model.topology.faces.numpy()
        skin = np.logical_and(model.regions["mouth"].numpy(), visible_skin(model) > 0)
        shown = np.asarray(skin[faces].all(axis=1))
        kept = shown | inside[faces].all(1)
        faces, shown = np.ascontiguousarray(faces[kept]), shown[kept]
        used = np.unique(faces[shown])
        row = np.zeros(len(model.mean), dtype=np.int64)
        row[used] = np.arange(len(used))
        basis = _basis_at(model, used).beside(modes[used]).basis
        return cls(np.flatnonzero(model.regions["lips"].numpy()), faces, shown, row, basis)


def _sampled(model: FaceModel, settings: FaceFitSettings) -> tuple[ndarray, ndarray]:
    """Vertices that search, evenly over the visible skin, and their weights."""
    weight = visible_skin(model)
    for name in OUTSIDE:
        if name in model.regions:
            weight[model.regions[name].numpy()] *= settings.outside_weight
    usable = np.flatnonzero(weight > 0)
    share = _areas(model)[usable]
    generator = np.random.default_rng(0)
    chosen = generator.choice(
        usable, min(settings.samples, len(usable)), replace=False, p=share / share.sum()
    )
    chosen.sort()
    return chosen, weight[chosen]


def _areas(model: FaceModel) -> ndarray:
    return vertex_areas(model.mean, model.topology.faces).double().numpy().clip(1e-9)


def _basis_at(model: FaceModel, chosen: ndarray) -> _Basis:
    both = torch.cat([model.identity_basis[:, chosen], model.expression_basis[:, chosen]])
    return _Basis(model.mean[chosen].double().numpy(), both.permute(1, 2, 0).double().numpy().copy())


def _landmark_basis(model: FaceModel, index: Int64[ndarray, " L"], modes: ndarray) -> _Basis:
    points = model.landmarks["dense478"]
    faces = model.topology.faces
    both = torch.cat([points.on(basis, faces) for basis in (model.identity_basis, model.expression_basis)])
    mean = points.on(model.mean, faces)[index]
    known = _Basis(mean.double().numpy(), both[:, index].permute(1, 2, 0).double().numpy().copy())
    corners = faces[points.triangle].numpy()[index]
    return known.beside(np.einsum("lc,lcm->lm", points.weights.double().numpy()[index], modes[corners]))


def _vertices(model: FaceModel, coefficients: ndarray) -> ndarray:
    identity, expression = np.split(coefficients.astype(np.float32), [model.identity_count])
    vertices = model.vertices(torch.from_numpy(identity)[None], torch.from_numpy(expression)[None])[0]
    return vertices.double().numpy()
