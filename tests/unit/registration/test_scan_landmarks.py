"""Landmarks found on the shipped head itself, turned and in metres, by the shipped networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from facewright.core.errors import NoFaceError, SeveralFacesError
from facewright.detection import FaceDetector, FaceLandmarker, detect
from facewright.geometry.scan import Scan
from facewright.models.base import load_base_model
from facewright.registration.records import ScanLandmarks
from facewright.registration.rigid import eye_distance_of
from facewright.registration.scan_landmarks import (
    find_face_on_scan,
    plaster_bias,
    relief,
    steady_landmarks,
)
from facewright.registration.scan_views import looking, viewer_of
from facewright.registration.surface import ScanSurface, surface_of_scan

TURN = Rotation.from_euler("zx", [150, 70], degrees=True).as_matrix()


@pytest.fixture(scope="module")
def model():
    return load_base_model()


@pytest.fixture(scope="module")
def finder():
    detector, landmarker = FaceDetector.load(), FaceLandmarker.load()
    return lambda picture: detect(picture, detector=detector, landmarker=landmarker)


def surface(vertices: np.ndarray, model, copies: int = 1) -> ScanSurface:
    faces = model.topology.faces.numpy()
    faces = np.concatenate([faces + copy * len(model.mean) for copy in range(copies)])
    colors = np.tile(
        (model.diffuse_mean.clamp(0, 1) ** (1 / 2.2) * 255).numpy().astype(np.uint8), (copies, 1)
    )
    return surface_of_scan(Scan("head.ply", vertices, faces, np.arange(len(vertices)), colors))


def test_the_face_is_found_wherever_it_looks(model, finder) -> None:
    head = model.mean.double().numpy()
    found = find_face_on_scan(surface(head @ TURN.T / 1000 + [3.0, 0, 1], model), model, finder)
    truth = model.landmark_points(model.mean, "dense478").double().numpy() @ TURN.T / 1000 + [3.0, 0, 1]
    error = 1000 * np.linalg.norm(found.landmarks.points - truth[found.landmarks.index], axis=1)
    assert np.median(error) < 4.0
    assert 0.07 < found.eye_distance < 0.11
    assert found.colored
    # The control: landmarks that are numbered wrongly are centimetres off.
    shuffled = truth[np.random.default_rng(0).permutation(found.landmarks.index)]
    assert 1000 * np.median(np.linalg.norm(found.landmarks.points - shuffled, axis=1)) > 15


def test_what_plaster_does_to_landmarks_is_taken_off(model, finder) -> None:
    faces = model.topology.faces.numpy()

    def error(seed: int, bias: np.ndarray | None) -> float:
        identity = torch.randn(1, model.identity_count, generator=torch.Generator().manual_seed(seed))
        head = model.vertices(identity)[0]
        truth = model.landmark_points(head, "dense478").double().numpy()
        plaster = surface_of_scan(Scan("head.ply", head.double().numpy(), faces, np.arange(len(head))))
        found = find_face_on_scan(plaster, model, finder, bias).landmarks
        return float(np.median(np.linalg.norm(found.points - truth[found.index], axis=1)))

    bias, people = plaster_bias(model, finder), (1, 2)
    assert sum(error(seed, bias) for seed in people) < 0.8 * sum(error(seed, None) for seed in people)


@pytest.mark.parametrize(
    ("degrees", "shift"),
    [(0, (260.0, 0, 0)), (180, (260.0, 0, 0)), (180, (0, 0, -250.0)), (90, (180.0, 0, -120.0))],
    ids=["alike", "opposite", "back to back", "at right angles"],
)
def test_two_faces_are_not_one(model, finder, degrees: int, shift: tuple[float, float, float]) -> None:
    head = model.mean.double().numpy()
    turn = Rotation.from_euler("y", degrees, degrees=True).as_matrix()
    both = np.concatenate([head, head @ turn.T + shift])
    with pytest.raises(SeveralFacesError, match="more than one"):
        find_face_on_scan(surface(both, model, copies=2), model, finder)


def test_points_strewn_at_random_show_their_face(model, finder) -> None:
    generator = np.random.default_rng(0)
    corners = model.mean.double().numpy()[model.topology.faces.numpy()]
    a, b, c = corners.transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    chosen = generator.choice(len(area), 60_000, p=area / area.sum())
    share = generator.dirichlet([1, 1, 1], len(chosen))
    points = np.einsum("nk,nka->na", share, corners[chosen])
    cloud = surface_of_scan(Scan("cloud.xyz", points, np.zeros((0, 3), np.int64), np.arange(len(points))))
    found = find_face_on_scan(cloud, model, finder).landmarks
    truth = model.landmark_points(model.mean, "dense478").double().numpy()[found.index]
    assert np.median(np.linalg.norm(found.points - truth, axis=1)) < 5.0


@pytest.mark.parametrize("seed", [0, 1, 9])  # on all the networks see a face from several sides
def test_a_ball_is_no_face(model, finder, seed) -> None:
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(3000, 3))
    points *= 100 / np.linalg.norm(points, axis=1, keepdims=True)
    ball = surface_of_scan(Scan("ball.xyz", points, np.zeros((0, 3), np.int64), np.arange(3000)))
    with pytest.raises(NoFaceError, match=r"no face was found on ball\.xyz") as told:
        find_face_on_scan(ball, model, finder)
    assert not isinstance(told.value, SeveralFacesError)


def test_a_face_has_relief(model) -> None:
    """In mm of a mean head, whatever the unit; and not out of a ball."""
    index = steady_landmarks(model)
    points = model.landmark_points(model.mean, "dense478").double().numpy()[index]
    face = ScanLandmarks(index, 0.01 * points @ TURN.T + 3.0, np.ones(len(index)))
    width = eye_distance_of(face, model)
    assert width is not None
    assert 6 < relief(face, width, model) < 12
    middle = points.mean(0) - [0, 0, 60.0]
    way = points - middle
    ball = replace(face, points=0.01 * (middle + 80 * way / np.linalg.norm(way, axis=1, keepdims=True)))
    assert relief(ball, width, model) < 0.1


def test_a_pixel_leads_back_to_its_place(model) -> None:
    head = model.mean.double().numpy() @ TURN.T
    viewer = viewer_of(surface(head, model))
    back, up = TURN @ [0.3, 0.1, 1.0], TURN @ [0.0, 1.0, 0.0]
    view = viewer.look(looking(back, up), np.zeros(3), 150.0, 256)
    nose = model.landmark_points(model.mean, "dense478")[1].double().numpy() @ TURN.T
    turned = (torch.from_numpy(view.camera_from_scan @ nose) + torch.tensor([0, 0, view.distance])).float()
    pixel = view.camera.project(turned[None, None])[0, 0, :2].double().numpy()
    place = viewer.places(view, pixel[None])[0]
    assert np.linalg.norm(place - nose) < 0.6
    assert np.linalg.norm(viewer.places(view, pixel[None] + 5)[0] - nose) > 3  # the control
    assert np.isnan(viewer.places(view, np.array([[1.0, 1.0], [-5.0, 400.0]]))).all()
