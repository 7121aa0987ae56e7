"""Closed lips on scans: what says that they are closed, and that they stay so."""

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from facewright.data.scanner import ScanSettings, scan_around
from facewright.models.base import load_base_model
from facewright.models.lip_seam import lip_seam
from facewright.registration.correspondence import prepare_target
from facewright.registration.face_fit import FaceFitSettings, fit_face
from facewright.registration.lip_gaps import LIPS, LipGaps
from facewright.registration.lips import ContactTerm, closed_pairs, covered_pairs
from facewright.registration.nonrigid import LandmarkTerm, deform
from facewright.registration.records import FaceFit, ScanLandmarks
from facewright.registration.scan_landmarks import BASE_SIGMA, PLASTER_SIGMA, steady_landmarks
from facewright.registration.schedule import NonRigidSettings, Stage
from facewright.registration.skin import RegistrationSettings, SkinStart

MODEL = load_base_model()
FACES, SEAM = MODEL.topology.faces.numpy(), lip_seam(MODEL)
PLACE = Rotation.from_rotvec([0.1, 0.3, -0.05]).as_matrix(), np.array([10.0, -5.0, 3.0])


def head(jaw: float = 0.0, seed: int = 3) -> np.ndarray:
    """A person at rest but for the jaw."""
    identity = torch.randn(1, MODEL.identity_count, generator=torch.Generator().manual_seed(seed))
    expression = torch.zeros(1, MODEL.expression_count)
    expression[0, MODEL.expression_names.index("jawOpen")] = jaw
    return MODEL.vertices(identity, expression)[0].double().numpy()


def marks(vertices: np.ndarray, sigma: float = BASE_SIGMA) -> ScanLandmarks:
    index = steady_landmarks(MODEL)
    points = MODEL.landmark_points(torch.from_numpy(vertices).float(), "dense478").double().numpy()[index]
    return ScanLandmarks(index, points, np.full(len(index), sigma))


def start(vertices: np.ndarray) -> SkinStart:
    fit = FaceFit(np.zeros(1), np.zeros(1), vertices, np.eye(3), np.zeros(3), 0.1, 1.0)
    target = prepare_target(vertices[:3], np.array([[0, 1, 2]]))  # not asked for here
    return SkinStart(MODEL, target, fit, None, RegistrationSettings())


def test_lips_are_closed_from_the_middle_to_the_corners() -> None:
    assert closed_pairs(SEAM, head(), FACES).all()
    # A corner that the fit left open is closed if all between it and the middle is...
    parted = head()
    out = SEAM.upper[SEAM.places(parted, FACES)[0][:, 0] > 17]
    parted[out, 1] += 1.5
    assert closed_pairs(SEAM, parted, FACES).all()
    # ... but not if the mouth is open.
    wide = closed_pairs(SEAM, head(0.15), FACES)
    middle = abs(head()[SEAM.upper, 0]) < 12
    assert not wide[middle].any()


def test_a_scan_of_closed_lips_closes_those_that_the_fit_left_open() -> None:
    """With the fit a little off the scan; a scan of an open mouth leaves it open."""
    fitted = head(0.1) + np.array([0.3, 0.4, -1.0])
    for jaw, closed in ((0.0, True), (0.08, False), (0.2, False)):
        scanner = ScanSettings(field=0.0, expression=0.0)
        scan = prepare_target(*scan_around(head(jaw), FACES, scanner, np.random.default_rng(0)))
        found = covered_pairs(SEAM, fitted, FACES, scan)
        assert found.any() == closed
        assert not closed or found[abs(fitted[SEAM.upper, 0]) < 12].all()


def test_what_slides_apart_is_held_together() -> None:
    skin = start(head())
    contact = ContactTerm.of(skin, 4.0)
    assert contact is not None
    # Something draws the lower lip down, as scan points of the chin do, and holds the upper one.
    upper, lower, _ = contact.seam.places(skin.vertices, skin.faces)
    trust = np.full(len(upper), 0.2)
    held = LandmarkTerm(contact.own, contact.own_weights, upper, trust)
    away = LandmarkTerm(contact.seam.triangle, contact.seam.corner_weights, lower - [0.0, 2.0, 0.0], trust)
    stages = (Stage(stiffness=0.03, landmarks=1.0, iterations=2),)  # soft enough to part lips that touch
    gaps = []
    for terms in ([held, away, contact], [held, away]):
        moved = deform(skin.vertices, skin.faces, terms, NonRigidSettings(stages)).vertices
        gaps.append(np.median(contact.seam.gaps(moved, skin.faces)))
    assert abs(gaps[0]) < 0.3
    assert gaps[1] > 0.7  # the control: without the term the lips come apart
    assert ContactTerm.of(start(head(0.3)), 4.0) is None or not closed_pairs(SEAM, head(0.3), FACES).all()
    assert ContactTerm.of(skin, 0.0) is None


def test_landmarks_tell_closed_lips_from_open_ones() -> None:
    gaps = LipGaps.of(MODEL, marks(head()))
    assert len(gaps.first) == len(LIPS)
    np.testing.assert_array_equal(gaps.wanted(gaps.rest + 0.5), gaps.rest)
    np.testing.assert_array_equal(gaps.wanted(0.0 * gaps.rest), 0.5 * gaps.rest)  # none cross
    np.testing.assert_array_equal(gaps.wanted(gaps.rest + 3.0), gaps.rest + 3.0)
    assert len(LipGaps.of(MODEL, marks(head(), PLASTER_SIGMA)).first) == 0
    few = marks(head())
    few = replace(few, index=few.index[:5], points=few.points[:5], sigma=few.sigma[:5])
    assert len(LipGaps.of(MODEL, few).first) == 0


def test_the_fit_finds_the_gap_by_points_of_the_scan_and_by_landmarks() -> None:
    """Over two people with an open mouth; one that is nearly closed needs neither."""
    plain = FaceFitSettings(samples=700, iterations=7, lip_gaps=0.0, lip_points=0)
    shown = MODEL.parts["skin"].numpy() & ~MODEL.regions["lips"].numpy()
    lipless = np.ascontiguousarray(FACES[shown[FACES].all(1)])
    rotation, translation = PLACE
    errors = np.zeros((2, 2))
    for seed, jaw in ((4, 0.12), (5, 0.25)):
        truth = head(jaw, seed)
        vertices, faces = scan_around(truth, FACES, ScanSettings(holes=0.0), np.random.default_rng(0))
        ways = (
            (vertices, faces, PLASTER_SIGMA, replace(plain, lip_points=400)),
            (truth, lipless, BASE_SIGMA, replace(plain, lip_gaps=1.0)),
        )
        for way, (points, triangles, sigma, settings) in enumerate(ways):
            target = prepare_target(points @ rotation.T + translation, triangles)
            seen = marks(truth, sigma)
            seen = replace(seen, points=seen.points @ rotation.T + translation)
            for plainly, chosen in enumerate((settings, plain)):
                fit = fit_face(MODEL, target, PLACE, seen, chosen)
                gaps = SEAM.gaps(fit.vertices, FACES) - SEAM.gaps(truth, FACES)
                errors[way, plainly] += abs(gaps).mean()
    assert (errors[:, 0] < 0.85 * errors[:, 1]).all()
