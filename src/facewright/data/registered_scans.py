"""Scans of synthetic people as a registration leaves them: vertices of one topology, every person known.

The people and the expressions of a scan are those of ``facewright.data.scans`` with the same protocol, seed
and index. Scanning and registering four thousand of them would take a day, so what a registration adds is
drawn from a noise model, measured by ``scripts/measure_registration_noise.py`` on scans that were registered.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy import spatial

from facewright.core.errors import InputError
from facewright.data.protocols import ScanProtocol
from facewright.data.sampling import expression_spread
from facewright.data.scanner import smooth_field
from facewright.data.scans import draw_scan_expression, own_detail
from facewright.geometry.alignment import align_points
from facewright.geometry.normals import vertex_normals
from facewright.models.face_model import FaceModel

BLOCK = 256  # scans that are made together
SPACING = 1.3  # mm: about 5,000 vertices of the face


@dataclass(frozen=True)
class RegistrationNoise:
    """How far a registered vertex is from where it belongs, mm, root mean square over the face.

    Attributes:
        along: along the surface, smooth.
        across: likewise along the normal of the mean head, whose tangent leaves a curved surface.
        lengths: of their waves, mm.
        lasting: share of their variance that all scans of a person have in common.
        sensor: along the normal, independent from vertex to vertex: what is left of the sensor's noise.
    """

    along: float = 1.05
    across: float = 0.32
    lengths: tuple[float, float] = (20.0, 80.0)
    lasting: float = 0.85
    sensor: float = 0.07


@dataclass(frozen=True)
class ScanPopulation:
    """People of a protocol, each scanned and registered several times.

    Attributes:
        model: the head, in any topology; the scans are in its.
        protocol: how many people and scans, and what they show.
        vertex: numbers of the model's vertices that a scan has (``face_vertices``).
        seed: of the run.
        noise: of the registration.
    """

    model: FaceModel
    protocol: ScanProtocol
    vertex: Int64[ndarray, " C"]
    seed: int = 0
    noise: RegistrationNoise = field(default_factory=RegistrationNoise)

    @property
    def people(self) -> Int64[ndarray, " N"]:
        """Person of each scan."""
        return np.arange(self.protocol.count) // self.protocol.scans

    def blocks(self, block: int = BLOCK) -> Iterator[Float[ndarray, "N C 3"]]:
        """All scans in order, some at a time: a scan depends on seed and index alone."""
        maker = _Maker.of(self)
        for start in range(0, self.protocol.count, block):
            rows = range(start, min(start + block, self.protocol.count))
            yield np.stack([maker.scan(index) for index in rows])


def face_vertices(
    model: FaceModel, region: str = "face_tight", spacing: float = SPACING
) -> Int64[ndarray, " C"]:
    """Numbers of the vertices that scans have: those of a region that are some way apart on the mean head.

    Lengths over such vertices count area, and not where a mesh is dense.

    Args:
        model: the head.
        region: of it.
        spacing: mm between two vertices, at least; 0 takes all.

    Raises:
        InputError: the model has no such region.
    """
    if region not in model.regions:
        raise InputError(
            f"expected a region of {model.name!r} ({', '.join(sorted(model.regions))}), got {region!r}."
        )
    inside = np.flatnonzero(model.regions[region].numpy())
    points = model.mean.double().numpy()[inside]
    kept = np.ones(len(points), dtype=bool)
    if spacing > 0:
        near = spatial.KDTree(points).query_ball_point(points, spacing)
        for number in range(len(points)):
            if kept[number]:
                kept[[other for other in near[number] if other > number]] = False
    return inside[kept]


@dataclass
class _Maker:
    """Makes scans; keeps the person of the last one, since the next is mostly of the same."""

    population: ScanPopulation
    mean: ndarray
    normals: ndarray
    identity: ndarray
    expression: ndarray
    spread: ndarray
    person: tuple[int, ndarray, ndarray] | None = None

    @classmethod
    def of(cls, population: ScanPopulation) -> "_Maker":
        model, chosen = population.model, population.vertex
        normals = vertex_normals(model.mean[None], model.topology.faces)[0].numpy()
        identity, expression = (
            basis[:, chosen].numpy().reshape(len(basis), -1)
            for basis in (model.identity_basis, model.expression_basis)
        )
        mean = model.mean.numpy()[chosen]
        return cls(population, mean, normals[chosen], identity, expression, expression_spread(model))

    def scan(self, index: int) -> Float[ndarray, "C 3"]:
        population, noise = self.population, self.population.noise
        subject, number = divmod(index, population.protocol.scans)
        if self.person is None or self.person[0] != subject:
            self.person = (subject, *self._drawn_person(subject))
        _, neutral, lasting = self.person
        # The same generators as a scan's in ``facewright.data.scans``; what it lacks has one of its own.
        rng = np.random.default_rng([population.seed, 2, index])
        names = population.protocol.expressions
        residual, name = population.protocol.residual, names[number % len(names)]
        shown = draw_scan_expression(population.model, self.spread, name, residual, rng)
        rng = np.random.default_rng([population.seed, 3, index])
        slid = math.sqrt(noise.lasting) * lasting
        slid += math.sqrt(1 - noise.lasting) * self._slid(neutral, rng)
        sensor = noise.sensor * rng.standard_normal((len(neutral), 1), dtype=np.float32) * self.normals
        moved = shown.astype(np.float32) @ self.expression
        points = neutral + moved.reshape(-1, 3) + slid + sensor
        source, target = (torch.from_numpy(array)[None] for array in (points, self.mean))
        return align_points(source, target).apply(source)[0].numpy()

    def _drawn_person(self, subject: int) -> tuple[ndarray, ndarray]:
        """Neutral vertices, and what registration always does to them."""
        rng = np.random.default_rng([self.population.seed, 1, subject])
        identity = rng.normal(size=len(self.identity)).astype(np.float32)
        neutral = self.mean + (identity @ self.identity).reshape(-1, 3) + own_detail(self.mean, rng)
        return neutral, self._slid(neutral, np.random.default_rng([self.population.seed, 4, subject]))

    def _slid(self, points: ndarray, rng: np.random.Generator) -> Float[ndarray, "C 3"]:
        """A smooth error of a registration, of which none of the variance is lasting yet."""
        noise = self.population.noise
        move = smooth_field(points, rng, waves=48, lengths=noise.lengths)
        across = (move * self.normals).sum(1, keepdims=True) * self.normals
        return noise.along / math.sqrt(2.0) * (move - across) + noise.across * across
