"""Laws of rasterisation: no holes, no double hits, invariances, and closed forms for known pictures."""

import pytest
import torch
from tests.agreement import backends as agreement

from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize

BACKENDS = [*agreement.BACKENDS, "reference"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", range(4))
def test_a_fan_over_the_image_covers_every_pixel_once(backend, seed):
    # Corners on multiples of 1/2 put pixel centres exactly on edges and on corners.
    generator = torch.Generator().manual_seed(seed)
    size = (16, 16)
    ring = torch.tensor([[-8, -8], [8, -8], [24, -8], [24, 8], [24, 24], [8, 24], [-8, 24], [-8, 8]])
    hub = torch.randint(6, 26, (1, 2), generator=generator) / 2
    pixels = torch.cat([hub, ring.float()])
    pixels = torch.cat([pixels, torch.full((9, 1), 50.0)], dim=1)[None]
    faces = torch.tensor([[0, 1 + k, 1 + (k + 1) % 8] for k in range(8)])
    hits = torch.zeros(size, dtype=torch.int64)
    for face in faces:
        for turned in (face, face.flip(0)):
            one = rasterize(pixels, turned[None], size, perspective=True, backend=backend)
            hits += one.covered[0].long()
    assert torch.equal(hits, torch.full(size, 2))
    # Control: moving the hub for one triangle alone tears a hole or doubles a pixel.
    torn = pixels.clone()
    torn[0, 0, :2] += 1.5
    hits = torch.zeros(size, dtype=torch.int64)
    for k, face in enumerate(faces):
        hits += rasterize(torn if k == 0 else pixels, face[None], size, perspective=True).covered[0].long()
    assert not torch.equal(hits, torch.ones(size, dtype=torch.int64))


@pytest.mark.parametrize("backend", BACKENDS)
def test_perspective_weights_recover_points_on_the_plane(backend):
    # A tilted triangle seen through a pinhole: depth at each pixel is where its ray meets the plane.
    focal, size = 40.0, (24, 24)
    points = torch.tensor([[-60.0, -50.0, 120.0], [70.0, -40.0, 260.0], [10.0, 80.0, 180.0]])
    pixels = torch.cat([focal * points[:, :2] / points[:, 2:] + 12.0, points[:, 2:]], dim=1)[None]
    faces = torch.tensor([[0, 1, 2]])
    fragments = rasterize(pixels, faces, size, perspective=True, backend=backend)
    found = interpolate(fragments, faces, points[None], backend=backend)
    normal = torch.linalg.cross(points[1] - points[0], points[2] - points[0]).double()
    y, x = torch.meshgrid(torch.arange(24) + 0.5, torch.arange(24) + 0.5, indexing="ij")
    rays = torch.stack([(x - 12) / focal, (y - 12) / focal, torch.ones_like(x)], dim=-1).double()
    depth = (normal @ points[0].double()) / (rays @ normal)
    covered = fragments.covered[0]
    assert covered.sum() > 50
    torch.testing.assert_close(fragments.depth[0][covered].double(), depth[covered], rtol=1e-5, atol=0)
    torch.testing.assert_close(
        found[0][covered].double(), (rays * depth[..., None])[covered], rtol=1e-4, atol=1e-3
    )
    # Control: orthographic weights are wrong here by millimetres.
    flat = rasterize(pixels, faces, size, perspective=False, backend=backend)
    wrong = interpolate(flat, faces, points[None], backend=backend)
    assert (wrong[0][covered] - found[0][covered]).abs().max() > 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_nearer_of_two_wins_and_equal_depth_goes_to_the_lower_index(backend):
    square = torch.tensor([[2.0, 2.0], [14.0, 2.0], [14.0, 14.0], [2.0, 14.0]])
    faces = torch.tensor([[0, 2, 1], [0, 3, 2], [4, 6, 5], [4, 7, 6]])
    for near_first in (True, False):
        depths = (50.0, 60.0) if near_first else (60.0, 50.0)
        layers = [torch.cat([square, torch.full((4, 1), z)], dim=1) for z in depths]
        seen = rasterize(torch.cat(layers)[None], faces, (16, 16), perspective=True, backend=backend)
        ids = seen.triangle[seen.covered]
        assert len(ids) == 144
        assert bool((ids < 2).all() if near_first else (ids >= 2).all())
    equal = torch.cat([torch.cat([square, torch.full((4, 1), 50.0)], dim=1)] * 2)[None]
    seen = rasterize(equal, faces, (16, 16), perspective=True, backend=backend)
    assert bool((seen.triangle[seen.covered] < 2).all())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -5.0, 0.0])
def test_triangles_behind_the_camera_or_not_finite_are_dropped(backend, bad):
    pixels = torch.tensor([[[1.0, 1.0, 9.0], [7.0, 1.0, 9.0], [1.0, 7.0, 9.0], [7.0, 7.0, bad]]])
    faces = torch.tensor([[0, 1, 2], [1, 3, 2]])
    seen = rasterize(pixels, faces, (8, 8), perspective=True, backend=backend)
    assert bool((seen.triangle[seen.covered] == 0).all())
    assert bool(torch.isfinite(seen.depth).all())
    whole = pixels.clone()
    whole[0, 3, 2] = 9.0
    assert bool((rasterize(whole, faces, (8, 8), perspective=True, backend=backend).triangle == 1).any())
    for axis in (0, 1):
        torn = whole.clone()
        torn[0, 3, axis] = float("nan")
        seen = rasterize(torn, faces, (8, 8), perspective=True, backend=backend)
        assert bool((seen.triangle[seen.covered] == 0).all())


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_empty_mesh_and_an_empty_batch_give_empty_pixels(backend):
    none = torch.empty(0, 3, dtype=torch.int64)
    seen = rasterize(torch.zeros(2, 4, 3), none, (5, 6), perspective=True, backend=backend)
    assert seen.triangle.shape == (2, 5, 6)
    assert not bool(seen.covered.any())


def test_the_number_of_threads_does_not_change_a_bit():
    from tests.agreement.meshes import bumpy_sheet, projected

    vertices, faces = bumpy_sheet(14, 14, seed=1)
    pixels = projected(vertices, (33, 31), perspective=True, turns=1)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            seen = rasterize(pixels, faces, (33, 31), perspective=True)
            results.append((seen.triangle, seen.barycentric, seen.depth))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))
