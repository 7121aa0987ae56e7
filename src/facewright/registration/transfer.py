"""Colours of a scan on the head's vertices and texture map."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor

from facewright.geometry.nearest import closest_points
from facewright.image.color import linear_from_srgb
from facewright.image.pyramid import push_pull
from facewright.models.face_model import FaceModel
from facewright.registration.face_fit import visible_skin
from facewright.registration.records import Registration
from facewright.registration.surface import ScanSurface
from facewright.render.texture import texture
from facewright.uv.bake import bake
from facewright.uv.chart import UvChart

CHUNK = 200_000  # points that are looked up at once


def scan_colors(
    surface: ScanSurface, triangle: Int64[ndarray, " N"], barycentric: Float[ndarray, "N 3"]
) -> Float[Tensor, "N 3"] | None:
    """Colours (linear RGB) of points on a scan; None if the scan has none."""
    share = torch.from_numpy(barycentric).float()
    if surface.texture is not None and surface.uv is not None and surface.uv_faces is not None:
        corners = torch.from_numpy(surface.uv[surface.uv_faces[triangle]]).float()
        uv = (corners * share[..., None]).sum(1)
        # Beyond [0, 1] a texture repeats; at exactly 1 it does not.
        uv = torch.where((uv < 0) | (uv > 1), uv - uv.floor(), uv)
        picture = torch.from_numpy(surface.texture.copy()).float() / 255
        return linear_from_srgb(texture(uv[None, None], picture[None])[0, 0])
    if surface.colors is not None:
        corners = torch.from_numpy(surface.colors[surface.faces[triangle]]).float() / 255
        return (linear_from_srgb(corners) * share[..., None]).sum(1)
    return None


def vertex_colors(
    surface: ScanSurface, registration: Registration, model: FaceModel
) -> Float[Tensor, "V 3"] | None:
    """Colours (linear RGB) of the scan at the points closest to the head's vertices; None if it has none.

    Skin that the scan says nothing about has the colour of the closest point nevertheless; eyes, teeth,
    tongue and what no scan shows have the model's.
    """
    found = closest_points(registration.target.index, registration.vertices)
    colors = scan_colors(surface, found.triangle, found.barycentric)
    if colors is None:
        return None
    return torch.where(_shown(model)[:, None], colors, model.diffuse_mean)


def transfer_texture(
    surface: ScanSurface, registration: Registration, model: FaceModel, size: int
) -> tuple[Float[Tensor, "S S 3"], Bool[Tensor, "S S"]] | None:
    """The scan's colours as a texture map of the head.

    Args:
        surface: the scan that was registered.
        registration: of it.
        model: the face model of the registration.
        size: of the map, in texels a side.

    Returns:
        The map (linear RGB, row 0 is v = 1), and where it was seen: elsewhere neighbouring colours of the
        skin go on, and eyes, teeth, tongue and what no scan shows have the model's mean albedo.
        None if the scan has no colours.
    """
    if not surface.colored:
        return None
    chart = UvChart.of(model.topology, size)
    places = chart.gather(torch.from_numpy(registration.vertices)).numpy()
    believed = chart.gather(torch.from_numpy(registration.reliable.astype(np.float64))[:, None])[:, 0] > 0.999
    chosen = torch.nonzero(believed)[:, 0]
    colors = torch.zeros(len(places), 3)
    for first in range(0, len(chosen), CHUNK):
        rows = chosen[first : first + CHUNK]
        found = closest_points(registration.target.index, places[rows.numpy()])
        looked_up = scan_colors(surface, found.triangle, found.barycentric)
        if looked_up is not None:
            colors[rows] = looked_up
    weight = chart.scatter(believed.float()[:, None])
    flat = chart.scatter(colors)
    filled = push_pull(flat.permute(2, 0, 1)[None], weight.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    skin = torch.where(weight > 0, flat, filled)
    own = bake(chart, 1 - _shown(model).float()[:, None])
    return torch.lerp(skin, bake(chart, model.diffuse_mean), own).clamp(0, 1), weight[..., 0] > 0


def _shown(model: FaceModel) -> Bool[Tensor, " V"]:
    """Skin that a scan may show."""
    return torch.from_numpy(visible_skin(model) > 0)
