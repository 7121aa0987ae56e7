"""Rasteriser and photometric step: numba against plain torch, against the figures of the design.

Meshes as in the design's table: an open face-like cap that covers half of the frame, with 10,000 or 38,000
vertices. ``embree`` (through trimesh) is an outside peer, timed where it is installed. The design's figures
are of another machine (2 cores with AVX-512), so look at the ratios first.
"""

import importlib.util
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.harness import Timing, interleave, run, show
from facewright.geometry.adjacency import edge_table
from facewright.geometry.normals import vertex_normals
from facewright.render.antialias import antialias
from facewright.render.backends import BackendName
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize
from facewright.render.shading import shade_diffuse
from facewright.scene.lighting import SphericalHarmonicsLight

# ms a frame, numba with a thread pool and plain torch: design table 1.
RASTER_FIGURES = {
    (10, 224, 1): (0.93, 5.3),
    (10, 224, 16): (0.71, 5.1),
    (10, 512, 1): (2.71, 43.0),
    (10, 512, 16): (2.20, 23.0),
    (38, 224, 1): (1.62, 7.0),
    (38, 224, 16): (1.32, 7.2),
    (38, 512, 1): (4.00, 21.0),
    (38, 512, 16): (3.37, 27.0),
}
# ms an iteration of the whole batch, numba kernels and torch only: design table 2.
STEP_FIGURES = {(38, 8): (55.0, 222.0), (10, 8): (33.0, 128.0), (10, 1): (6.0, 19.0)}
GRIDS = {10: 100, 38: 195}


def face_like_cap(thousands: int) -> tuple[Tensor, Tensor]:
    """A bumpy open cap over the unit disc of about that many thousand vertices, and its faces."""
    side = GRIDS[thousands]
    v, u = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    # Square to disc, so that half of a square frame is covered.
    x, y = u * torch.sqrt(1 - v * v / 2), v * torch.sqrt(1 - u * u / 2)
    z = 0.8 * torch.sqrt((1.05 - x * x - y * y).clamp_min(0)) + 0.25 * torch.exp(-20 * (x * x + y * y))
    vertices = torch.stack([x, y, -z + 4.0], dim=-1).reshape(-1, 3)
    corner = torch.arange((side - 1) * side).reshape(side - 1, side)[:, :-1].reshape(-1)
    lower = torch.stack([corner, corner + side + 1, corner + 1], dim=1)
    upper = torch.stack([corner, corner + side, corner + side + 1], dim=1)
    return vertices, torch.cat([lower, upper])


def on_screen(vertices: Tensor, size: int) -> Tensor:
    """Orthographic image position; the cap covers half of the frame."""
    scale = 0.5 * size * (2 / torch.pi) ** 0.5
    return torch.cat([vertices[..., :2] * scale + size / 2, vertices[..., 2:]], dim=-1)


def rasteriser(seconds: float) -> list[Timing]:
    """Milliseconds a frame: triangle, weights and depth written."""
    timings: list[Timing] = []
    for (thousands, size, batch), (ours, plain) in RASTER_FIGURES.items():
        vertices, faces = face_like_cap(thousands)
        pixels = on_screen(vertices, size).expand(batch, -1, -1).contiguous()

        def draw(backend: BackendName, p: Tensor = pixels, f: Tensor = faces, s: int = size) -> object:
            return rasterize(p, f, (s, s), perspective=True, backend=backend)

        candidates: dict[str, Callable[[], object]] = {"numba": lambda draw=draw: draw("cpu")}
        if batch == 1:  # torch works image after image: a batch tells nothing new
            candidates["torch"] = lambda draw=draw: draw("portable")
        if batch == 1 and importlib.util.find_spec("embreex") and importlib.util.find_spec("trimesh"):
            candidates["embree (trimesh)"] = _embree(vertices, faces, size)
        timings += interleave(
            f"rasterise {thousands}k vertices, {size} px, batch {batch}",
            candidates,
            seconds=seconds,
            items=batch,
            targets={"numba": ours, "torch": plain},
        )
        show(timings[-len(candidates) :])
    return timings


def photometric_step(seconds: float) -> list[Timing]:
    """Milliseconds of forward + backward: rasterise, normals, interpolate, SH shading, L1; 224 px."""
    timings: list[Timing] = []
    for (thousands, batch), (ours, plain) in STEP_FIGURES.items():
        vertices, faces = face_like_cap(thousands)
        step = _Step(vertices.expand(batch, -1, -1), faces, 224)
        timings += interleave(
            f"photometric step {thousands}k vertices, batch {batch}",
            {
                "numba": lambda step=step: step.run("cpu"),
                "numba, outline": lambda step=step: step.run("cpu", outline=True),
                "torch": lambda step=step: step.run("portable"),
            },
            seconds=seconds,
            targets={"numba": ours, "torch": plain},
        )
        show(timings[-3:])
    return timings


class _Step:
    """Leaves and target of one photometric step."""

    def __init__(self, vertices: Tensor, faces: Tensor, size: int) -> None:
        batch = vertices.shape[0]
        generator = torch.Generator().manual_seed(0)
        self.faces, self.size, self.edges = faces, size, edge_table(faces)
        self.vertices = vertices.clone().requires_grad_()
        self.albedo = torch.rand(batch, vertices.shape[1], 3, generator=generator).requires_grad_()
        light = torch.randn(batch, 9, 3, generator=generator) * 0.2
        self.light = (light + torch.tensor([2.0] + [0.0] * 8)[:, None]).requires_grad_()
        self.target = torch.rand(batch, size, size, 3, generator=generator)

    def run(self, backend: BackendName, *, outline: bool = False) -> None:
        """Forward and backward."""
        pixels = on_screen(self.vertices, self.size)
        fragments = rasterize(pixels, self.faces, (self.size, self.size), perspective=True, backend=backend)
        attributes = torch.cat([vertex_normals(self.vertices, self.faces), self.albedo], dim=-1)
        buffers = interpolate(fragments, self.faces, attributes, backend=backend)
        # Not two slices: the gradient of each would be a buffer of zeros with a part filled in.
        normals, albedo = buffers.split(3, dim=-1)
        image = shade_diffuse(albedo, normals, SphericalHarmonicsLight(self.light))
        if outline:
            image = antialias(image, fragments, pixels, self.faces, edges=self.edges, backend=backend)
        loss = (image - self.target).abs().mean()
        torch.autograd.grad(loss, (self.vertices, self.albedo, self.light))


def _embree(vertices: Tensor, faces: Tensor, size: int) -> Callable[[], object]:
    """Build and cast, as a deforming mesh needs each frame."""
    import numpy as np
    import trimesh
    from trimesh.ray.ray_pyembree import RayMeshIntersector

    placed = on_screen(vertices, size).numpy()
    centers = np.arange(size) + 0.5
    x, y = np.meshgrid(centers, centers)
    origins = np.stack([x.ravel(), y.ravel(), np.zeros(size * size)], axis=1)
    directions = np.broadcast_to([0.0, 0.0, 1.0], origins.shape)

    def cast() -> object:
        mesh = trimesh.Trimesh(placed, faces.numpy(), process=False)
        return RayMeshIntersector(mesh).intersects_first(origins, directions)

    return cast


def benchmark(seconds: float) -> list[Timing]:
    """Both tables."""
    return rasteriser(seconds) + photometric_step(seconds)


if __name__ == "__main__":
    run(benchmark, __doc__ or "")
