"""Ready-made lights shine from where they say."""

import math

import pytest
import torch

from facewright.scene.studio import LAMP_DISTANCE, PRESETS, Lamp, StudioLight

MIDDLE = torch.tensor([[10.0, 20.0, 900.0]])


@pytest.mark.parametrize(
    ("yaw", "pitch", "direction"),
    [
        (0.0, 0.0, (0.0, 0.0, -1.0)),  # at the camera
        (math.pi / 2, 0.0, (1.0, 0.0, 0.0)),  # right of the picture
        (math.pi, 0.0, (0.0, 0.0, 1.0)),  # behind the head
        (0.3, math.pi / 2, (0.0, -1.0, 0.0)),  # above
    ],
)
def test_places_of_lamps(yaw, pitch, direction):
    lamp = Lamp(yaw, pitch, 0.5, (1.0, 0.5, 0.0)).light(MIDDLE)
    assert torch.allclose(lamp.position - MIDDLE, LAMP_DISTANCE * torch.tensor([direction]), atol=1e-3)
    assert lamp.intensity.tolist() == [[0.5, 0.25, 0.0]]


def test_sides_of_soft_light():
    light = StudioLight(0.4, above=0.1, front=0.2, right=0.3, color=(1.0, 0.5, 0.25)).ambient(1)
    normals = torch.tensor([[[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]])
    shading = light.shading(normals)[0]
    assert shading[:, 0].tolist() == pytest.approx([0.5, 0.6, 0.7, 0.1])
    assert torch.allclose(shading[:, 2], 0.25 * shading[:, 0])


def test_ready_made_lights_leave_no_side_of_the_head_black():
    normals = torch.nn.functional.normalize(
        torch.randn(1, 500, 3, generator=torch.Generator().manual_seed(0)), dim=-1
    )
    for name, light in PRESETS.items():
        assert light.ambient(1).shading(normals).min() > 0.01, name
