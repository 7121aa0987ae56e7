"""The light that comes from drawn surfaces: soft light, a lamp with highlights, strands of hair."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.core.threads import run_tasks
from facewright.image.strands import SIZE as STRANDS
from facewright.render.fragments import Fragments
from facewright.render.interpolate import interpolate
from facewright.render.shading import (
    light_polynomial,
    shade_diffuse,
    shade_point_diffuse,
    shade_specular,
    unit,
)
from facewright.render.texture import texture
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight

BRIGHTEST_STRAND = 2.0  # of highlights


def surface_light(
    fragments: Fragments,
    faces: Int64[Tensor, "F 3"],
    attributes: Float[Tensor, "B V C"],
    lights: tuple[SphericalHarmonicsLight, PointLight],
    strands: Float[Tensor, "1 Y X 1"],
) -> Float[Tensor, "B H W 9"]:
    """Diffuse light (3), highlights (3) and unit normals towards the camera (3) at each pixel; 0 where empty.

    Args:
        fragments: what was drawn.
        faces: its triangles.
        attributes: of each vertex: normal (3) and point (3) in the camera frame, albedo (3), specular
            intensity (1), exponent of highlights (1), and, if there are so many, the place on a strand of
            hair (2; -1: none).
        lights: soft light, and a lamp; camera frame.
        strands: how light strands are.
    """
    if attributes.device.type != "cpu":
        return plain_surface_light(fragments, faces, attributes, lights, strands)
    from facewright.data import surface_light_kernels

    fragments.check(len(faces))
    soft, lamp = lights
    out = torch.empty(*fragments.triangle.shape, 9)
    views = [
        tensor.contiguous().numpy()
        for tensor in (fragments.triangle, fragments.barycentric, attributes, lamp.position, lamp.intensity)
    ]
    polynomial = light_polynomial(soft.coefficients).astype("float32")
    shared = faces.contiguous().numpy(), strands[0, :, :, 0].numpy()
    target = out.numpy()
    run_tasks(
        surface_light_kernels.light_surface,
        [(*(view[k] for view in views), polynomial[k], *shared, target[k]) for k in range(len(target))],
    )
    return out


def plain_surface_light(
    fragments: Fragments,
    faces: Int64[Tensor, "F 3"],
    attributes: Float[Tensor, "B V C"],
    lights: tuple[SphericalHarmonicsLight, PointLight],
    strands: Float[Tensor, "1 Y X 1"],
) -> Float[Tensor, "B H W 9"]:
    """``surface_light`` in plain torch: the specification of its kernel, and what other devices run."""
    values = interpolate(fragments, faces, attributes)
    normals, points, albedo, specular, shininess = values[..., :11].split([3, 3, 3, 1, 1], dim=-1)
    # Things are thin: seen from behind, they are lit like their front.
    away = (normals * points).sum(-1, keepdim=True) > 0
    normals = unit(torch.where(away, -normals, normals))
    if values.shape[-1] > 11:
        light = _strand_light(values[..., 11:], strands)
        albedo, specular = albedo * light, specular * light.clamp_max(BRIGHTEST_STRAND)
    soft, lamp = lights
    diffuse = shade_diffuse(albedo, normals, soft) + shade_point_diffuse(albedo, normals, points, lamp)
    gloss = shade_specular(specular, normals, points, lamp, shininess)
    return torch.cat([diffuse, gloss, normals], dim=-1) * fragments.covered[..., None]


def _strand_light(strand: Float[Tensor, "B H W 2"], strands: Float[Tensor, "1 Y X 1"]) -> Tensor:
    """How light the strand of each pixel is; 1 where there is no hair."""
    rows, columns = STRANDS
    pixel = strand.clamp(0, 1) * strand.new_tensor([columns - 1.0, rows - 1.0]) + 0.5
    light = texture(pixel / strand.new_tensor([float(columns), float(rows)]), strands)
    return torch.where(strand[..., :1] >= 0, light, 1.0)
