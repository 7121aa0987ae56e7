"""The spectacles of a head: which photo they are taken from, how they are drawn and told."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from facewright.detection.glasses_look import CLASSES, GlassesLook, glasses_frame
from facewright.fitting.glasses import GlassesFit
from facewright.geometry.mesh import Topology
from facewright.models.base import load_base_model
from facewright.models.glasses import GlassesPlaces, GlassesShape
from facewright.models.glasses_mesh import RIM, GlassesParts, glasses_mesh
from facewright.pipeline import glasses as module
from facewright.pipeline.glasses import (
    GlassesFinder,
    GlassesPosture,
    HeadGlasses,
    SeenGlasses,
    worn_by_person,
)
from facewright.pipeline.views import DrawnHair, Finish, turned_views
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import ambient_light
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import frontal_pose

GREY, RED = (0.5, 0.5, 0.5), (0.6, 0.02, 0.02)
SIZE = 160


def seen(overlap):
    look = GlassesLook(torch.zeros(len(CLASSES), 4, 8), torch.zeros(3, 4, 8), np.array([[0.0, 0, 1, 0]]))
    posture = GlassesPosture(np.zeros((4, 3)), np.zeros((4, 2)))
    return SeenGlasses(look, GlassesFit(GlassesShape(), overlap, (1.0, 1.0)), dark=False, posture=posture)


def test_a_person_wears_what_most_photos_show():
    first, surer = seen(0.7), seen(0.9)
    assert worn_by_person([first, None, surer]) == (2, surer)
    assert worn_by_person([first]) == (0, first)
    assert worn_by_person([first, None]) is None
    assert worn_by_person([None]) is None


def worn(model, *, dark):
    places = GlassesPlaces.of(model)
    assert places is not None
    parts = GlassesParts(np.full(RIM, 1.5), np.ones(RIM, dtype=bool), 1.2, 1.2)
    mesh = glasses_mesh(GlassesShape(), places.on(model.mean.double().numpy()), parts)
    vertices = torch.from_numpy(mesh.vertices).float()
    colors = torch.tensor(RED).expand(len(vertices), 3).contiguous()
    faces = torch.from_numpy(np.ascontiguousarray(mesh.faces))
    return HeadGlasses(GlassesShape(), vertices, faces, colors, mesh.frame, 0.93 if dark else 0.06, dark)


@pytest.fixture(scope="module")
def finder():
    found = GlassesFinder.of(load_base_model())
    assert found is not None
    return found


def head(finder, *, distance=900.0, identity=0.0):
    """A head before the camera."""
    model, zero = finder.model, torch.zeros(1, 1)
    camera = PerspectiveCamera(torch.tensor([900.0]), torch.tensor([[256.0, 256.0]]), (512, 512))
    numbers = torch.full((1, model.identity_count), identity)
    expression = torch.zeros(1, model.expression_count)
    pose = frontal_pose(1, distance)
    return HeadParameters(numbers, expression, zero, zero, pose, camera, ambient_light(1))


def seen_on(finder, parameters, shape):
    """A pair that was surely seen on a head, whose photo is grey."""
    pose, camera = parameters.pose, parameters.camera
    vertices = finder.model.vertices(parameters.identity, parameters.expression)[0]
    seat = finder.places.on(vertices.double().numpy())
    shares = torch.full((len(CLASSES), 64, 128), 1 / len(CLASSES))
    look = GlassesLook(shares, torch.full((3, 64, 128), 0.5), glasses_frame(seat, pose, camera))
    posture = GlassesPosture.of(seat, pose, camera)
    return SeenGlasses(look, GlassesFit(shape, 0.8, (1.0, 1.0)), dark=False, posture=posture)


SEEN, AGAIN = GlassesShape(width=24.0), GlassesShape(width=29.0)
SURE, UNSURE = GlassesFit(AGAIN, 0.8, (1.0, 1.0)), GlassesFit(AGAIN, 0.5, (1.0, 1.0))


@pytest.mark.parametrize(
    ("change", "again", "expected"),
    [
        ({}, SURE, SEEN),
        ({"distance": 901.0}, SURE, SEEN),
        ({"distance": 950.0}, SURE, AGAIN),
        ({"distance": 950.0}, UNSURE, SEEN),
        ({"distance": 950.0}, replace(SURE, sides=(1.0, 0.1)), SEEN),
        ({"distance": 950.0}, None, SEEN),
        ({"identity": 1.0}, SURE, AGAIN),
    ],
)
def test_a_pair_is_fitted_again_where_the_head_moved_and_only_a_sure_one_is_worn(
    finder, monkeypatch, change, again, expected
):
    asked = []
    monkeypatch.setattr(module, "fit_glasses", lambda *given: asked.append(given) or again)
    worn_now = finder.wear(seen_on(finder, head(finder), SEEN), head(finder, **change))
    assert worn_now.shape == expected
    assert len(asked) == bool(change and change != {"distance": 901.0})
    assert torch.isfinite(worn_now.vertices).all()


@pytest.fixture(scope="module")
def drawings():
    """By what is worn: clay and texture from the front, the side and behind."""
    model = load_base_model()
    albedo = torch.full((32, 32, 3), 0.6)
    yaws = (0.0, math.pi / 2, math.pi)
    kinds = {"nothing": None, "clear": worn(model, dark=False), "dark": worn(model, dark=True)}
    return {
        name: turned_views(
            model.mean, model.topology, albedo, yaws, SIZE, GREY, finish=Finish(glasses=glasses)
        )
        for name, glasses in kinds.items()
    }


def changed(drawings, kind, view, *, texture=True):
    with_them, without = (drawings[name][int(texture)][view] for name in (kind, "nothing"))
    return (with_them - without).abs().amax(-1)


def test_spectacles_are_drawn_before_the_eyes_and_not_on_the_back(drawings):
    front = changed(drawings, "clear", 0) > 0.1
    rows = torch.nonzero(front)[:, 0]
    assert 150 < len(rows) < 0.06 * SIZE**2
    assert SIZE * 0.25 < float(rows.float().mean()) < SIZE * 0.6
    painted = drawings["clear"][1][0][changed(drawings, "clear", 0) > 0.3]
    assert (painted[:, 0] > 1.4 * painted[:, 1]).all()  # red
    assert (changed(drawings, "clear", 0, texture=False) > 0.1).sum() > 150
    assert (changed(drawings, "clear", 1) > 0.1).sum() > 60  # temple and rim from the side
    assert (changed(drawings, "clear", 2) > 0.1).sum() < 0.2 * front.sum()  # behind the head


def test_hair_behind_the_head_does_not_hide_a_frame_beside_it():
    """A frame held far before the face: from the side nothing of the head is behind it, but hair is."""
    model = load_base_model()
    glasses = worn(model, dark=False)
    glasses = replace(glasses, vertices=glasses.vertices + torch.tensor([0.0, 0.0, 60.0]))
    albedo = torch.full((32, 32, 3), 0.6)
    low, high = -180.0, 180.0
    corners = [[-150.0, low, low], [-150.0, high, low], [-150.0, high, high], [-150.0, low, high]]
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    blue = torch.tensor([0.0, 0.0, 0.9, 1.0]).expand(8, 8, 4).contiguous()
    sheet = DrawnHair(torch.tensor(corners), Topology(faces, torch.rand(4, 2), faces), blue)

    def drawn(yaw, pair):
        finish = Finish(hair=sheet, glasses=pair)
        return turned_views(model.mean, model.topology, albedo, (yaw,), SIZE, GREY, finish=finish)[1][0]

    behind, alone = drawn(math.pi / 2, glasses), drawn(math.pi / 2, None)
    assert (alone[..., 2] - alone[..., 0] > 0.15).float().mean() > 0.3  # the sheet is seen beside the head
    red = (behind[..., 0] > 2 * behind[..., 2]).sum()
    assert red > 60
    # Control: from the other side the sheet is before everything.
    before = drawn(-math.pi / 2, glasses)
    assert (before[..., 0] > 2 * before[..., 2]).sum() == 0


def test_dark_lenses_are_drawn_and_clear_ones_are_not(drawings):
    clear, dark = (int((changed(drawings, kind, 0) > 0.1).sum()) for kind in ("clear", "dark"))
    assert dark > 2.5 * clear


def test_what_files_tell_of_them():
    glasses = worn(load_base_model(), dark=True)
    asset = glasses.asset()
    assert (asset.frame, asset.lens_opacity) == (glasses.frame, 0.93)
    told = glasses.told()
    assert told["dark"] is True
    assert told["width"] == GlassesShape().width
    assert GlassesShape(**{name: value for name, value in told.items() if name != "dark"}) == GlassesShape()
