"""Crops for the photometric fit keep the light of the photo."""

from dataclasses import replace

import torch
from tests.unit.fitting.miniature_head import draw_parameters, landmarks_of

from facewright.fitting.face_crop import crop_faces
from facewright.fitting.landmark import fit_landmarks
from facewright.image.color import linear_from_srgb

SIZE = (600, 800)


def faces(model, basis, shift=0.0):
    truth = draw_parameters(model, 1, seed=2)
    pixels = landmarks_of(model, truth) + shift
    return fit_landmarks(model, pixels, SIZE, focal=torch.tensor([1300.0]), basis=basis)


def test_shrinking_keeps_the_light_of_fine_patterns(model, basis):
    stripes = torch.zeros(3, *SIZE)
    stripes[:, :, ::2] = 1.0
    crops = crop_faces([stripes], faces(model, basis), 24)
    assert (crops.images - 0.5).abs().max() < 0.05
    # Control: decoding after shrinking halves the light.
    assert linear_from_srgb(torch.tensor([0.5])).item() < 0.25


def test_a_crop_beyond_the_border_is_empty_there(model, basis):
    fit = faces(model, basis)
    crops = crop_faces([torch.ones(3, *SIZE)], fit, 40)
    assert crops.inside.all()
    assert (crops.images > 0.99).all()
    left = replace(fit, landmarks_px=fit.landmarks_px - torch.tensor([fit.landmarks_px[0, :, 0].mean(), 0.0]))
    crops = crop_faces([torch.ones(3, *SIZE)], left, 40)
    inside = crops.inside[0] > 0
    assert 0.3 < inside.float().mean() < 0.7
    # Where the resampling reaches over the border both meet.
    assert (crops.images[0][:, 22:] > 0.99).all()
    assert (crops.images[0][:, :18] < 0.01).all()
    away = replace(fit, landmarks_px=fit.landmarks_px - 5000)
    assert not crop_faces([torch.ones(3, *SIZE)], away, 40).images.any()


def test_what_lies_before_a_face_is_left_out(model, basis):
    fit = faces(model, basis)
    middle = fit.landmarks_px[0, :, 0].mean()
    crops = crop_faces([torch.ones(3, *SIZE)], fit, 40, [lambda places: (places[:, 0] < middle).float()])
    share = crops.inside[0].mean(0)
    assert (share[:16] == 0).all()
    assert (share[24:] == 1).all()
