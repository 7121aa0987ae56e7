"""Optimal-step non-rigid ICP: a template is drawn onto a scan, stiff at first, then ever more supple.

**Source:** Amberg, Romdhani and Vetter 2007, "Optimal step nonrigid ICP algorithms for surface registration".
**Differs:** closest points lie on the target's triangles, not on its vertices; further terms can be added.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy.spatial import KDTree
from threadpoolctl import threadpool_limits

from facewright.geometry.adjacency import rim_of
from facewright.geometry.nearest import closest_points, index_surface
from facewright.registration.correspondence import ON_BORDER, Target, match, normals_of
from facewright.registration.energy import ALL_AXES, AffineSystem, Axes, Rows, edges_of
from facewright.registration.schedule import NonRigidSettings, Stage


@runtime_checkable
class Term(Protocol):
    """One term of the energy; asked anew in every iteration."""

    def rows(self, moved: Float[ndarray, "V 3"], normals: Float[ndarray, "V 3"], stage: Stage) -> Rows | None:
        """The rows for the template as it lies now; None: it has none in this stage.

        Args:
            moved: its vertices.
            normals: its normals, carried there by the vertices' maps; not of unit length.
            stage: of the schedule.
        """
        ...


@dataclass(frozen=True)
class ClosestPointTerm:
    """Draws each vertex to the closest point of the target that can be believed.

    Attributes:
        target: the scan.
        weight: of each vertex; 0 where the template has no counterpart on a scan.
        axes: which coordinates are bound.
    """

    target: Target
    weight: Float[ndarray, " V"]
    axes: Axes = ALL_AXES

    def rows(self, moved: Float[ndarray, "V 3"], normals: Float[ndarray, "V 3"], stage: Stage) -> Rows | None:
        """Vertices whose match is near, faces the same way, and is not on the scan's rim."""
        used = np.flatnonzero(self.weight > 0)
        found = match(self.target, moved[used], normals[used])
        believed = (found.distance <= stage.max_distance) & (found.cosine >= stage.min_cosine)
        believed &= ~found.on_border
        kept = np.flatnonzero(believed)
        weight = self.weight[used[kept]]
        if stage.normal_power:
            weight = weight * found.agreement[kept].clip(0, 1) ** (2 * stage.normal_power)
        return Rows(found.points[kept], weight, vertex=used[kept], axes=self.axes)


@dataclass(frozen=True)
class LandmarkTerm:
    """Draws named points of the template to where they were found.

    Attributes:
        triangle: triangle of the template that carries each point.
        corner_weights: barycentric.
        target: mm, head frame.
        weight: how far each is believed; multiplied by the square of the stage's landmark weight.
        axes: which coordinates are bound.
    """

    triangle: Int64[ndarray, " L"]
    corner_weights: Float[ndarray, "L 3"]
    target: Float[ndarray, "L 3"]
    weight: Float[ndarray, " L"]
    axes: Axes = ALL_AXES

    def rows(
        self,
        moved: Float[ndarray, "V 3"],  # noqa: ARG002  as every term
        normals: Float[ndarray, "V 3"],  # noqa: ARG002
        stage: Stage,
    ) -> Rows | None:
        """The landmarks, as strong as the stage wants them."""
        if stage.landmarks <= 0 or len(self.target) == 0:
            return None
        weight = stage.landmarks**2 * self.weight
        return Rows(
            self.target, weight, triangle=self.triangle, corner_weights=self.corner_weights, axes=self.axes
        )


@dataclass(frozen=True)
class ScanPointTerm:
    """Draws the template's closest points to points of the scan, so that no part of the scan is passed over.

    Attributes:
        points: of the scan, mm, head frame.
        normals: of the scan there.
        faces: of the template.
        searching: vertices of the template that a scan shows; points nearest to others are left out.
        rim: vertices on the template's border, which scan points beyond it must not draw.
    """

    points: Float[ndarray, "N 3"]
    normals: Float[ndarray, "N 3"]
    faces: Int64[ndarray, "F 3"]
    searching: Bool[ndarray, " V"]
    rim: Bool[ndarray, " V"]

    @classmethod
    def near(
        cls,
        target: Target,
        faces: Int64[ndarray, "F 3"],
        start: Float[ndarray, "V 3"],
        weight: Float[ndarray, " V"],
        count: int,
    ) -> "ScanPointTerm":
        """Take points of the scan near the template, evenly spread.

        Args:
            target: the scan.
            faces: of the template.
            start: where the template lies.
            weight: of its vertices; 0 where it has no counterpart on a scan.
            count: at most so many points.
        """
        generator = np.random.default_rng(0)
        share = target.areas / target.areas.sum()
        chosen = generator.choice(len(target.faces), 3 * count, p=share)
        corners = target.faces[chosen]
        points, normals = target.vertices[corners].mean(1), target.normals[corners].mean(1)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12)
        distance, _ = KDTree(start[weight > 0]).query(points, distance_upper_bound=10.0)
        kept = np.flatnonzero(np.isfinite(distance))[:count]
        return cls(points[kept], normals[kept], faces, weight > 0, rim_of(faces, len(start)))

    def rows(self, moved: Float[ndarray, "V 3"], normals: Float[ndarray, "V 3"], stage: Stage) -> Rows | None:
        """Scan points whose closest point of the template can be believed."""
        if stage.back <= 0 or len(self.points) == 0:
            return None
        found = closest_points(index_surface(moved, self.faces), self.points)
        corners = self.faces[found.triangle]
        there = (normals[corners] * found.barycentric[..., None]).sum(1)
        cosine = (there * self.normals).sum(1) / np.linalg.norm(there, axis=1).clip(1e-12)
        kept = (found.distance <= stage.max_distance) & (cosine >= stage.min_cosine)
        kept &= self.searching[corners].all(1)
        on_rim = (self.rim[corners] * found.barycentric).sum(1) > ON_BORDER
        kept = np.flatnonzero(kept & ~on_rim)
        return Rows(
            self.points[kept],
            np.full(len(kept), stage.back),
            triangle=found.triangle[kept],
            corner_weights=found.barycentric[kept],
        )


@dataclass(frozen=True)
class Deformation:
    """What non-rigid ICP found.

    Attributes:
        vertices: of the template, moved.
        iterations: systems solved.
        solver: which solver ran.
    """

    vertices: Float[ndarray, "V 3"]
    iterations: int
    solver: str


def deform(
    vertices: Float[ndarray, "V 3"],
    faces: Int64[ndarray, "F 3"],
    terms: Sequence[Term],
    settings: NonRigidSettings,
    *,
    pliancy: Float[ndarray, " V"] | None = None,
) -> Deformation:
    """Draw a template onto what its terms ask for.

    Args:
        vertices: of the template, near the target and in its frame (mm).
        faces: of the template, connected by edges as far as it is to move together.
        terms: of the energy.
        settings: the stages, and what is common to them.
        pliancy: factor on the stiffness around each vertex: below 1 where the template may bend more.
    """
    scale = settings.unit
    weights = _edge_weights(vertices / scale, faces, settings, pliancy)
    with threadpool_limits(1):
        system = AffineSystem(
            vertices / scale, faces, edge_weights=weights, gamma=settings.gamma, solver=settings.solver
        )
        normals = normals_of(vertices, faces)
        moved, count = vertices, 0
        for stage in settings.stages:
            moved, used = _run_stage(system, moved, normals, terms, stage, settings)
            count += used
    return Deformation(moved, count, system.solver_name)


def _run_stage(
    system: AffineSystem,
    moved: ndarray,
    normals: ndarray,
    terms: Sequence[Term],
    stage: Stage,
    settings: NonRigidSettings,
) -> tuple[ndarray, int]:
    scale = settings.unit
    for count in range(1, stage.iterations + 1):
        carried = system.carried(normals)
        asked = [rows for term in terms if (rows := term.rows(moved, carried, stage)) is not None]
        scaled = [_in_units(rows, scale) for rows in asked]
        before, moved = moved, system.solve(stage.stiffness**2, scaled) * scale
        if np.linalg.norm(moved - before, axis=1).mean() < settings.least_motion:
            return moved, count
    return moved, stage.iterations


def _in_units(rows: Rows, scale: float) -> Rows:
    return Rows(rows.target / scale, rows.weight, rows.vertex, rows.triangle, rows.corner_weights, rows.axes)


def _edge_weights(
    vertices: ndarray, faces: ndarray, settings: NonRigidSettings, pliancy: ndarray | None
) -> ndarray:
    edges, of_face = edges_of(faces)
    # Stiffness is the triangles': an edge of the rim, which only one of them has, counts half.
    weights = np.bincount(of_face.ravel(), minlength=len(edges)) / 2
    if settings.by_length:
        length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
        weights = weights / length.clip(1e-3 * np.median(length)) ** 2
    if pliancy is not None:
        weights = weights * pliancy[edges].mean(1)
    return weights
