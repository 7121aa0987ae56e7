"""The silhouette walk of every backend against the reference, and its gradient against the exact area."""

import pytest
import torch
from tests.agreement.backends import BACKENDS
from tests.agreement.closeness import gradient_faults
from tests.agreement.meshes import bumpy_sheet, projected

from facewright.geometry.adjacency import edge_table
from facewright.render.antialias import antialias
from facewright.render.backends import BackendName, select_backend
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize

SIZE = (40, 48)


@pytest.fixture(scope="module", params=[True, False], ids=["perspective", "orthographic"])
def scene(request):
    vertices, faces = bumpy_sheet(18, 20, seed=3)
    pixels = projected(vertices, SIZE, perspective=request.param)
    return pixels, faces, edge_table(faces), rasterize(pixels, faces, SIZE, perspective=request.param)


@pytest.mark.parametrize("backend", BACKENDS)
def test_same_crossings(scene, backend):
    pixels, faces, edges, fragments = scene
    device = pixels.device
    expected = select_backend("reference", device).find_crossings(pixels, faces, edges, fragments)
    found = select_backend(backend, device).find_crossings(pixels, faces, edges, fragments)
    assert len(expected) > 100
    inner = (edges.faces[expected[:, 1], 1] >= 0).sum()
    assert inner > 20  # folds, not only borders
    assert _rows(found) == _rows(expected)
    # Control: edges of another mesh give other crossings.
    shifted = select_backend(backend, device).find_crossings(pixels + 0.4, faces, edges, fragments)
    assert _rows(shifted) != _rows(expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradient_is_that_of_the_reference_in_float64(scene, backend):
    pixels, faces, edges, fragments = scene
    generator = torch.Generator().manual_seed(5)
    image = torch.randn(2, *SIZE, 3, generator=generator) * fragments.covered[..., None]
    weight = torch.randn(2, *SIZE, 3, generator=generator)
    grads = []
    for name, dtype in _with_types(backend):
        points = pixels.to(dtype, copy=True).requires_grad_()
        colors = image.to(dtype, copy=True).requires_grad_()
        drawn = antialias(colors, fragments, points, faces, edges=edges, backend=name)
        (drawn * weight.to(dtype)).sum().backward()
        grads.append((points.grad, colors.grad))
    assert not gradient_faults(grads[1][0], grads[0][0])
    assert not gradient_faults(grads[1][1], grads[0][1])
    assert gradient_faults(0 * grads[0][0], grads[0][0])


@pytest.mark.parametrize("backend", [*BACKENDS, "reference"])
@pytest.mark.parametrize("corner", [0.0, 0.21, 0.49, 0.77])
def test_moving_an_edge_of_a_square_changes_the_mean_by_the_area(backend, corner):
    # A bright square [8+c, 18+c] x [6.3, 18.3] over emptiness: d(sum)/d(right edge x) = its height.
    left, top, right, bottom = 8 + corner, 6.3, 18 + corner, 18.3
    outline = torch.tensor([[left, top], [right, top], [right, bottom], [left, bottom]])
    pixels = torch.cat([outline, torch.full((4, 1), 100.0)], dim=1)[None].requires_grad_()
    faces = torch.tensor([[0, 2, 1], [0, 3, 2]])
    fragments = rasterize(pixels, faces, (24, 32), perspective=True, backend=backend)
    image = fragments.covered[..., None].float()
    drawn = antialias(image, fragments, pixels, faces, backend=backend)
    assert float(drawn.detach().sum()) == pytest.approx(10 * 12, abs=1.0)
    drawn.sum().backward()
    grad = pixels.grad
    assert grad is not None
    assert float(grad[0, [1, 2], 0].sum()) == pytest.approx(12.0, rel=1e-4)
    assert float(grad[0, [0, 3], 0].sum()) == pytest.approx(-12.0, rel=1e-4)
    assert float(grad[0, [2, 3], 1].sum()) == pytest.approx(10.0, rel=1e-4)
    assert float(grad[0, [0, 1], 1].sum()) == pytest.approx(-10.0, rel=1e-4)
    assert not grad[..., 2].any()
    # Control: without antialiasing the outline has no gradient at all.
    leaf = pixels.detach().requires_grad_()
    plain = rasterize(leaf, faces, (24, 32), perspective=True, backend=backend)
    flat = interpolate(plain, faces, torch.ones(1, 4, 1), backend=backend)
    flat.sum().backward()
    assert leaf.grad is not None
    assert float(leaf.grad.abs().max()) < 1e-4


def test_smooths_towards_the_supersampled_picture(scene):
    pixels, faces, edges, fragments = scene
    factor = 8
    fine = rasterize(
        pixels * torch.tensor([factor, factor, 1.0]),
        faces,
        (SIZE[0] * factor, SIZE[1] * factor),
        perspective=fragments.perspective,
    )
    exact = fine.covered.float().unflatten(2, (-1, factor)).unflatten(1, (-1, factor)).mean((2, 4))
    rough = fragments.covered.float()[..., None]
    smooth = antialias(rough, fragments, pixels, faces, edges=edges)
    error_rough = (rough[..., 0] - exact).abs().mean()
    error_smooth = (smooth[..., 0] - exact).abs().mean()
    assert error_smooth < 0.4 * error_rough


def _with_types(backend: BackendName) -> list[tuple[BackendName, torch.dtype]]:
    return [("reference", torch.float64), (backend, torch.float32)]


def _rows(table):
    return sorted(map(tuple, table.tolist()))
