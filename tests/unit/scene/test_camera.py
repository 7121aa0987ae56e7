"""Cameras of enlarged and cropped images see the same."""

import pytest
import torch

from facewright.scene.camera import Camera, PerspectiveCamera, WeakPerspectiveCamera

CAMERAS: dict[str, Camera] = {
    "perspective": PerspectiveCamera(torch.tensor([70.0, 90.0]), torch.tensor([[15.5, 12.0]] * 2), (24, 32)),
    "weak": WeakPerspectiveCamera(torch.tensor([0.1, 0.2]), torch.tensor([[15.5, 12.0]] * 2), (24, 32)),
}


@pytest.mark.parametrize("kind", CAMERAS)
def test_cropping_and_scaling_keep_the_view(kind: str) -> None:
    camera = CAMERAS[kind]
    points = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)) * 50
    points = points + torch.tensor([0.0, 0.0, 600.0])
    seen = camera.project(points)
    double = camera.scaled(2)
    assert (double.size, type(double)) == ((48, 64), type(camera))
    torch.testing.assert_close(double.project(points)[..., :2], 2 * seen[..., :2])
    crop = camera.cropped(4, 3.5, (10, 8))
    assert (crop.size, type(crop)) == ((10, 8), type(camera))
    torch.testing.assert_close(crop.project(points)[..., :2], seen[..., :2] - torch.tensor([4.0, 3.5]))
    both = camera.cropped(4, 3.5, (10, 8)).scaled(1.5).project(points)
    torch.testing.assert_close(both[..., :2], 1.5 * (seen[..., :2] - torch.tensor([4.0, 3.5])))
    torch.testing.assert_close(both[..., 2], seen[..., 2])
    swapped = camera.scaled(1.5).cropped(4, 3.5, (10, 8)).project(points)
    assert (swapped - both).abs().max() > 1  # the order matters
