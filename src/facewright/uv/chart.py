"""Which point of the surface each texel of a texture map shows."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from facewright.core.errors import InputError
from facewright.geometry.mesh import Topology
from facewright.render.fragments import Fragments
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize


@dataclass(frozen=True)
class UvChart:
    """The texture coordinates of a topology, rasterised once for one map size.

    A map is a buffer (S, S, C) whose row 0 is v = 1. Only the texels that some triangle covers are listed.

    Attributes:
        size: texels along each side.
        texel: place of each covered texel in the flattened map, increasing.
        triangle: the triangle that each of them shows.
        corners: the mesh vertices of that triangle.
        weights: barycentric weights of those vertices.
    """

    size: int
    texel: Int64[Tensor, " N"]
    triangle: Int64[Tensor, " N"]
    corners: Int64[Tensor, "N 3"]
    weights: Float[Tensor, "N 3"]

    @classmethod
    def of(cls, topology: Topology, size: int) -> "UvChart":
        """Rasterise the texture coordinates of a topology; those outside [0, 1] fall off the map.

        Raises:
            InputError: the size is not in [16, 8192].
        """
        if not 16 <= size <= 8192:
            raise InputError(f"a texture map has 16 to 8192 texels a side, got {size}.")
        fragments = uv_fragments(topology, size)
        texel = torch.nonzero(fragments.covered.reshape(-1))[:, 0]
        triangle = fragments.triangle.reshape(-1)[texel].long()
        weights = fragments.barycentric.reshape(-1, 3)[texel]
        return cls(size, texel, triangle, topology.faces[triangle], weights)

    def where(self, mask: Bool[Tensor, " N"]) -> "UvChart":
        """The same chart with only some of its covered texels."""
        return UvChart(
            self.size, self.texel[mask], self.triangle[mask], self.corners[mask], self.weights[mask]
        )

    def gather(self, attribute: Float[Tensor, "V C"]) -> Float[Tensor, "N C"]:
        """Values of a vertex attribute at the covered texels."""
        # The kernel that blends pixels blends texels as well, eight times faster than by indexing.
        rows = torch.arange(len(self.texel), device=self.texel.device)[None, :, None]
        weights = self.weights[None, :, None]
        texels = Fragments(rows, weights, weights[..., 0], perspective=False, cull_back_faces=False)
        return interpolate(texels, self.corners, attribute[None])[0, :, 0]

    def scatter(self, values: Float[Tensor, "N C"]) -> Float[Tensor, "S S C"]:
        """Lay values of the covered texels out as a map, 0 where nothing is covered."""
        flat = values.new_zeros(self.size * self.size, values.shape[1])
        flat[self.texel] = values
        return flat.view(self.size, self.size, -1)


def uv_fragments(topology: Topology, size: int) -> Fragments:
    """Rasterise the texture coordinates as if they were an image with v up."""
    u, v = topology.uv.unbind(-1)
    flat = torch.stack([u * size, (1 - v) * size, torch.ones_like(u)], dim=-1)
    return rasterize(flat[None], topology.uv_faces, (size, size), perspective=False)


def filled_uv_fragments(topology: Topology, size: int) -> Fragments:
    """``uv_fragments`` where texels that no triangle covers show what the nearest covered texel does.

    Raises:
        InputError: the size is not in [16, 8192], or no triangle lies on the map.
    """
    if not 16 <= size <= 8192:
        raise InputError(f"a texture map has 16 to 8192 texels a side, got {size}.")
    fragments = uv_fragments(topology, size)
    empty = ~fragments.covered[0].cpu().numpy()
    if empty.all():
        raise InputError("no texture coordinate of the model lies on the map: expected u and v in [0, 1].")
    row, column = np.asarray(distance_transform_edt(empty, return_distances=False, return_indices=True))
    return replace(
        fragments,
        triangle=fragments.triangle[:, row, column],
        barycentric=fragments.barycentric[:, row, column],
        depth=fragments.depth[:, row, column],
    )


def mirrored_texels(chart: UvChart, topology: Topology, mirror: Int64[Tensor, " V"]) -> Int64[Tensor, " N"]:
    """The texel that shows the left-right counterpart of each covered texel's point.

    Args:
        chart: the chart of the topology.
        topology: triangles; one whose mirror image is no triangle has no counterpart.
        mirror: each vertex's counterpart.

    Returns:
        Places in the flattened map; -1 where there is no counterpart on the map.
    """
    count = len(mirror)
    mirrored_faces = mirror[topology.faces]
    keys, order = _face_keys(topology.faces, count).sort()
    wanted = _face_keys(mirrored_faces, count)
    place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    partner = torch.where(keys[place] == wanted, order[place], -1)
    # Which corner of the partner each mirrored corner is, and that corner's texture coordinate.
    same = topology.faces[partner][:, None, :] == mirrored_faces[:, :, None]
    uv = topology.uv[topology.uv_faces[partner].gather(1, same.int().argmax(2))]
    position = (uv[chart.triangle] * chart.weights[..., None]).sum(1)
    column = (position[:, 0] * chart.size).floor().long()
    row = ((1 - position[:, 1]) * chart.size).floor().long()
    inside = (column >= 0) & (column < chart.size) & (row >= 0) & (row < chart.size)
    found = inside & (partner[chart.triangle] >= 0)
    return torch.where(found, row * chart.size + column, -1)


def _face_keys(faces: Tensor, vertex_count: int) -> Tensor:
    """One number for each set of three vertices."""
    a, b, c = faces.sort(dim=1).values.unbind(1)
    return (a * vertex_count + b) * vertex_count + c
