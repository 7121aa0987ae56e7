"""How the reference landmarker's points answer to a head's shape: by less than it differs.

A network that finds landmarks has learnt what faces are like, and pulls what it sees towards that. On heads
of known shape the pull can be measured: displacements of the points beyond those of the surface, linear in
the identity coefficients.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from base_model.picture import CENTRE, DISTANCE, take, turned

YAWS = (0.0, 0.45, -0.45)
SIZE, SPAN = 320, 330.0
ERROR = 1.5  # mm, of a point on one picture
BELIEF = 0.5  # of a coefficient's own motion: what the pull is expected to be within
BIAS = 3.0  # mm


@dataclasses.dataclass(frozen=True)
class Response:
    """Displacement of each point from its place on the surface: ``bias + coefficients . pull`` (mm)."""

    bias: np.ndarray  # (L,3)
    pull: np.ndarray  # (Q,L,3)


def measure_response(
    heads: Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
    faces: np.ndarray,
    motion: np.ndarray,
    landmarker: Callable[[np.ndarray], np.ndarray | None],
) -> Response:
    """Ridge regression over pictures of known heads.

    Args:
        heads: vertices (V,3), albedo (V,3), true points (L,3), coefficients (Q,), of each head.
        faces: (F,3).
        motion: (Q,) rms displacement of the points by a coefficient, mm.
        landmarker: whose answers are studied: pixels to points (L,2) or None.
    """
    size = 3 * (1 + len(motion))
    gram, pull = np.zeros((size, size)), None
    for vertices, albedo, points, coefficients in heads:
        known = np.concatenate([[1.0], coefficients])
        for yaw in YAWS:
            found = landmarker(take(vertices, faces, albedo, yaw=yaw, size=SIZE, span=SPAN).image)
            if found is None:
                continue
            view = turned(yaw, 0.0)
            posed = (points - np.asarray(CENTRE)) @ view.T
            depth = (DISTANCE - posed[:, 2:]) / DISTANCE
            seen = (found - SIZE / 2) * [1.0, -1.0] * SPAN / SIZE * depth
            off = seen - posed[:, :2]
            rows = np.einsum("k,ci->cki", known, view[:2]).reshape(2, -1)
            gram += rows.T @ rows
            pull = rows.T @ off.T if pull is None else pull + rows.T @ off.T
    if pull is None:
        raise ValueError("the landmarker found no face on any picture")
    spread = np.concatenate([[BIAS], BELIEF * motion])
    answer = np.linalg.solve(gram + np.diag(np.repeat(ERROR**2 / spread**2, 3)), pull)
    answer = answer.reshape(len(spread), 3, -1).transpose(0, 2, 1)
    return Response(answer[0], answer[1:])
