"""Figures of pictures and highlights against known ones."""

from dataclasses import replace

import pytest
import torch

from facewright.fitting.face_probe import face_of
from facewright.methods.specular.rendering import render
from facewright.methods.specular.scores import (
    has_lamp,
    head_errors,
    highlight_correlation,
    landmark_errors,
    picture_errors,
)
from facewright.methods.specular.settings import RenderSettings
from facewright.scene.lighting import PointLight

DRAWN = RenderSettings(size=64)


def test_highlights_correlate_with_themselves_and_less_with_those_of_another_lamp(model, neutral):
    head = neutral(lamp=(-900.0, -300.0, -100.0))
    drawn, elsewhere = render(model, head, DRAWN), render(model, neutral(lamp=(900.0, -300.0, -100.0)), DRAWN)
    face = torch.ones(1, 64, 64)
    assert float(highlight_correlation(drawn, drawn, face)) == pytest.approx(1.0, abs=1e-5)
    assert float(highlight_correlation(elsewhere, drawn, face)) < 0.7
    twice = replace(drawn, gloss=2 * drawn.gloss + 0.1)
    assert float(highlight_correlation(twice, drawn, face)) == pytest.approx(1.0, abs=1e-4)
    none = replace(drawn, gloss=torch.zeros_like(drawn.gloss))
    assert float(highlight_correlation(none, drawn, face)) == 0.0
    assert float(highlight_correlation(drawn, drawn, 0 * face)) == 0.0


def test_pixels_outside_of_the_face_do_not_count(model, neutral):
    drawn = render(model, neutral(), DRAWN)
    photo, face = drawn.image + 0.1, torch.zeros(1, 64, 64)
    face[:, 20:40, 20:40] = 1
    photo[:, :20] = 5.0
    found = picture_errors(drawn, photo, face)
    assert float(found["pixel"]) == pytest.approx(0.1, abs=1e-4)
    assert float(picture_errors(drawn, photo, torch.ones(1, 64, 64))["pixel"]) > 0.5
    # A head that leaves the face shows none of it.
    pose = replace(neutral().pose, translation=torch.tensor([[0.0, 5e3, 1e3]]))
    gone = render(model, replace(neutral(), pose=pose), DRAWN)
    assert not gone.fragments.covered.any()
    black = float((photo * face[..., None]).mean(-1).sum() / face.sum())
    assert float(picture_errors(gone, photo, face)["pixel"]) == pytest.approx(black, rel=1e-5)
    flat = replace(drawn, lit=torch.full_like(drawn.lit, 0.3))
    assert float(picture_errors(flat, photo, face)["lit_variance"]) < 1e-9 < float(found["lit_variance"])


def test_size_is_no_error_of_shape_but_shape_is(probe, neutral):
    at = neutral(batch=2)
    other = replace(at, identity=at.identity + torch.tensor([[0.0], [2.0]]))
    found = head_errors(probe, other, at)
    assert found["shape"][0] == 0
    assert found["shape"][1] > 1
    assert found["gloss_correlation"].tolist() == pytest.approx([1.0, 1.0], abs=1e-4)
    shiny = replace(at, specular=at.specular + torch.tensor([[0.0], [3.0]]))
    same, changed = head_errors(probe, shiny, at)["gloss_correlation"].tolist()
    assert changed < 0.99 < same
    points = torch.rand(2, 478, 2)
    off = landmark_errors(points + torch.tensor([3.0, 4.0]), points, 50)
    for values in off.values():
        assert values.tolist() == pytest.approx([0.1, 0.1], abs=1e-4)
    assert set(off) == {"landmarks", "mouth"}


def test_a_lamp_that_gives_no_light_is_none(neutral):
    at = neutral(batch=2)
    lamp = PointLight(at.point_light.position, torch.tensor([[0.0, 0.0, 0.0], [0.2, 0.2, 0.2]]))
    assert has_lamp(replace(at, point_light=lamp)).tolist() == [False, True]
    assert has_lamp(replace(at, point_light=None)).tolist() == [False, False]


def test_the_face_alone_is_drawn_as_it_is_on_the_head(model, neutral):
    face = face_of(model)
    assert len(face.mean) < 0.7 * len(model.mean)
    whole, alone = (render(each, neutral(), DRAWN) for each in (model, face))
    inner = whole.skin & alone.skin
    assert int(inner.sum()) > 0.9 * int(whole.skin.sum())
    apart = (whole.image - alone.image)[inner].abs()
    assert float(apart.median()) < 1e-5  # only at the rim of the face are normals others
    assert float(apart.mean()) < 3e-3
    bare = replace(model, regions={})
    assert face_of(bare) is bare
