"""A face model of some hundred vertices that registration can be tested with."""

import numpy as np
import torch
from tests.unit.registration.patches import grid

from facewright.geometry.mesh import Topology
from facewright.models.face_model import ExpressionPrior, FaceModel, LandmarkSet

ROWS, COLUMNS = 25, 23
EMPTY = ("eye_sockets", "inner_mouth", "neck", "scalp", "ear_left", "ear_right")
# Rows of the 478 that registration knows by number, and where they are (mm).
KNOWN = {
    33: (-45, 30),
    263: (45, 30),
    133: (-16, 29),
    362: (16, 29),
    1: (0, -10),
    61: (-25, -40),
    291: (25, -40),
}


def height(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A face seen from the front as a relief, mm."""
    nose = 28 * np.exp(-((x / 12) ** 2) - ((y + 8) / 22) ** 2)
    sockets = -8 * (np.exp(-(((abs(x) - 31) / 14) ** 2) - ((y - 30) / 10) ** 2))
    lips = 6 * np.exp(-((x / 25) ** 2) - ((y + 40) / 8) ** 2)
    chin = 8 * np.exp(-((x / 18) ** 2) - ((y + 75) / 14) ** 2)
    return 90 - 0.006 * x**2 - 0.0025 * y**2 + nose + sockets + lips + chin


def small_face() -> FaceModel:
    """A relief of a face with two identities and two expressions."""
    flat, faces = grid(ROWS, COLUMNS)
    x = (flat[:, 0] / (COLUMNS - 1) - 0.5) * 160
    y = (flat[:, 1] / (ROWS - 1) - 0.5) * 200
    mean = np.stack([x, y, height(x, y)], axis=1)
    wide = np.stack([0.04 * x, 0 * y, 0 * x], axis=1)
    nose = np.exp(-((x / 15) ** 2) - ((y + 8) / 25) ** 2)
    large = np.stack([0 * x, 0 * x, 3 * nose], axis=1)
    mouth = np.exp(-((x / 30) ** 2) - ((y + 40) / 15) ** 2)
    opened = np.stack([0 * x, -6 * mouth, 0 * x], axis=1)
    pursed = np.stack([0 * x, 0 * x, 5 * mouth], axis=1)
    count = len(mean)
    inner = torch.from_numpy((abs(x) < 65) & (abs(y) < 85))
    regions = {name: torch.zeros(count, dtype=torch.bool) for name in EMPTY}
    regions |= {"face": inner, "face_tight": inner, "lips": torch.from_numpy(mouth > 0.5)}
    uv = torch.from_numpy(np.stack([x / 170 + 0.5, y / 210 + 0.5], axis=1)).float()
    triangles = torch.from_numpy(faces)
    return FaceModel(
        name="small",
        version="1",
        topology=Topology(triangles, uv, triangles.clone()),
        mean=torch.from_numpy(mean).float(),
        identity_basis=torch.from_numpy(np.stack([wide, large])).float(),
        expression_basis=torch.from_numpy(np.stack([opened, pursed])).float(),
        expression_names=("opened", "pursed"),
        expression_prior=ExpressionPrior.independent(torch.full((2,), 0.2), torch.full((2,), 0.2)),
        diffuse_mean=torch.full((count, 3), 0.4),
        diffuse_basis=torch.zeros(1, count, 3),
        specular_mean=torch.zeros(count),
        specular_basis=torch.zeros(1, count),
        mirror=torch.arange(count).view(ROWS, COLUMNS).flip(1).flatten(),
        regions=regions,
        parts={"skin": torch.ones(count, dtype=torch.bool)},
        landmarks={"dense478": _landmarks(mean, faces)},
        eye_centers=torch.zeros(2, 3),
    )


def _landmarks(mean: np.ndarray, faces: np.ndarray) -> LandmarkSet:
    """478 points strewn over the face, those of ``KNOWN`` at their places."""
    generator = np.random.default_rng(0)
    places = np.stack([generator.uniform(-60, 60, 478), generator.uniform(-80, 80, 478)], axis=1)
    for row, place in KNOWN.items():
        places[row] = place
    corners = mean[faces][..., :2]
    a, b, c = corners.transpose(1, 0, 2)
    matrix = np.linalg.inv(np.stack([b - a, c - a], axis=2))
    triangle, weights = [], []
    for place in places:
        v, w = np.einsum("fij,fj->if", matrix, place - a)
        inside = int(np.argmax((v >= -1e-9) & (w >= -1e-9) & (v + w <= 1 + 1e-9)))
        triangle.append(inside)
        weights.append((1 - v[inside] - w[inside], v[inside], w[inside]))
    return LandmarkSet(
        torch.tensor(triangle), torch.tensor(np.array(weights)).float(), torch.zeros(478, dtype=torch.bool)
    )


def known_head(model: FaceModel) -> np.ndarray:
    """(V,3) a person with an expression and a bulge that the model does not know."""
    shape = model.vertices(torch.tensor([[1.2, -0.8]]), torch.tensor([[0.5, 0.1]]))[0].double().numpy()
    bulge = 3 * np.exp(-(((shape[:, 0] - 35) / 20) ** 2) - ((shape[:, 1] + 15) / 20) ** 2)
    return shape + bulge[:, None] * [0.3, 0, 1]


def fine_scan(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The surface of a head resampled at three times its resolution."""
    net = vertices.reshape(ROWS, COLUMNS, 3)

    def finer(rows: np.ndarray) -> np.ndarray:
        place = np.arange(3 * (len(rows) - 1) + 1) / 3
        low = np.minimum(place.astype(int), len(rows) - 2)
        share = (place - low)[:, None, None]
        return (1 - share) * rows[low] + share * rows[low + 1]

    fine = finer(finer(net).transpose(1, 0, 2)).transpose(1, 0, 2)
    _, faces = grid(*fine.shape[:2])
    return fine.reshape(-1, 3), faces
