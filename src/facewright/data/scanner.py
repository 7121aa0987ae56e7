"""A scanner, and heads for it with a deformation of their own: every point of a scan is known."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy import ndarray

from facewright.models.face_model import FaceModel
from facewright.render.rasterize import rasterize

AXIS_DEPTH = -20.0  # mm, z of the cylinder's axis in the head frame
PARTING = ("jaw", "mouth", "tongue", "cheekPuff")  # how names of expressions begin that move the lips
HALF_SWEEP = np.radians(110.0)


@dataclass(frozen=True)
class KnownScan:
    """A scan and the head that it shows.

    Attributes:
        vertices: of the scan, mm, head frame.
        faces: of the scan.
        truth: (V,3) the head's own vertices, in the model's topology.
    """

    vertices: ndarray
    faces: ndarray
    truth: ndarray


@dataclass(frozen=True)
class ScanSettings:
    """How the scanner behaves.

    Attributes:
        spacing: mm between neighbouring points.
        noise: mm, along the ray, independent from point to point.
        holes: share of the points that are missing, in patches.
        field: mm, size of the deformation that the model does not know.
        expression: strength of a random expression, as a share of the model's own spread.
        closed: the mouth rests, and with it the jaw; the eyes do what they do.
    """

    spacing: float = 1.5
    noise: float = 0.3
    holes: float = 0.05
    field: float = 1.0
    expression: float = 0.5
    closed: bool = False


def random_head(model: FaceModel, settings: ScanSettings, generator: np.random.Generator) -> ndarray:
    """Vertices of a random person with a smooth deformation outside of the model."""
    identity = torch.from_numpy(generator.normal(size=(1, model.identity_count))).float()
    prior = model.expression_prior
    spread = torch.from_numpy(generator.normal(size=model.expression_count)).float()
    expression = (prior.mean + settings.expression * spread * prior.std).clamp(0, 1)[None]
    if settings.closed:
        parting = torch.tensor([name.startswith(PARTING) for name in model.expression_names])
        expression = expression.masked_fill(parting, 0.0)
    vertices = model.vertices(identity, expression)[0].double().numpy()
    return vertices + settings.field * smooth_field(vertices, generator)


def smooth_field(
    points: ndarray,
    generator: np.random.Generator,
    waves: int = 24,
    lengths: tuple[float, float] = (60.0, 160.0),
) -> ndarray:
    """A random vector field of unit root mean square per axis: so many waves of lengths in a range, mm."""
    wave, phase, strength = (part.astype(points.dtype) for part in draw_waves(generator, waves, lengths))
    return np.sin(points @ wave.T + phase) @ (strength / points.dtype.type(np.sqrt(waves / 2)))


def draw_waves(
    generator: np.random.Generator, waves: int, lengths: tuple[float, float] = (60.0, 160.0)
) -> tuple[ndarray, ndarray, ndarray]:
    """Waves of a smooth field: (W, 3) in radians per mm, phases (W,), strengths (W, 3) on each axis."""
    wave, phase, strength = np.empty((waves, 3)), np.empty(waves), np.empty((waves, 3))
    for number in range(waves):
        direction = generator.normal(size=3)
        wave[number] = direction * (2 * np.pi / generator.uniform(*lengths) / np.linalg.norm(direction))
        phase[number] = generator.uniform(0, 2 * np.pi)
        strength[number] = generator.normal(size=3)
    return wave, phase, strength


def scan_around(
    vertices: ndarray, faces: ndarray, settings: ScanSettings, generator: np.random.Generator
) -> tuple[ndarray, ndarray]:
    """What a laser that travels around the head sees: vertices and faces in another topology."""
    x, y, z = vertices[:, 0], vertices[:, 1], vertices[:, 2] - AXIS_DEPTH
    radius, angle = np.hypot(x, z), np.arctan2(x, z)
    mean_radius = 90.0
    columns = int(2 * HALF_SWEEP * mean_radius / settings.spacing)
    top = y.max()
    rows = int((top - y.min()) / settings.spacing)
    flat = np.stack(
        [(angle + HALF_SWEEP) / (2 * HALF_SWEEP) * columns, (top - y) / settings.spacing, 1000 - radius],
        axis=1,
    )
    # Triangles behind the axis would stretch across the whole image.
    kept = np.ptp(angle[faces], axis=1) < 1.0
    fragments = rasterize(
        torch.from_numpy(flat)[None], torch.from_numpy(faces[kept]), (rows, columns), perspective=False
    )
    depth, covered = fragments.depth[0].numpy(), fragments.covered[0].numpy()
    covered = covered & ~_patches(covered, settings.holes, generator)
    row, column = np.mgrid[:rows, :columns]
    far = 1000 - depth + settings.noise * generator.normal(size=depth.shape)
    turn = (column + 0.5) / columns * 2 * HALF_SWEEP - HALF_SWEEP
    points = np.stack(
        [far * np.sin(turn), top - (row + 0.5) * settings.spacing, far * np.cos(turn) + AXIS_DEPTH], axis=-1
    )
    return _meshed(points, depth, covered)


def scan_ahead(
    vertices: ndarray, faces: ndarray, settings: ScanSettings, generator: np.random.Generator
) -> tuple[ndarray, ndarray]:
    """What a scanner sees that stands before a head at +Z: vertices and faces in another topology."""
    low, high = vertices.min(0), vertices.max(0)
    columns, rows = (int(np.ceil(extent / settings.spacing)) for extent in (high - low)[:2])
    flat = np.stack(
        [
            (vertices[:, 0] - low[0]) / settings.spacing,
            (high[1] - vertices[:, 1]) / settings.spacing,
            1000.0 + high[2] - vertices[:, 2],
        ],
        axis=1,
    )
    fragments = rasterize(
        torch.from_numpy(flat)[None],
        torch.from_numpy(faces),
        (rows, columns),
        perspective=False,
        cull_back_faces=True,
    )
    depth, covered = fragments.depth[0].numpy(), fragments.covered[0].numpy()
    covered = covered & ~_patches(covered, settings.holes, generator)
    row, column = np.mgrid[:rows, :columns]
    points = np.stack(
        [
            low[0] + (column + 0.5) * settings.spacing,
            high[1] - (row + 0.5) * settings.spacing,
            1000.0 + high[2] - depth + settings.noise * generator.normal(size=depth.shape),
        ],
        axis=-1,
    )
    return _meshed(points, depth, covered)


def known_scan(model: FaceModel, settings: ScanSettings, seed: int) -> KnownScan:
    """A random head and its scan."""
    generator = np.random.default_rng(seed)
    truth = random_head(model, settings, generator)
    vertices, faces = scan_around(truth, model.topology.faces.numpy(), settings, generator)
    return KnownScan(vertices, faces, truth)


def _patches(covered: ndarray, share: float, generator: np.random.Generator) -> ndarray:
    """Round patches that cover a share of what is covered."""
    holes = np.zeros_like(covered)
    row, column = np.mgrid[: covered.shape[0], : covered.shape[1]]
    places = np.argwhere(covered)
    while holes[covered].mean() < share:
        centre = places[generator.integers(len(places))]
        holes |= np.hypot(row - centre[0], column - centre[1]) < generator.uniform(2, 7)
    return holes


def _meshed(points: ndarray, depth: ndarray, covered: ndarray) -> tuple[ndarray, ndarray]:
    """Triangles between neighbours of the grid, but not across jumps in depth."""
    number = np.arange(covered.size).reshape(covered.shape)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    there, near = covered.ravel()[faces].all(1), np.ptp(depth.ravel()[faces], axis=1) < 8.0
    faces = faces[there & near]
    used, packed = np.unique(faces, return_inverse=True)
    return points.reshape(-1, 3)[used], packed.reshape(-1, 3).astype(np.int64)
