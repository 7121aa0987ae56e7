"""Statistics from photos recover what made the photos; contacts hold what touches together."""

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.transform import Rotation

from base_model.contact import Contact, lid_contact, lip_contact
from base_model.landmark_response import SIZE, SPAN, YAWS, measure_response
from base_model.photo_statistics import DISTANCE, LandmarkSpace, Photos, estimate, spread_out
from base_model.picture import CENTRE, turned
from base_model.picture import DISTANCE as CAMERA
from base_model.source import RawHead

SPREAD, MEAN = np.array([0.5, 1.0, 1.6]), np.array([1.0, 0.0, -0.5])


def waves(points: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """(count,L,3) smooth displacements."""
    return np.stack(
        [
            [np.sin(points @ generator.normal(0, 0.02, 3) + generator.uniform(0, 6)) for _ in range(3)]
            for _ in range(count)
        ]
    ).transpose(0, 2, 1)


def photographed(people: int) -> tuple[LandmarkSpace, Photos]:
    """People with one to four photos each, of known statistics; landmarks err together with neighbours."""
    generator = np.random.default_rng(0)
    points = generator.uniform(-60, 60, (30, 3)) * [1, 1, 0.6]
    space = LandmarkSpace(points, 2.0 * waves(points, 3, generator), 4.0 * waves(points, 2, generator))
    away = np.linalg.norm(points[:, None] - points[None], axis=2)
    error = np.linalg.cholesky(np.exp(-0.5 * (away / 20.0) ** 2) + 0.3 * np.eye(30))
    start, seen, turns, activations = [0], [], [], []
    for _ in range(people):
        identity = MEAN + SPREAD * generator.standard_normal(3)
        for _ in range(generator.integers(1, 5)):
            activation = generator.uniform(0, 0.6, 2)
            turn = Rotation.from_rotvec(generator.normal(0, 0.25, 3)).as_matrix()
            shape = points + np.tensordot(identity, space.identity, 1)
            posed = (shape + np.tensordot(activation, space.expression, 1)) @ turn.T
            flat = posed[:, :2] * DISTANCE / (DISTANCE - posed[:, 2:])
            seen.append(0.6 * (flat + error @ generator.standard_normal((30, 2))) + 50.0)
            turns.append(Rotation.from_rotvec(generator.normal(0, 0.05, 3)).as_matrix() @ turn)
            activations.append(activation + generator.normal(0, 0.2, 2))
        start.append(len(seen))
    return space, Photos(np.array(seen), np.array(turns), np.array(activations), np.array(start))


def test_photos_tell_the_spread_of_people_apart_from_the_landmarks_error() -> None:
    space, photos = photographed(150)
    found = estimate(space, photos, 10)
    np.testing.assert_allclose(found.mean, MEAN, atol=0.3)
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), SPREAD, rtol=0.25)
    assert np.sqrt(np.diagonal(found.error, axis1=1, axis2=2).mean()) == pytest.approx(1.14, rel=0.15)
    # Photos dealt out to people at random hold no identity.
    order = np.random.default_rng(1).permutation(len(photos.points))
    dealt = Photos(photos.points[order], photos.turn[order], photos.activation[order], photos.start)
    assert estimate(space, dealt, 10).covariance[2, 2] < 0.5 * SPREAD[2] ** 2


def test_points_are_spread_out() -> None:
    line = np.linspace(0, 1, 101)[:, None] * [1.0, 0.0, 0.0]
    assert np.diff(spread_out(line, 5)).tolist() == [25, 25, 25, 25]


@pytest.mark.parametrize("gain", [0.5, 1.0])
def test_a_landmarkers_shrinking_is_measured(gain: float) -> None:
    generator = np.random.default_rng(0)
    mean = generator.uniform(-50, 50, (20, 3))
    moves = 3.0 * waves(mean, 2, generator)
    answers: list[np.ndarray] = []

    def heads() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        for _ in range(60):
            known = generator.standard_normal(2)
            points = mean + np.tensordot(known, moves, 1)
            shown = mean + gain * np.tensordot(known, moves, 1) + [0.0, 1.0, 0.0]
            for yaw in YAWS:
                posed, true = ((p - np.asarray(CENTRE)) @ turned(yaw, 0.0).T for p in (shown, points))
                depth = (CAMERA - true[:, 2:]) / CAMERA
                answers.append(SIZE / 2 + posed[:, :2] * [1.0, -1.0] * SIZE / SPAN / depth)
            yield mean[:3], np.full((3, 3), 0.5), points, known

    response = measure_response(heads(), np.array([[0, 1, 2]]), np.full(2, 3.0), lambda _: answers.pop(0))
    np.testing.assert_allclose(response.bias, np.tile([0.0, 1.0, 0.0], (20, 1)), atol=0.1)
    np.testing.assert_allclose(response.pull, (gain - 1.0) * moves, atol=0.15)


def test_a_landmarker_that_sees_nothing_is_an_error() -> None:
    head = (np.eye(3), np.full((3, 3), 0.5), np.eye(3), np.zeros(1))
    with pytest.raises(ValueError, match="no face"):
        measure_response(iter([head]), np.array([[0, 1, 2]]), np.ones(1), lambda _: None)


def lips() -> tuple[np.ndarray, Contact]:
    """Two rows of skin above one another, 1 mm apart, and their contact."""
    x = np.linspace(-20, 20, 21)
    rows = [np.stack([x, np.full(21, y), np.zeros(21)], axis=1) for y in (3.0, 0.5, -0.5, -3.0)]
    mean = np.concatenate(rows)
    across = np.arange(20)
    strip = np.stack([across, across + 1, across + 22, across + 21], axis=1)
    none = np.zeros(0)
    unused = {field.name: none for field in fields(RawHead)}
    quads = np.concatenate([strip, strip + 42])
    raw = RawHead(**{**unused, "quads": quads, "part": np.zeros(84, dtype=np.int64)})
    pick = sparse.csr_matrix(np.eye(84))
    upper, lower = (sparse.csr_matrix(pick[start : start + 21 : 3]) for start in (21, 42))
    return mean, lip_contact(raw, mean, upper, lower, np.tile([0.0, 1.0, 0.0], (7, 1)))


def test_lips_keep_together_and_what_they_do_together() -> None:
    mean, contact = lips()
    together = np.tile([0.0, 2.0, 1.0], (84, 1))
    crossing = np.where(mean[:, 1:2] < 0, [0.0, 2.0, 0.0], 0.0)
    kept, mended = contact.damp(np.stack([together, crossing]), 0.25)
    np.testing.assert_allclose(kept, together, atol=1e-9)
    gap = (mended[42:63, 1] - mended[21:42, 1])[:19]  # the contact ends there
    assert gap == pytest.approx(np.full(19, 0.5), abs=0.1)
    assert (crossing[42:63, 1] - crossing[21:42, 1] > 1.9).all()


def test_lids_follow_the_eyeball() -> None:
    generator = np.random.default_rng(0)
    ball = generator.standard_normal((400, 3))
    ball *= 12.0 / np.linalg.norm(ball, axis=1, keepdims=True)
    angle = np.linspace(0, np.pi, 9)
    lid = 13.0 * np.stack([0.6 * np.cos(angle), 0.6 * np.sin(angle), np.full(9, 0.8)], axis=1)
    mean = np.concatenate([ball, lid])
    is_ball = np.arange(len(mean)) < 400
    margin = sparse.csr_matrix(np.eye(len(mean))[400:])
    contact = lid_contact(mean, margin, is_ball, np.zeros(3), ~is_ball)
    forward = np.where(is_ball[:, None], [0.0, 0.0, 3.0], 0.0)
    mended = contact.damp(forward[None], 0.0)[0]
    np.testing.assert_array_equal(mended[is_ball], forward[is_ball])
    outward = lid / 13.0
    assert (mended[400:] * outward).sum(1) == pytest.approx(np.full(9, 2.4), abs=0.3)
