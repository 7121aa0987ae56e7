"""Alignment finds known motions; what cannot be aligned is refused."""

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation
from tests.unit.evaluation.face_shapes import depth, sample, similarity, with_points

from facewright.core.errors import InputError
from facewright.evaluation.alignment import Anchors, IcpSettings, align_landmarks, align_surface, moved
from facewright.evaluation.geometry_metrics import point_to_surface
from facewright.geometry.alignment import Alignment
from facewright.geometry.nearest import index_surface


def start_of(function):
    """The alignment that a similarity function is, a little wrong."""
    origin = function(np.zeros((1, 3)))[0]
    columns = (function(np.eye(3)) - origin).T
    scale = np.cbrt(np.linalg.det(columns))
    wrong = similarity(1.0, (0.02, -0.03, 0.02), (2.0, -1.5, 1.0))
    turned = (wrong(np.eye(3)) - wrong(np.zeros((1, 3)))[0]).T
    rotation = columns / scale @ turned
    return Alignment(
        torch.from_numpy(rotation)[None],
        torch.from_numpy(origin + np.array([2.0, -1.5, 1.0]))[None],
        torch.tensor([scale * 0.98]),
    )


@pytest.mark.parametrize("metric", ["point", "plane"])
def test_a_known_similarity_is_found(metric):
    """The scan's points lie exactly on the faceted mesh, so that the true motion leaves nothing."""
    face = sample(41, 49)
    rng = np.random.default_rng(0)
    weights = rng.dirichlet([1, 1, 1], 3000)
    corners = face.vertices[face.faces[rng.integers(len(face.faces), size=3000)]]
    motion = similarity(1.07)
    scan = motion((corners * weights[..., None]).sum(1))
    surface = index_surface(face.vertices, face.faces)
    start = start_of(motion)
    found = align_surface(
        surface, scan, start, IcpSettings(with_scale=True, metric=metric, steps=150, tolerance=1e-9)
    )
    assert float(found.scale) == pytest.approx(1.07, abs=1e-6)
    np.testing.assert_allclose(moved(found, face.vertices), motion(face.vertices), atol=1e-4)
    rigid = align_surface(surface, scan, start, IcpSettings(with_scale=False, metric=metric))
    assert float(rigid.scale) == float(start.scale)  # control: without a scale the size stays wrong
    assert np.abs(moved(rigid, face.vertices) - motion(face.vertices)).max() > 0.5


def test_the_minimum_is_that_of_a_general_optimizer():
    """Two different surfaces, so that distances stay: seven parameters by scipy against ours."""
    face, other = sample(31, 37), with_points(sample(25, 29), lambda p: p * [1.05, 0.96, 1.1])
    surface, scan = (
        index_surface(face.vertices, face.faces),
        other.vertices[np.abs(other.vertices[:, 0]) < 60],
    )

    def motion(x):
        rotation = torch.from_numpy(Rotation.from_rotvec(x[:3]).as_matrix())[None]
        return Alignment(rotation, torch.from_numpy(x[3:6])[None], torch.from_numpy(np.exp(x[6:])))

    def distances(x):
        return point_to_surface(surface, moved(motion(x).inverse(), scan)) * np.exp(x[6])

    peer = least_squares(distances, np.zeros(7), x_scale=[0.01, 0.01, 0.01, 1, 1, 1, 0.01])
    settings = IcpSettings(with_scale=True, steps=200, tolerance=1e-7)
    ours = align_surface(surface, scan, motion(np.zeros(7)), settings)
    left = point_to_surface(surface, moved(ours.inverse(), scan)) * float(ours.scale)
    assert (left**2).sum() <= 2 * peer.cost * (1 + 1e-4)
    assert (left**2).sum() < 0.5 * (distances(np.zeros(7)) ** 2).sum()


def test_far_points_do_not_pull_where_they_are_trimmed():
    face = sample(41, 49)
    scan = face.vertices[np.abs(face.vertices[:, 0]) < 70].copy()
    scan[:150, 2] += 60.0  # hair
    surface = index_surface(face.vertices, face.faces)
    identity = Alignment(
        torch.eye(3, dtype=torch.float64)[None],
        torch.zeros(1, 3, dtype=torch.float64),
        torch.ones(1, dtype=torch.float64),
    )
    for trim, low, high in ((10.0, 0.0, 1e-6), (None, 0.5, 50.0)):
        found = align_surface(surface, scan, identity, IcpSettings(with_scale=False, trim=trim))
        shift = np.abs(moved(found, face.vertices) - face.vertices).max()
        assert low <= shift <= high


def test_anchors_hold():
    """A plane does not say where to slide: landmarks do."""
    x, y = np.meshgrid(np.linspace(-50, 50, 21), np.linspace(-50, 50, 21))
    flat = np.stack([x, y, 0 * x], -1).reshape(-1, 3)
    index = np.arange(441).reshape(21, 21)
    faces = np.concatenate(
        [
            np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:]], -1).reshape(-1, 3),
            np.stack([index[:-1, :-1], index[1:, 1:], index[:-1, 1:]], -1).reshape(-1, 3),
        ]
    )
    scan = flat[np.abs(flat).max(1) < 30] + [4.0, 0, 2.0]
    marks = np.array([[-10.0, 0, 0], [10, 5, 0], [0, -12, 0]])
    start = Alignment(
        torch.eye(3, dtype=torch.float64)[None],
        torch.zeros(1, 3, dtype=torch.float64),
        torch.ones(1, dtype=torch.float64),
    )
    surface = index_surface(flat, faces)
    anchors = Anchors(marks, marks + np.array([4.0, 0, 2.0]), 1.0)
    held = align_surface(surface, scan, start, IcpSettings(with_scale=False), anchors)
    np.testing.assert_allclose(held.translation[0].numpy(), [4, 0, 2], atol=1e-3)
    free = align_surface(surface, scan, start, IcpSettings(with_scale=False))
    np.testing.assert_allclose(free.translation[0].numpy(), [0, 0, 2], atol=1e-3)


def test_landmarks_that_do_not_fit_are_refused():
    points = sample(9, 9).landmarks.rows(
        ["right_eye_outer", "left_eye_outer", "nose_base", "right_mouth_corner"]
    )
    motion = similarity(0.9)
    alignment, rms = align_landmarks(points, motion(points), with_scale=True)
    assert rms < 1e-9
    np.testing.assert_allclose(moved(alignment, points), motion(points), atol=1e-9)
    with pytest.raises(InputError, match="left and right"):
        align_landmarks(points, motion(points[::-1]), with_scale=True)
    with pytest.raises(InputError, match="units"):
        align_landmarks(points / 10, points, with_scale=False)
    with pytest.raises(InputError, match="line"):
        align_landmarks(np.outer([0.0, 1, 2, 3], [1, 1, 1.0]), points, with_scale=True)
    with pytest.raises(InputError, match="at least 3"):
        align_landmarks(points[:2], points[:2], with_scale=True)


def test_the_shape_is_a_face():
    assert depth(0.0, -8.0) > depth(20.0, -8.0)
    face = with_points(sample(9, 9), similarity(2.0))
    assert face.landmarks.outer_interocular == pytest.approx(180.0, abs=1.0)
