"""A painted miniature head and photos of it: the truth that unwrapping must find again."""

import math
from typing import NamedTuple

import torch

from facewright.image.color import srgb_from_linear
from facewright.render.draw import DrawSettings, Lighting, draw_mesh
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import SphericalHarmonicsLight, ambient_light
from facewright.scene.material import Material
from facewright.scene.pose import Pose

SIZE = 256


class Shot(NamedTuple):
    photo: torch.Tensor
    vertices: torch.Tensor
    camera: PerspectiveCamera
    light: SphericalHarmonicsLight
    pose: Pose


def painted_map():
    """A smooth albedo map, symmetric about u = 0.5."""
    generator = torch.Generator().manual_seed(5)
    pattern = torch.rand(1, 3, 12, 12, generator=generator)
    pattern = torch.nn.functional.interpolate(pattern, size=(SIZE, SIZE), mode="bicubic")[0].permute(1, 2, 0)
    pattern = (pattern + pattern.flip(1)) / 2
    return (torch.tensor([0.45, 0.28, 0.2]) * (0.6 + 0.5 * pattern)).clamp(0, 1)


def side_light():
    light = ambient_light(1, 0.7)
    light.coefficients[:, 2] = -0.6
    light.coefficients[:, 3] = 0.5
    return light


def shoot(model, texture, yaw_deg=0.0, *, light=None, shift=0.0):
    yaw = math.radians(yaw_deg)
    turn = torch.tensor([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    pose = Pose((torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ turn)[None], torch.tensor([[0.0, 0.0, 700.0]]))
    camera = PerspectiveCamera(torch.tensor([900.0]), torch.tensor([[160.0 + shift, 160.0]]), (320, 320))
    light = light or side_light()
    vertices = pose.camera_from_head(model.mean[None])
    drawing = draw_mesh(
        vertices,
        model.topology,
        camera,
        Material(albedo_map=texture[None]),
        Lighting(light),
        settings=DrawSettings(supersample=3),
    )
    photo = srgb_from_linear(drawing[0, ..., :3]).permute(2, 0, 1).contiguous()
    return Shot(photo, vertices[0], camera, light, pose)
