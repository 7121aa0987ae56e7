"""Faces of the ICT model: another topology, made by other people, with shapes that our model has not seen.

ICT-FaceKit's light model (MIT licence) as one npz: see the material folder's README.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray

# Ranges of the published vertex order: face, head and neck; both eyeballs. Teeth and lashes are left out.
SKIN, EYES = (0, 11248), (21451, 24591)
SLIGHT, RARE = 0.4, 0.1  # largest activation of an expression, and how many of them a face shows


@dataclass(frozen=True)
class IctModel:
    """The arrays of the file, centimetres.

    Attributes:
        neutral: (V,3) mean.
        faces: (F,3) triangles of what a scanner would see.
        identity: (100,V,3) one standard deviation each.
        expression: (57,V,3) at activation 1.
    """

    neutral: ndarray
    faces: ndarray
    identity: ndarray
    expression: ndarray


def read_ict(path: Path) -> IctModel:
    """Read the npz."""
    with np.load(path, allow_pickle=False) as arrays:
        quads = arrays["polygons"].astype(np.int64)
        neutral, identity, expression = (
            arrays[name].astype(np.float64) for name in ("neutral", "identity", "expression")
        )
    quads[:, 3] = np.where(
        quads[:, 3] < 0, quads[:, 2], quads[:, 3]
    )  # a triangle has -1 as its fourth corner
    seen = np.zeros(len(quads), dtype=bool)
    for first, end in (SKIN, EYES):
        seen |= ((quads >= first) & (quads < end)).all(1)
    quads = quads[seen]
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    a, b, c = faces.T
    return IctModel(neutral, faces[(a != b) & (b != c) & (c != a)], identity, expression)


def ict_face(model: IctModel, seed: int) -> ndarray:
    """(V,3) a random person with a slight random expression, centimetres."""
    generator = np.random.default_rng(seed)
    identity = generator.normal(size=len(model.identity))
    shown = generator.random(len(model.expression)) < RARE
    expression = shown * generator.uniform(0, SLIGHT, len(model.expression))
    vertices = model.neutral + np.tensordot(identity, model.identity, 1)
    return vertices + np.tensordot(expression, model.expression, 1)
