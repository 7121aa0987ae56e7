"""Spectacles on the shipped head: their shape, where they sit, and that they stand off the skin."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from facewright.models.base import load_base_model
from facewright.models.glasses import SIDES, GlassesPlaces, GlassesShape
from facewright.models.glasses_mesh import ANGLES, BRIDGE, RIM, TEMPLES, GlassesParts, glasses_mesh

SHAPES = (
    GlassesShape(),
    GlassesShape(height=26.0, upper=2.0, lower=2.0, up=-6.0),
    GlassesShape(width=29.0, apart=38.0, lean=-0.2, taper=0.15, slant=0.1, roll=0.05, right=2.0),
)
FULL = GlassesParts(np.full(RIM, 1.2), np.ones(RIM, dtype=bool), 1.1, 1.2)


@pytest.fixture(scope="module")
def model():
    return load_base_model()


@pytest.fixture(scope="module")
def seat(model):
    places = GlassesPlaces.of(model)
    assert places is not None
    return places.on(model.mean.double().numpy())


@pytest.mark.parametrize("shape", SHAPES)
def test_the_outline_is_where_the_inside_ends(shape):
    edge = shape.outline(ANGLES)
    np.testing.assert_allclose(shape.inside(*edge.T), 0, atol=1e-6)
    assert (shape.inside(*(0.9 * edge).T) > 0.5).all()
    assert (shape.inside(*(1.1 * edge).T) < -0.5).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_places_of_the_front_come_back_to_their_lens(shape):
    lens = 0.8 * shape.outline(ANGLES)
    for side in SIDES:
        out, up = shape.of_lens(*shape.on_front(side, lens).T)
        np.testing.assert_allclose(np.stack([out, up], 1), lens, atol=1e-9)


def test_numbers_are_those_of_the_shape():
    shape = replace(SHAPES[2], before=11.0)
    assert GlassesShape.of(shape.numbers) == shape
    assert shape.numbers[GlassesShape.index("before")] == 11.0


def test_the_seat_is_at_eyes_and_ears(seat, model):
    assert seat.eyes[0, 0] == pytest.approx(-seat.eyes[1, 0], abs=0.5)
    top = float(model.mean[model.regions["brow_left"], 1].mean())
    for side, ear in zip(SIDES, seat.ears, strict=True):
        assert side * ear[0] > 70  # beside the skull
        assert abs(ear[1] - top) < 20  # ears begin at the height of the brows
        assert ear[2] < seat.middle[2] - 60


@pytest.mark.parametrize("shape", SHAPES)
def test_the_frame_stands_off_the_skin_and_reaches_the_ears(shape, seat):
    mesh = glasses_mesh(shape, seat, FULL)
    front = mesh.vertices[mesh.place <= BRIDGE]
    air = front[:, 2] - seat.skin_before(front[:, :2])
    assert air.min() > 0.2
    for side, ear in zip(SIDES, seat.ears, strict=True):
        temple = mesh.vertices[(mesh.place == TEMPLES) & (side * mesh.vertices[:, 0] > 0)]
        assert np.linalg.norm(temple - ear, axis=1).min() < 5
        before = temple[temple[:, 2] > ear[2] + 15]
        assert (np.abs(before[:, 0]) - seat.skin_beside(side, before[:, 1:])).min() > 0
    # Control: a nose and brows that reach 15 mm further would be in the way of this frame.
    reaching = replace(seat, front=seat.front + np.array([0.0, 0.0, 15.0]))
    assert (front[:, 2] - reaching.skin_before(front[:, :2])).min() < -5
    moved = glasses_mesh(shape, reaching, FULL)
    front = moved.vertices[moved.place <= BRIDGE]
    assert (front[:, 2] - reaching.skin_before(front[:, :2])).min() > 0.2


def volume(vertices, faces):
    a, b, c = (vertices[faces[:, corner]] - vertices[faces].mean((0, 1)) for corner in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def test_tubes_are_closed_and_seen_from_outside(seat):
    mesh = glasses_mesh(GlassesShape(), seat, FULL)
    frame = mesh.faces[: mesh.frame]
    edges = np.concatenate([frame[:, [0, 1]], frame[:, [1, 2]], frame[:, [2, 0]]])
    assert {tuple(edge) for edge in edges} == {tuple(edge[::-1]) for edge in edges}
    for kind in (range(RIM), [BRIDGE], [TEMPLES]):
        own = frame[np.isin(mesh.place[frame[:, 0]], list(kind))]
        assert volume(mesh.vertices, own) > 20
    lenses = mesh.faces[mesh.frame :]
    a, b, c = (mesh.vertices[lenses[:, corner]] for corner in range(3))
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()


def test_half_a_rim_is_half_a_rim(seat):
    full = glasses_mesh(GlassesShape(), seat, FULL)
    half = glasses_mesh(GlassesShape(), seat, replace(FULL, there=np.sin(ANGLES) > 0))
    none = glasses_mesh(GlassesShape(), seat, replace(FULL, there=np.zeros(RIM, dtype=bool)))
    rims = [int((mesh.place[mesh.faces[: mesh.frame, 0]] < RIM).sum()) for mesh in (full, half, none)]
    assert rims[2] == 0
    assert 0.4 < rims[1] / rims[0] < 0.52
    low = half.faces[: half.frame]
    rim = low[half.place[low[:, 0]] < RIM]
    assert half.vertices[rim, 1].min() > seat.middle[1] + GlassesShape().up - 4


def test_a_model_without_ears_has_no_seat(model):
    regions = {name: mask for name, mask in model.regions.items() if name != "ear_left"}
    assert GlassesPlaces.of(replace(model, regions=regions)) is None


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("parts", "left_eye"),
        ("parts", "skin"),
        ("regions", "scalp"),
        ("regions", "face"),
        ("regions", "ear_right"),
    ],
)
def test_a_model_in_which_a_region_is_empty_has_no_seat(model, group, name):
    masks = getattr(model, group)
    empty = {**masks, name: torch.zeros_like(masks[name])}
    assert GlassesPlaces.of(replace(model, **{group: empty})) is None
