"""A small smooth face of known shape, as a mesh of any resolution, with its landmarks exactly on it."""

import json

import numpy as np
from scipy.spatial.transform import Rotation

from facewright.evaluation.landmarks import FaceLandmarks, landmarks_from_rows
from facewright.evaluation.records import FaceSample

# x, y (mm) of iBUG's 68: jaw, brows, nose, eyes, mouth.
JAW = [(-70 * np.cos(np.pi * i / 16), 20 - 95 * np.sin(np.pi * i / 16)) for i in range(17)]
BROWS = [
    (side * x, 48 + 0.1 * x)
    for side, xs in ((-1, (52, 44, 36, 28, 20)), (1, (20, 28, 36, 44, 52)))
    for x in xs
]
NOSE = [(0, 30), (0, 18), (0, 6), (0, -8), (-14, -16), (-7, -18), (0, -20), (7, -18), (14, -16)]
RIGHT_EYE = [(-45, 30), (-37, 34), (-25, 34), (-16, 30), (-25, 27), (-37, 27)]
LEFT_EYE = [(16, 30), (25, 34), (37, 34), (45, 30), (37, 27), (25, 27)]
LIPS = [(26 * np.cos(t), -45 + 9 * np.sin(t)) for t in np.pi - 2 * np.pi * np.arange(12) / 12]
INNER_LIPS = [(18 * np.cos(t), -45 + 3 * np.sin(t)) for t in np.pi - 2 * np.pi * np.arange(8) / 8]
IBUG = np.array([*JAW, *BROWS, *NOSE, *RIGHT_EYE, *LEFT_EYE, *LIPS, *INNER_LIPS], dtype=float)


def depth(x, y):
    """Height of the face over the plane z = 0, mm."""
    bowl = 80 - x**2 / 160 - y**2 / 260
    nose = 22 * np.exp(-((x / 11) ** 2)) * np.exp(-(((y + 8) / 20) ** 2))
    sockets = 7 * (np.exp(-(((abs(x) - 30) / 12) ** 2) - ((y - 30) / 9) ** 2))
    lips = 5 * np.exp(-((x / 24) ** 2) - ((y + 45) / 9) ** 2)
    chin = 7 * np.exp(-((x / 20) ** 2) - ((y + 80) / 13) ** 2)
    return bowl + nose - sockets + lips + chin


def sample(columns=61, rows=73, jitter=0.0, seed=0, name="face"):
    """The face as a mesh; jitter moves the grid over the surface, so that two meshes share no vertex."""
    x, y = np.meshgrid(np.linspace(-90, 90, columns), np.linspace(110, -105, rows))
    if jitter:
        shift = np.random.default_rng(seed).uniform(-jitter, jitter, (2, *x.shape))
        x, y = x + shift[0], y + shift[1]
    vertices = np.stack([x, y, depth(x, y)], -1).reshape(-1, 3)
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    points = np.column_stack([IBUG, depth(*IBUG.T)])
    return FaceSample(name, vertices, faces, landmarks_from_rows(points, name))


def with_points(face, function, name=None):
    """The face with vertices and landmarks moved by a function of points."""
    marks = face.landmarks
    named = {key: function(point[None])[0] for key, point in marks.named.items()}
    dense = None if marks.inner51 is None else function(marks.inner51)
    return FaceSample(name or face.name, function(face.vertices), face.faces, FaceLandmarks(named, dense))


def similarity(scale=1.0, angles=(0.1, -0.2, 0.15), shift=(12.0, -30.0, 55.0)):
    rotation = Rotation.from_euler("xyz", angles).as_matrix()
    return lambda points: scale * points @ rotation.T + np.asarray(shift)


def only_seven(face):
    """The face with NoW's seven landmarks only."""
    from facewright.evaluation.landmarks import NOW_SEVEN

    named = {key: face.landmarks.named[key] for key in NOW_SEVEN}
    return FaceSample(face.name, face.vertices, face.faces, FaceLandmarks(named))


def write_face(folder, stem, face, unit=1.0):
    """An OBJ and a landmark file beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in face.vertices * unit]
    lines += [f"f {a} {b} {c}" for a, b, c in face.faces + 1]
    (folder / f"{stem}.obj").write_text("\n".join(lines) + "\n")
    points = {key: (value * unit).tolist() for key, value in face.landmarks.named.items()}
    (folder / f"{stem}.json").write_text(json.dumps({"landmarks": points}))
