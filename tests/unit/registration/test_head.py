"""Scans of a small known face in any frame and unit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from tests.unit.registration.small_face import fine_scan, known_head, small_face

from facewright.core.errors import InputError, NoFaceError, ScanError, SeveralFacesError
from facewright.geometry.nearest import closest_points, index_surface
from facewright.geometry.scan import Scan
from facewright.registration import head
from facewright.registration.head import RegistrationSettings, neutral_of, register_scan
from facewright.registration.records import ScanLandmarks
from facewright.registration.rigid import eye_distance_of, mm_per_unit, place_by_landmarks, place_by_search
from facewright.registration.surface import surface_of_scan

MODEL = small_face()
TRUTH = known_head(MODEL)
TURN, SHIFT = Rotation.from_rotvec([2.9, 0.4, -0.3]).as_matrix(), np.array([4.0, -30.0, 12.0])


def placed(points: np.ndarray, unit: float = 10.0) -> np.ndarray:
    """From the head frame to an upside-down scan in units of ``unit`` mm."""
    return points @ TURN.T / unit + SHIFT


def scan_of(vertices: np.ndarray, faces: np.ndarray, **more) -> Scan:
    return Scan("scan.obj", vertices, faces, np.arange(len(vertices)), **more)


def landmarks(unit: float = 10.0) -> ScanLandmarks:
    points = MODEL.landmarks["dense478"].on(torch.from_numpy(TRUTH), MODEL.topology.faces)
    index = np.arange(468)
    return ScanLandmarks(index, placed(points.numpy()[index], unit), np.full(468, 2.0))


@pytest.fixture(scope="module")
def scan() -> Scan:
    vertices, faces = fine_scan(TRUTH)
    return scan_of(placed(vertices), faces)


def test_a_scan_upside_down_in_centimetres_is_registered(scan) -> None:
    result = register_scan(surface_of_scan(scan), MODEL, None, landmarks())
    assert result.transform.mm_per_unit == 10.0
    assert any("cm" in note for note in result.notes)
    back = result.transform.scan_from_head(result.vertices)
    np.testing.assert_allclose(result.transform.head_from_scan(back), result.vertices, atol=1e-9)
    tight = MODEL.regions["face_tight"].numpy()
    error = np.linalg.norm((back - placed(TRUTH)) * 10, axis=1)[tight]
    assert error.mean() < 1.0
    assert result.distance[tight].mean() < 0.15
    assert result.reliable[tight].mean() > 0.95
    # The control: the fitted person, as the model alone knows him, is further away.
    person = [torch.from_numpy(part).float()[None] for part in (result.fit.identity, result.fit.expression)]
    before = result.transform.scan_from_head(MODEL.vertices(*person)[0].double().numpy())
    surface = index_surface(scan.vertices * 10, scan.faces)
    assert closest_points(surface, before[tight] * 10).distance.mean() > 2 * result.distance[tight].mean()
    assert abs(result.fit.identity - [1.2, -0.8]).max() < 0.6
    assert np.linalg.norm(neutral_of(MODEL, result) - result.vertices, axis=1).max() > 0.5


def test_the_unit_is_asked_for_where_it_is_not_clear(scan) -> None:
    for distance, unit in ((0.09, "m"), (9.1, "cm"), (88.0, "mm"), (3.5, "inch")):
        assert mm_per_unit(distance, "scan")[1] == unit
    for distance in (0.5, 30.0, 200.0):
        with pytest.raises(InputError, match="--unit"):
            mm_per_unit(distance, "scan")
    few = landmarks()
    few = ScanLandmarks(few.index[:30], few.points[:30], few.sigma[:30])
    with pytest.raises(InputError, match="no eye corners"):
        register_scan(surface_of_scan(scan), MODEL, None, few)


def test_a_doubtful_unit_is_said_and_a_face_elsewhere_is_none(scan) -> None:
    surface = surface_of_scan(scan)
    odd = register_scan(surface, MODEL, None, landmarks(), RegistrationSettings(mm=25.4))
    assert any("doubtful unit" in note for note in odd.notes)
    right = register_scan(surface, MODEL, None, landmarks(), RegistrationSettings(mm=10.0))
    assert not right.notes  # the control
    elsewhere = replace(landmarks(), points=landmarks().points + np.array([60.0, 0, 0]))
    with pytest.raises(NoFaceError, match="does not come to lie on"):
        register_scan(surface, MODEL, None, elsewhere)


def test_a_region_that_the_model_does_not_have_is_refused(scan) -> None:
    for pliancy, match in (
        ({"nostril": 0.5}, "no region 'nostril'.*lips"),
        ({"lips": -1.0}, "positive factor"),
    ):
        with pytest.raises(InputError, match=match):
            register_scan(
                surface_of_scan(scan), MODEL, None, landmarks(), RegistrationSettings(pliancy=pliancy)
            )


def test_without_landmarks_the_pose_is_searched_for(scan) -> None:
    vertices = (scan.vertices - SHIFT) * 10 + [5.0, 6.0, 7.0]
    found = place_by_search(vertices, MODEL, "scan")
    assert np.degrees(Rotation.from_matrix(found.rotation @ TURN.T).magnitude()) < 8
    assert np.linalg.norm(found.translation - [5.0, 6.0, 7.0]) < 12
    assert "search" in found.way
    flat = np.random.default_rng(0).uniform(-400, 400, (3000, 3)) * [1, 1, 0.001]
    with pytest.raises(NoFaceError, match="turns"):
        place_by_search(flat * 20, MODEL, "plane")


def test_a_scan_without_a_face_is_told_so_before_its_unit(scan, monkeypatch: pytest.MonkeyPatch) -> None:
    surface = surface_of_scan(scan)
    with pytest.raises(NoFaceError, match=r"no face was found on scan\.obj .* or --unit to search"):
        register_scan(surface, MODEL, lambda _: [])
    # The control: with a unit the search for the pose runs, and finds it.
    found = register_scan(surface, MODEL, lambda _: [], settings=RegistrationSettings(mm=10.0))
    assert "search" in found.start

    def several(*_: object) -> None:
        raise SeveralFacesError("two of them")

    monkeypatch.setattr(head, "find_face_on_scan", several)
    with pytest.raises(SeveralFacesError, match="two of them"):
        register_scan(surface, MODEL, lambda _: [], settings=RegistrationSettings(mm=10.0))


def test_landmarks_that_are_far_off_do_not_turn_the_pose() -> None:
    marks = landmarks(1.0)
    wrong = marks.points.copy()
    wrong[:40] += [60.0, 0, 0]
    found = place_by_landmarks(replace(marks, points=wrong), MODEL)
    assert np.degrees(Rotation.from_matrix(found.rotation @ TURN.T).magnitude()) < 3


def test_a_scan_is_made_ready(scan) -> None:
    inward = surface_of_scan(replace(scan, faces=np.ascontiguousarray(scan.faces[:, ::-1])))
    assert any("inward" in note for note in inward.notes)
    np.testing.assert_array_equal(inward.faces, scan.faces)
    crumbs = scan_of(
        np.concatenate([scan.vertices, scan.vertices[:3] + 50]),
        np.concatenate([scan.faces, [[len(scan.vertices), len(scan.vertices) + 1, len(scan.vertices) + 2]]]),
    )
    ready = surface_of_scan(crumbs)
    assert len(ready.vertices) == len(scan.vertices)
    assert any("small separate pieces" in note for note in ready.notes)
    none = np.zeros((0, 3), dtype=np.int64)
    with pytest.raises(ScanError, match="too few"):
        surface_of_scan(scan_of(scan.vertices[:50], none))
    with pytest.raises(ScanError, match="one place"):
        surface_of_scan(scan_of(np.ones((300, 3)), none))


def test_a_cloud_of_points_with_strays_is_a_surface(scan) -> None:
    strays = np.random.default_rng(1).uniform(-60, 60, (200, 3)) + SHIFT
    cloud = scan_of(np.concatenate([scan.vertices, strays]), np.zeros((0, 3), dtype=np.int64))
    ready = surface_of_scan(cloud)
    assert any("stray" in note for note in ready.notes)
    result = register_scan(ready, MODEL, None, landmarks())
    tight = MODEL.regions["face_tight"].numpy()
    back = result.transform.scan_from_head(result.vertices)
    surface = index_surface(scan.vertices * 10, scan.faces)
    assert closest_points(surface, back[tight] * 10).distance.mean() < 0.3
    # Beyond the rim of the cloud nothing is believed.
    far = scan_of(scan.vertices[scan.vertices @ TURN[:, 0] < SHIFT @ TURN[:, 0]], cloud.faces)
    half = register_scan(surface_of_scan(far), MODEL, None, landmarks())
    right = MODEL.mean[:, 0].numpy() > 15
    assert not half.reliable[right].any()
    assert half.reliable[tight & (MODEL.mean[:, 0].numpy() < -10)].mean() > 0.9


def test_the_size_of_a_face_without_its_eye_corners_is_known() -> None:
    whole = landmarks()
    measured = eye_distance_of(whole, MODEL)
    without = whole.index != 33

    def some(kept: np.ndarray) -> ScanLandmarks:
        return ScanLandmarks(whole.index[kept], whole.points[kept], whole.sigma[kept])

    assert measured is not None
    assert eye_distance_of(some(without), MODEL) == pytest.approx(measured, rel=0.1)
    # The control: a few landmarks do not tell.
    assert eye_distance_of(some(without & (np.arange(468) < 40)), MODEL) is None
