"""A head of a few hundred vertices with nose, chin and eyes, as numbers that tests write in raw formats."""

from dataclasses import dataclass

import numpy as np
from tests.miniature_head import globe

POINTS = {
    8: (0.0, -75.0, 60.0),
    30: (0.0, -5.0, 130.0),
    33: (0.0, -20.0, 95.0),
    36: (-45.0, 25.0, 75.0),
    39: (-16.0, 25.0, 92.0),
    42: (16.0, 25.0, 92.0),
    45: (45.0, 25.0, 75.0),
    48: (-25.0, -45.0, 80.0),
    51: (0.0, -40.0, 85.0),
    54: (25.0, -45.0, 80.0),
    57: (0.0, -55.0, 80.0),
}


@dataclass(frozen=True)
class RawHead:
    """In mm, head frame, 0-based triangles that face outward."""

    mean: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    directions: np.ndarray
    deviations: np.ndarray
    expression: np.ndarray
    expression_deviations: np.ndarray
    colour: np.ndarray
    colour_directions: np.ndarray
    colour_deviations: np.ndarray
    anchors: dict[int, int]

    @property
    def identity(self) -> np.ndarray:
        """(K,V,3) of one standard deviation."""
        return (self.directions * self.deviations).T.reshape(len(self.deviations), -1, 3)


def orthonormal(generator: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return np.linalg.qr(generator.standard_normal((rows, columns)))[0]


def raw_head(components: int = 4, expressions: int = 2) -> RawHead:
    vertices, faces, uv, uv_faces, _ = globe(
        (0.0, 0.0, 0.0), (75.0, 110.0, 95.0), (0.0, 0.0, 1.0, 1.0), 30, 24
    )
    mean = vertices.numpy().astype(np.float64)
    nose = np.exp(-((mean[:, 0] / 12) ** 2) - (((mean[:, 1] + 5) / 18) ** 2)) * (mean[:, 2] > 0)
    mean[:, 2] += 25 * nose
    used = np.unique(faces.numpy())
    place = np.full(len(mean), -1)
    place[used] = np.arange(len(used))
    mean, faces = mean[used], place[faces.numpy()]
    texels = np.unique(uv_faces.numpy())
    uv_place = np.full(len(uv), -1)
    uv_place[texels] = np.arange(len(texels))
    generator = np.random.default_rng(7)
    count = len(mean)
    return RawHead(
        mean=mean,
        faces=faces.astype(np.int64),
        uv=uv.numpy()[texels].astype(np.float64),
        uv_faces=uv_place[uv_faces.numpy()].astype(np.int64),
        directions=orthonormal(generator, 3 * count, components),
        # Millimetres over all coordinates: a root mean square of about 3 mm at each vertex.
        deviations=np.sqrt(count * 9.0 / components) * np.linspace(1.2, 0.8, components),
        expression=orthonormal(generator, 3 * count, expressions),
        expression_deviations=np.sqrt(count * 4.0) * np.linspace(1.0, 0.5, expressions),
        colour=np.clip(0.5 + 0.05 * generator.standard_normal((count, 3)), 0.3, 0.7),
        colour_directions=orthonormal(generator, 3 * count, components),
        colour_deviations=np.sqrt(3 * count * 0.01 / components) * np.linspace(1.2, 0.8, components),
        anchors={
            number: int(np.linalg.norm(mean - point, axis=1).argmin()) for number, point in POINTS.items()
        },
    )
