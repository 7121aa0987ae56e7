"""The covariance of scans corrected by that of photos, where photos say something.

Scans tell how much faces differ and what goes with what; there are few of them, of one studio. Photos of
thousands of people tell what people's landmarks are like, once it is known how landmarks answer to shapes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import sparse

from base_model.appearance import Canvas, Painter
from base_model.landmark_response import Response, measure_response
from base_model.landmarking import ReferenceLandmarker
from base_model.photo_statistics import LandmarkSpace, PhotoStatistics, estimate, read_photos, spread_out
from base_model.raw_space import RawSpace

SEEN_DIRECTIONS, SEEN_MARKS = 80, 150  # of the prior, by what they do to landmarks; of the 468 points
RESPONSE_HEADS, ROUNDS = 300, 11
# What variance photos may leave of a direction, and give it: where the landmarker sees little, the estimate
# is of the landmarker more than of people.
LEAST_VARIANCE, MOST_VARIANCE = 0.7, 3.0


@dataclasses.dataclass(frozen=True)
class SeenPrior:
    """A prior of raw coefficients, ordered by what its directions do to landmarks."""

    factor: np.ndarray  # (D,R) covariance of the raw coefficients = factor @ factor.T; first SEEN_DIRECTIONS
    marks: np.ndarray  # (L,) which landmarks
    rows: sparse.csr_matrix  # (L,S) their places
    points: LandmarkSpace  # without the landmarker's answer


def seen_prior(
    space: RawSpace, factor: np.ndarray, rows: sparse.csr_matrix, expressions: np.ndarray
) -> SeenPrior:
    """Turn the prior's unit-variance latents so that the first ones move the landmarks most.

    Args:
        space: with the prior's mean.
        factor: (D,R) of the prior.
        rows: (468,S) places of the landmarks on the source topology.
        expressions: (E,S,3).
    """
    marks = spread_out(rows @ space.mean, SEEN_MARKS)
    rows = rows[marks]
    moves = np.stack([rows @ shape for shape in space.direction])  # (D,L,3)
    latent = np.tensordot(factor.T, moves, 1)  # (R,L,3)
    turn = np.linalg.svd(latent.reshape(len(latent), -1))[0]
    seen = np.tensordot(turn[:, :SEEN_DIRECTIONS].T, latent, 1)
    expression = np.stack([rows @ shape for shape in expressions])
    return SeenPrior(factor @ turn, marks, rows, LandmarkSpace(rows @ space.mean, seen, expression))


def landmark_response(
    prior: SeenPrior,
    space: RawSpace,
    dense: sparse.csr_matrix,
    canvas: Canvas,
    landmarker: ReferenceLandmarker,
    seed: int,
) -> Response:
    """How the landmarker answers to the prior's heads, painted at random; ``dense`` subdivides shapes."""
    generator = np.random.default_rng(seed)
    painter = Painter.on(canvas)

    def heads() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        for _ in range(RESPONSE_HEADS):
            latent = generator.standard_normal(prior.factor.shape[1])
            shape = space.mean + np.tensordot(prior.factor @ latent, space.direction, 1)
            albedo = painter.paint(float(generator.uniform(0.1, 0.9)), generator)
            yield dense @ shape, albedo, prior.rows @ shape, latent[:SEEN_DIRECTIONS]

    motion = np.sqrt((prior.points.identity**2).sum(2).mean(1))

    def chosen(pixels: np.ndarray) -> np.ndarray | None:
        found = landmarker(pixels)
        return None if found is None else found[prior.marks]

    return measure_response(heads(), canvas.faces, motion, chosen)


def photo_statistics(
    prior: SeenPrior, response: Response, labels: Path, names: tuple[str, ...], seed: int
) -> PhotoStatistics:
    """What photos of people that training may see say of the prior's first latents."""
    points = LandmarkSpace(
        prior.points.mean + response.bias, prior.points.identity + response.pull, prior.points.expression
    )
    return estimate(points, read_photos(labels, prior.marks, names, seed), ROUNDS)


def corrected(prior: SeenPrior, covariance: np.ndarray) -> np.ndarray:
    """Factor (D,R) of the raw coefficients' covariance after photos; the mean stays that of the scans.

    The photos' mean is not used: it hangs on the distance that cameras are taken to have had, and half of it
    put fits to the photos of the one scanned person 0.2 mm further off the scan.

    Args:
        prior: that the photos were seen with.
        covariance: (Q,Q) of the people's latents.
    """
    size = len(covariance)
    variance, direction = np.linalg.eigh(covariance)
    root = direction * np.sqrt(np.clip(variance, LEAST_VARIANCE, MOST_VARIANCE))
    return np.concatenate([prior.factor[:, :size] @ root, prior.factor[:, size:]], axis=1)
