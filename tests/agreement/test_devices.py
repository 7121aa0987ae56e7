"""The same steps on every device give what the CPU gives; where there is no GPU, on a device that pretends.

The pretended device computes on the CPU: it proves that no step forgets a device, not how a GPU rounds.
"""

from collections.abc import Callable

import pytest
import torch
from tests.agreement.closeness import gradient_faults
from tests.agreement.meshes import bumpy_sheet, projected
from tests.pretend_device import DEVICE, PretendDevice
from torch import Tensor

from facewright.geometry.adjacency import edge_table
from facewright.geometry.normals import vertex_normals
from facewright.render.antialias import antialias
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize
from facewright.render.shading import shade_diffuse, shade_point_diffuse, shade_specular
from facewright.render.texture import texture
from facewright.render.visibility import vertex_visibility
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight

SIZE = (40, 48)


def test_the_pretended_device_catches_what_a_gpu_would() -> None:
    with PretendDevice():
        there = torch.arange(6.0, device=DEVICE).reshape(2, 3)
        assert there.device.type == DEVICE.type
        assert (there + torch.ones((), device=DEVICE)).cpu().tolist() == [[1, 2, 3], [4, 5, 6]]
        assert torch.tensor([7.0], device=DEVICE).tolist() == [7.0]
        faults: list[Callable[[], object]] = [
            lambda: there + torch.zeros(2, 3),
            lambda: torch.cat([there, torch.zeros(1, 3)]),
            lambda: torch.zeros(2, 3)[there[0].long()],
            lambda: there.__setitem__(torch.tensor([0]), torch.zeros(1, 3)),
            lambda: there.numpy(),
        ]
        for fault in faults:
            with pytest.raises((RuntimeError, TypeError)):
                fault()


def _moved(device: torch.device, *tensors: Tensor) -> list[Tensor]:
    return [tensor.to(device) for tensor in tensors]


@pytest.mark.parametrize("perspective", [True, False])
@pytest.mark.parametrize("backend", ["auto", "portable"])  # one and the same but on CUDA with Warp
def test_rasterise_interpolate_antialias(device, perspective, backend) -> None:
    vertices, faces = bumpy_sheet(18, 20, seed=3)
    start = projected(vertices, SIZE, perspective=perspective)
    weight = torch.randn(2, *SIZE, 3, generator=torch.Generator().manual_seed(1))
    drawn, triangles, grads, seen = [], [], [], []
    for place in (torch.device("cpu"), device):
        points, indices, scale = _moved(place, start.clone(), faces, weight)
        leaf = points.requires_grad_()
        fragments = rasterize(leaf, indices, SIZE, perspective=perspective, backend=backend)
        image = interpolate(fragments, indices, leaf * 0.01, backend=backend)
        image = antialias(image, fragments, leaf, indices, edges=edge_table(indices), backend=backend)
        (grad,) = torch.autograd.grad((image * scale).sum(), leaf)
        drawn.append(image.detach().cpu())
        grads.append(grad.cpu())
        triangles.append(fragments.triangle.cpu())
        seen.append(vertex_visibility(fragments, leaf, indices).cpu())
    assert torch.equal(triangles[1], triangles[0])
    torch.testing.assert_close(drawn[1], drawn[0], atol=1e-4, rtol=1e-5)
    assert not gradient_faults(grads[1], grads[0])
    assert 0.2 < seen[0].float().mean() < 0.9
    assert torch.equal(seen[1], seen[0])


def test_normals_and_shading(device) -> None:
    vertices, faces = bumpy_sheet(12, 14, seed=5)
    generator = torch.Generator().manual_seed(2)
    albedo = torch.rand(1, len(vertices), 3, generator=generator)
    light = torch.randn(1, 9, 3, generator=generator) * 0.2 + torch.eye(9)[:, :1]
    bulb = torch.tensor([[30.0, -40.0, -300.0]]), torch.ones(1, 3)
    grads: list[list[Tensor]] = []
    for place in (torch.device("cpu"), device):
        leaves = [t.to(place).requires_grad_() for t in (vertices[None].clone(), albedo, light)]
        normals = vertex_normals(leaves[0], faces.to(place))
        color = shade_diffuse(leaves[1], normals, SphericalHarmonicsLight(leaves[2]))
        lamp = PointLight(*_moved(place, *bulb))
        color = color + shade_point_diffuse(leaves[1], normals, leaves[0], lamp)
        color = color + shade_specular(leaves[1][..., :1], normals, leaves[0], lamp, 20.0)
        found = torch.autograd.grad(color.square().sum(), leaves)
        grads.append([grad.cpu() for grad in found])
    for found, expected in zip(grads[1], grads[0], strict=True):
        assert not gradient_faults(found, expected)


def test_texture(device) -> None:
    generator = torch.Generator().manual_seed(3)
    uv, maps = torch.rand(2, 5, 6, 2, generator=generator), torch.rand(1, 8, 8, 3, generator=generator)
    expected = texture(uv, maps)
    found = texture(*_moved(device, uv, maps)).cpu()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert not torch.allclose(found, texture(uv.flip(-1), maps), atol=1e-2)
