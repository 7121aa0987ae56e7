"""The kernel of ``vertex_visibility`` against plain torch, which says what it means."""

import pytest
import torch

from facewright.render.rasterize import rasterize
from facewright.render.visibility import plain_vertex_visibility, vertex_visibility


def crumpled(seed: int, *, flat: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """A few layers of random triangles, some of them behind the camera, not finite, or beside the image."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(2, 600, 3, generator=generator) * torch.tensor([70.0, 70.0, 40.0]) - 3.0
    points[..., 2] = 500.0 if flat else points[..., 2] + 500.0
    points[:, ::37, 2] = -1.0
    points[:, ::41, 0] = float("nan")
    faces = torch.randint(600, (900, 3), generator=generator)
    return points, faces


@pytest.mark.parametrize("perspective", [True, False])
@pytest.mark.parametrize("flat", [True, False])
def test_the_kernel_sees_what_plain_torch_sees(perspective: bool, flat: bool) -> None:
    for seed in range(4):
        points, faces = crumpled(seed, flat=flat)
        fragments = rasterize(points, faces, (64, 60), perspective=perspective)
        seen = vertex_visibility(fragments, points, faces, bias=0.5)
        plain = plain_vertex_visibility(fragments, points, faces, bias=0.5)
        assert torch.equal(seen, plain)
        assert 10 < int(seen.sum()) < seen.numel() - 10
        loose = plain_vertex_visibility(fragments, points, faces, bias=20.0)
        assert flat or not torch.equal(seen, loose)
