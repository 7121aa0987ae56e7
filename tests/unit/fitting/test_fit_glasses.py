"""Spectacles of a known shape, found again from what a faultless network would see of them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from facewright.detection.glasses_look import CLASSES, RATIO, GlassesLook, band_from_photo, glasses_frame
from facewright.detection.segmentation import CLASSES as SEGMENTS
from facewright.detection.segmentation import FaceSegmentation
from facewright.fitting.glasses import fit_glasses, project
from facewright.fitting.glasses_cover import glasses_cover, without_glasses
from facewright.fitting.glasses_parts import glasses_finish, hides_eyes, lens_light
from facewright.models.base import load_base_model
from facewright.models.glasses import SIDES, GlassesPlaces, GlassesShape
from facewright.models.glasses_mesh import ANGLES
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.pose import Pose, turned_rotations

WIDTH = 256
CAMERA = PerspectiveCamera(torch.tensor([900.0]), torch.tensor([[256.0, 256.0]]), (512, 512))
SHAPE = GlassesShape(width=24.0, height=16.0, upper=4.0, lower=2.2, apart=33.5, right=0.6, up=-5.0)
SKIN, FRAME = (0.8, 0.6, 0.5), (0.1, 0.2, 0.5)


@pytest.fixture(scope="module")
def seat():
    model = load_base_model()
    places = GlassesPlaces.of(model)
    assert places is not None
    return places.on(model.mean.double().numpy())


def turned(degrees):
    return Pose(turned_rotations((math.radians(degrees),)), torch.tensor([[0.0, 0.0, 900.0]]))


def look_at(seat, pose, shape, *, rim=2.0, kind="lens", sides=SIDES, lowest=-99.0):
    """What is seen of a pair whose rim is so many mm wide, and reaches no lower than ``lowest``."""
    frame = glasses_frame(seat, pose, CAMERA)
    axes = np.arange(-72, 72, 0.3), np.arange(-40, 30, 0.3)
    across, up = (each.ravel() for each in np.meshgrid(*axes))
    out, high = shape.of_lens(across, up)
    inside = shape.inside(out, high)
    worn = (inside > 0) & np.isin(np.sign(across - shape.right), sides)
    pixels = project(seat.bent(np.stack([across, up], 1), shape.before), pose, CAMERA)
    place = (band_from_photo(pixels, frame) * [WIDTH, WIDTH // RATIO]).astype(int)
    shown = ((place >= 0) & (place < [WIDTH, WIDTH // RATIO])).all(1)
    shares = torch.zeros(len(CLASSES), WIDTH // RATIO, WIDTH)
    colors = torch.tensor(SKIN)[:, None, None].repeat(1, WIDTH // RATIO, WIDTH)
    for which, number in (
        (worn, CLASSES.index(kind)),
        (worn & (inside < rim) & (high > lowest), CLASSES.index("rim")),
    ):
        column, row = place[which & shown].T
        shares[:, row, column] = 0.0
        shares[number, row, column] = 1.0
        if number == CLASSES.index("rim"):
            colors[:, row, column] = torch.tensor(FRAME)[:, None]
    shares[0] = 1 - shares.sum(0)
    return GlassesLook(shares, colors, frame)


def all_things(frame):
    """A segmentation that takes most of a face for something before it."""
    probabilities = torch.zeros(1, len(SEGMENTS), 128, 128)
    probabilities[:, SEGMENTS.index("occluder")] = 0.8
    probabilities[:, SEGMENTS.index("face")] = 0.2
    return FaceSegmentation(probabilities, frame)


@pytest.mark.parametrize("degrees", [0, 20, -35])
def test_the_shape_is_found_again(seat, degrees):
    pose = turned(degrees)
    fit = fit_glasses(look_at(seat, pose, SHAPE), seat, pose, CAMERA)
    assert fit is not None
    assert fit.sure
    assert fit.overlap > 0.85
    for name, close in (("width", 0.7), ("height", 0.7), ("apart", 0.7), ("up", 0.7)):
        assert getattr(fit.shape, name) == pytest.approx(getattr(SHAPE, name), abs=close)
    assert fit.shape.upper > fit.shape.lower  # squarer above, as it was


def test_a_turned_head_tells_how_far_forward_they_sit(seat):
    pose = turned(40)
    found = []
    for before in (10.0, 17.0):
        fit = fit_glasses(look_at(seat, pose, replace(SHAPE, before=before)), seat, pose, CAMERA)
        assert fit is not None
        found.append(fit.shape.before)
    assert found[1] - found[0] > 2.5


def test_a_bare_face_and_half_a_pair_are_no_spectacles(seat):
    bare = look_at(seat, turned(0), SHAPE)
    shares = torch.zeros_like(bare.shares)
    shares[0] = 1.0
    assert fit_glasses(replace(bare, shares=shares), seat, turned(0), CAMERA) is None
    half = fit_glasses(look_at(seat, turned(0), SHAPE, sides=(1.0,)), seat, turned(0), CAMERA)
    assert half is None or not half.sure


def test_frames_and_dark_lenses_cover_the_skin_and_clear_lenses_uncover_it(seat):
    pose = turned(0)
    edge = SHAPE.on_front(1.0, SHAPE.outline(ANGLES) * 0.97)
    middle = SHAPE.on_front(1.0, np.zeros((1, 2)))
    cheek = SHAPE.on_front(1.0, np.array([[0.0, -30.0]]))
    places = [
        torch.from_numpy(project(seat.bent(each, SHAPE.before), pose, CAMERA)).float()
        for each in (edge, middle, cheek)
    ]

    look = look_at(seat, pose, SHAPE)
    segmentation = without_glasses(all_things(look.frame), look)
    clear = glasses_cover(look, segmentation.covers()[0], dark=False)
    rim, lens, skin = (clear(each) for each in places)
    assert float(rim.min()) > 0.7
    assert float(lens.max()) < 0.1
    assert float(skin.max()) == pytest.approx(0.8)  # what is said of other places stays
    assert float(glasses_cover(look, segmentation.covers()[0], dark=True)(places[1]).min()) > 0.9

    def nowhere(points):
        return torch.zeros_like(points[:, 0])

    dark = glasses_cover(look_at(seat, pose, SHAPE, kind="dark"), nowhere, dark=False)
    assert float(dark(places[1]).min()) > 0.9
    assert float(dark(places[2]).max()) == 0.0
    below = torch.from_numpy(
        project(
            seat.bent(SHAPE.on_front(1.0, np.array([[0.0, -SHAPE.height - 1.5]])), SHAPE.before), pose, CAMERA
        )
    )
    assert float(dark(below.float())) > 0.7  # the shadow of the rim


def test_thickness_and_colour_are_those_of_the_frame(seat):
    pose = turned(10)
    for rim in (1.6, 4.0):
        finish = glasses_finish(look_at(seat, pose, SHAPE, rim=rim), SHAPE, seat, (pose, CAMERA))
        assert finish.parts.there.all()
        assert 2 * float(np.median(finish.parts.thick)) == pytest.approx(rim, rel=0.35)
        expected = np.array(FRAME) ** 2.2
        np.testing.assert_allclose(np.median(finish.rims, 0), expected, atol=0.05)


def test_dark_lenses_are_told_by_their_class_or_by_the_light_that_they_keep(seat):
    pose = turned(10)
    clear, dark = (look_at(seat, pose, SHAPE, kind=kind) for kind in ("lens", "dark"))
    seen = (pose, CAMERA)
    assert not hides_eyes(clear, SHAPE, seat, seen)
    assert hides_eyes(dark, SHAPE, seat, seen)
    colors = torch.where(clear.shares[CLASSES.index("lens")] > 0.5, clear.colors * 0.4, clear.colors)
    kept = replace(clear, colors=colors)
    assert lens_light(kept, SHAPE, seat, seen) == pytest.approx(0.4**2.2, abs=0.03)
    assert hides_eyes(kept, SHAPE, seat, seen)


def test_the_upper_half_of_a_rim_is_told_from_a_whole_one_and_from_none(seat):
    pose = turned(0)
    half = glasses_finish(look_at(seat, pose, SHAPE, lowest=0.0), SHAPE, seat, (pose, CAMERA)).parts.there
    assert half[np.sin(ANGLES) > 0.1].all()
    assert not half[np.sin(ANGLES) < -0.1].any()
    none = glasses_finish(look_at(seat, pose, SHAPE, rim=0.0), SHAPE, seat, (pose, CAMERA)).parts.there
    assert not none.any()
