"""The hair of a result, read back from its head.glb, and what lies between the hair of two results."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy.spatial import KDTree
from torch import Tensor

from facewright.core.errors import InputError
from facewright.export.glb_read import read_glb_mesh
from facewright.image.color import linear_from_srgb
from facewright.models.face_model import FaceModel
from facewright.models.hair_cap import HairCap
from facewright.models.hair_mesh import HairShell
from facewright.pipeline.hair import HeadHair

NODE = "hair"
SAME = 1e-5  # of the map's side: texture coordinates of one vertex


def read_hair(path: Path, model: FaceModel, neutral: Float[Tensor, "V 3"]) -> HeadHair | None:
    """The hair of a head without expression (mm, head frame) from its GLB file; None if it has none.

    Texture coordinates tell which vertex of the model's shell each vertex of the file is.

    Raises:
        InputError: the file cannot be read, or its hair is of another version or model.
    """
    written = read_glb_mesh(path, NODE)
    if written is None:
        return None
    cap = HairCap.of(model.to("cpu"))
    told = f"{path}: its hair is none of this version and model: reconstruct the photo again with --force."
    if cap is None:
        raise InputError(told)
    mesh = cap.mesh
    away, rows = (np.asarray(each) for each in KDTree(mesh.topology.uv.numpy()).query(written.uv))
    height, width = written.texture.shape[:2]
    if away.max() > SAME or height != width:
        raise InputError(told)
    points = mesh.base(neutral)
    points[torch.from_numpy(rows)] = torch.from_numpy(written.points).to(points)
    # Of a vertex under hair every triangle was written, and of every triangle one such vertex.
    own = np.bincount(rows[written.faces].ravel(), minlength=mesh.count)
    all_of = np.bincount(mesh.topology.faces.numpy().ravel(), minlength=mesh.count)
    cover = torch.from_numpy((own == all_of) & (own > 0)).to(points)
    texture = torch.from_numpy(written.texture.astype(np.float32) / 255).to(points)
    colors = torch.cat([linear_from_srgb(texture[..., :3]), texture[..., 3:]], dim=-1)
    hair = HeadHair(HairShell(mesh, points - mesh.base(neutral), cover), colors)
    if not np.array_equal(_ordered(hair.topology.faces.numpy()), _ordered(rows[written.faces])):
        raise InputError(told)
    return hair


def _ordered(faces: Int64[ndarray, "F 3"]) -> Int64[ndarray, "F 3"]:
    """Triangles in an order that does not depend on that which they are in."""
    return faces[np.lexsort(faces.T)]


def hair_between(first: HeadHair | None, last: HeadHair | None, share: float) -> HeadHair | None:
    """Hair on the way from one to another of one model; where only one has hair it thins out.

    Raises:
        InputError: their maps differ in size.
    """
    if first is None or last is None:
        one = first or last
        left = 1 - share if last is None else share
        return None if one is None or left <= 0 else _thinned(one, left)
    if first.colors.shape != last.colors.shape:
        raise InputError(
            f"expected hair maps of one size, got {first.colors.shape[0]} and {last.colors.shape[0]} texels."
        )
    there, other = (_present(each) for each in (first, last))
    a, b = (each.shell.offset for each in (first, last))
    offset = torch.where((there & other)[:, None], torch.lerp(a, b, share), torch.where(there[:, None], a, b))
    cover = torch.maximum(first.shell.cover, last.shell.cover)
    weight = torch.cat([(1 - share) * first.colors[..., 3:], share * last.colors[..., 3:]], -1) + 1e-6
    weight = weight / weight.sum(-1, keepdim=True)
    color = weight[..., :1] * first.colors[..., :3] + weight[..., 1:] * last.colors[..., :3]
    alpha = torch.lerp(first.colors[..., 3:], last.colors[..., 3:], share)
    return HeadHair(HairShell(first.shell.mesh, offset, cover), torch.cat([color, alpha], -1))


def _thinned(hair: HeadHair, share: float) -> HeadHair:
    return HeadHair(hair.shell, hair.colors * hair.colors.new_tensor([1.0, 1.0, 1.0, share]))


def _present(hair: HeadHair) -> Bool[Tensor, " M"]:
    """Vertices of the triangles where hair is."""
    present = torch.zeros(hair.shell.mesh.count, dtype=torch.bool, device=hair.colors.device)
    present[hair.topology.faces.flatten()] = True
    return present
