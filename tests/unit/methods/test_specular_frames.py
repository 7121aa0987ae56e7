"""The crop as a camera, and soft light that turns with it."""

import math

import numpy as np
import torch

from facewright.detection.crop import crop_from_photo
from facewright.geometry.rotation import rotation_from_axis_angle
from facewright.methods.specular.frames import (
    crop_from_photo_px,
    head_in_crop,
    head_in_photo,
    photo_from_crop_px,
)
from facewright.methods.specular.model import mean_start
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import SphericalHarmonicsLight

FRAMES = torch.tensor([[420.0, 333.0, 260.0, 0.4], [100.0, 120.0, 90.0, -1.1]])


def test_pixels_agree_with_the_crops_that_are_cut():
    points = torch.rand(2, 5, 2, generator=torch.Generator().manual_seed(0)) * 400
    there = crop_from_photo_px(points, FRAMES, 112)
    known = crop_from_photo(points.double().numpy(), FRAMES.double().numpy()) * 112
    assert np.allclose(there.numpy(), known, atol=1e-3)
    assert torch.allclose(photo_from_crop_px(there, FRAMES, 112), points, atol=1e-2)


def test_the_crops_camera_sees_the_same_head_and_light(model):
    start = mean_start(model, 2, 112)
    generator = torch.Generator().manual_seed(1)
    light = SphericalHarmonicsLight(torch.randn(2, 9, 3, generator=generator))
    camera = PerspectiveCamera(
        torch.tensor([900.0, 700.0]), torch.tensor([[400.0, 300.0], [90.0, 110.0]]), (600, 800)
    )
    photo = type(start)(**{**vars(start), "camera": camera, "light": light})
    crop = head_in_crop(photo, FRAMES, 112)
    points = model.mean[None, ::500].expand(2, -1, 3)
    seen = camera.project(photo.pose.camera_from_head(points))
    there = crop.camera.project(crop.pose.camera_from_head(points))
    assert torch.allclose(crop_from_photo_px(seen[..., :2], FRAMES, 112), there[..., :2], atol=1e-2)
    assert torch.allclose(seen[..., 2], there[..., 2], atol=1e-2)
    normals = torch.nn.functional.normalize(torch.randn(2, 20, 3, generator=generator), dim=-1)
    before = light.shading(normals @ photo.pose.rotation.mT)
    assert torch.allclose(before, crop.light.shading(normals @ crop.pose.rotation.mT), atol=1e-4)
    back = head_in_photo(crop, FRAMES, (600, 800))
    assert torch.allclose(back.pose.rotation, photo.pose.rotation, atol=1e-5)
    assert isinstance(back.camera, PerspectiveCamera)
    assert torch.allclose(back.camera.principal, camera.principal, atol=1e-2)
    assert torch.allclose(back.light.coefficients, light.coefficients, atol=1e-4)


def test_turned_light_comes_from_the_turned_side():
    light = SphericalHarmonicsLight(torch.zeros(1, 9, 1).expand(1, 9, 3).clone())
    light.coefficients[:, 0], light.coefficients[:, 3] = 2.0, 1.0  # brighter towards +X
    turn = rotation_from_axis_angle(torch.tensor([[0.0, 0.0, math.pi / 2]]))  # +X to +Y
    bright = light.turned(turn).shading(torch.tensor([[[0.0, 1.0, 0.0]]]))
    assert torch.allclose(bright, light.shading(torch.tensor([[[1.0, 0.0, 0.0]]])), atol=1e-5)
    assert (bright > light.shading(torch.tensor([[[0.0, 1.0, 0.0]]])) + 0.1).all()
