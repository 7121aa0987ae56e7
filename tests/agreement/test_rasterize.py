"""Every backend against the float64 reference: ids, values, gradients; each check with a control."""

from copy import copy
from dataclasses import replace

import pytest
import torch
from tests.agreement.backends import BACKENDS
from tests.agreement.closeness import gradient_faults
from tests.agreement.meshes import bumpy_sheet, projected

from facewright.core.errors import InputError
from facewright.geometry.adjacency import EdgeTable, edge_table
from facewright.render.antialias import antialias
from facewright.render.backends import reference, select_backend
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize

SIZE = (40, 48)


@pytest.fixture(scope="module", params=[True, False], ids=["perspective", "orthographic"])
def scene(request):
    vertices, faces = bumpy_sheet(18, 20, seed=3)
    pixels = projected(vertices, SIZE, perspective=request.param)
    expected = rasterize(pixels, faces, SIZE, perspective=request.param, backend="reference")
    return pixels, faces, request.param, expected


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_same_triangles_weights_and_depth(scene, backend, dtype):
    pixels, faces, perspective, expected = scene
    found = rasterize(pixels.to(dtype), faces, SIZE, perspective=perspective, backend=backend)
    assert 0.3 < found.covered.float().mean() < 0.95
    assert torch.equal(found.triangle, expected.triangle)
    torch.testing.assert_close(found.barycentric, expected.barycentric.to(dtype), atol=2e-6, rtol=0)
    torch.testing.assert_close(found.depth, expected.depth.to(dtype), atol=1e-3, rtol=0)
    assert found.barycentric.min() >= 0
    empty = ~found.covered
    assert not found.barycentric[empty].any()
    assert not found.depth[empty].any()


def test_control_a_shift_of_a_hundredth_pixel_changes_triangles(scene):
    pixels, faces, perspective, expected = scene
    moved = pixels + torch.tensor([0.01, 0.0, 0.0])
    found = rasterize(moved, faces, SIZE, perspective=perspective)
    assert not torch.equal(found.triangle, expected.triangle)


@pytest.mark.parametrize("backend", BACKENDS)
def test_culling_agrees_and_removes_the_back(scene, backend):
    pixels, faces, perspective, both = scene
    expected = rasterize(
        pixels, faces, SIZE, perspective=perspective, cull_back_faces=True, backend="reference"
    )
    found = rasterize(pixels, faces, SIZE, perspective=perspective, cull_back_faces=True, backend=backend)
    assert torch.equal(found.triangle, expected.triangle)
    assert not torch.equal(found.triangle, both.triangle)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("what", ["attributes", "depth", "both"])
def test_gradients_of_vertices_and_attributes(scene, backend, what):
    pixels, faces, perspective, expected = scene
    generator = torch.Generator().manual_seed(1)
    attributes = torch.randn(2, pixels.shape[1], 4, generator=generator)
    weight = torch.randn(2, *SIZE, 4, generator=generator)
    slope = torch.randn(2, *SIZE, generator=generator)

    exact = [pixels.double().requires_grad_(), attributes.double().requires_grad_()]
    bary, depth = reference.weigh(exact[0], faces, expected.triangle, perspective)
    image = reference.interpolate(exact[1], faces, expected.triangle, bary)
    _loss(image, depth, weight, slope, what).backward()

    leaves = [pixels.clone().requires_grad_(), attributes.clone().requires_grad_()]
    fragments = rasterize(leaves[0], faces, SIZE, perspective=perspective, backend=backend)
    image = interpolate(fragments, faces, leaves[1], backend=backend)
    _loss(image, fragments.depth, weight, slope, what).backward()

    assert not gradient_faults(leaves[0].grad, exact[0].grad)
    if what != "depth":
        assert not gradient_faults(leaves[1].grad, exact[1].grad)
    # Controls: a backward that returns nothing, half, or the wrong corner must be caught.
    assert gradient_faults(torch.zeros_like(exact[0].grad), exact[0].grad)
    assert gradient_faults(0.5 * exact[0].grad, exact[0].grad)
    assert gradient_faults(exact[0].grad.roll(1, 1), exact[0].grad)


@pytest.mark.parametrize("backend", BACKENDS)
def test_attributes_shared_by_the_batch_collect_all_gradients(scene, backend):
    pixels, faces, _, expected = scene
    attributes = torch.randn(1, pixels.shape[1], 3, generator=torch.Generator().manual_seed(2))
    shared = attributes.clone().requires_grad_()
    own = attributes.expand(2, -1, -1).clone().requires_grad_()
    for leaf in (shared, own):
        interpolate(expected, faces, leaf, backend=backend).square().sum().backward()
    assert not gradient_faults(shared.grad, own.grad.sum(0, keepdim=True))  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.parametrize("backend", BACKENDS)
def test_repeated_runs_give_the_same_bits(scene, backend):
    pixels, faces, perspective, _ = scene
    grads = []
    for _ in range(2):
        leaf = pixels.clone().requires_grad_()
        fragments = rasterize(leaf, faces, SIZE, perspective=perspective, backend=backend)
        interpolate(fragments, faces, leaf * 0.01, backend=backend).square().sum().backward()
        grads.append(leaf.grad)
    assert torch.equal(grads[0], grads[1])


def test_wrong_input_is_refused(scene):
    pixels, faces, perspective, fragments = scene
    with pytest.raises(InputError, match="face indices"):
        rasterize(pixels[:, :50], faces, SIZE, perspective=perspective)
    with pytest.raises(InputError, match="size"):
        rasterize(pixels, faces, (0, 5), perspective=perspective)
    with pytest.raises(InputError, match="rows"):
        interpolate(fragments, faces, torch.zeros(3, pixels.shape[1], 2))


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_the_gradients_that_are_wanted_are_computed(scene, backend):
    pixels, faces, _, fragments = scene
    kernels = select_backend(backend, pixels.device)
    weights = fragments.barycentric.to(pixels.dtype)
    grad = torch.rand(*fragments.triangle.shape, 3)
    arguments = (pixels, faces, fragments.triangle, weights, grad)
    both = kernels.interpolate_backward(*arguments, (True, True))
    first = kernels.interpolate_backward(*arguments, (True, False))
    second = kernels.interpolate_backward(*arguments, (False, True))
    assert first[1] is None
    assert second[0] is None
    torch.testing.assert_close(both[0], first[0], atol=0, rtol=0)
    torch.testing.assert_close(both[1], second[1], atol=0, rtol=0)
    constant = pixels.clone()
    leaf = weights.clone().requires_grad_()
    interpolate(replace(fragments, barycentric=leaf), faces, constant, backend=backend).sum().backward()
    assert bool(leaf.grad.any())
    assert constant.grad is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_memory_that_is_not_theirs_is_not_read(scene, backend):
    pixels, faces, _, fragments = scene
    edges = edge_table(faces)
    image = torch.rand(*fragments.triangle.shape, 1)
    assert interpolate(fragments, faces, pixels, backend=backend).isfinite().all()  # control
    assert antialias(image, fragments, pixels, faces, edges=edges, backend=backend).isfinite().all()
    for index in (-1, pixels.shape[1], 1 << 40):
        wrong = faces.clone()
        wrong[0, 1] = index
        with pytest.raises(InputError, match="face indices"):
            interpolate(fragments, wrong, pixels, backend=backend)
        with pytest.raises(InputError, match="face indices"):
            antialias(image, fragments, pixels, wrong, edges=edges, backend=backend)
    seen = int(fragments.triangle.max())
    with pytest.raises(InputError, match="were rasterised"):
        interpolate(fragments, faces[:seen], pixels, backend=backend)
    with pytest.raises(InputError, match="were rasterised"):
        antialias(image, fragments, pixels, faces[:seen], backend=backend)
    larger = EdgeTable(edges.vertices + pixels.shape[1], edges.faces)
    with pytest.raises(InputError, match="another mesh"):
        antialias(image, fragments, pixels, faces, edges=larger, backend=backend)
    with pytest.raises(InputError, match="batch"):
        antialias(image[:, 1:], fragments, pixels, faces, edges=edges, backend=backend)
    torn = copy(fragments)
    object.__setattr__(torn, "depth", fragments.depth[:, 1:])  # past the shape checks of the tests
    with pytest.raises(InputError, match="one shape"):
        interpolate(torn, faces, pixels, backend=backend)


def _loss(image, depth, weight, slope, what):
    loss = depth.new_zeros(())
    if what != "depth":
        loss = loss + (image * weight.to(image.dtype)).sum()
    if what != "attributes":
        loss = loss + (depth * slope.to(depth.dtype)).sum() * 0.05
    return loss
