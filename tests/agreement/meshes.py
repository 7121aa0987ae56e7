"""Small meshes with known trouble: folds, borders, occlusion, shared edges, slivers."""

import math

import torch
from torch import Tensor


def bumpy_sheet(
    rows: int, columns: int, seed: int, *, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """A folded, bumpy open sheet, 200 mm wide, +Z to the viewer: vertices and faces."""
    generator = torch.Generator().manual_seed(seed)
    v, u = torch.meshgrid(torch.linspace(-1, 1, rows), torch.linspace(-1, 1, columns), indexing="ij")
    bump = 60 * torch.exp(-4 * (u**2 + v**2)) + 25 * torch.sin(7 * u + 2 * v)
    x = 100 * u + 35 * torch.sin(6 * u + 3 * v)
    y = 100 * v + 5 * torch.randn(rows, columns, generator=generator) / rows
    vertices = torch.stack([x, y, bump], dim=-1).reshape(-1, 3).to(dtype)
    corner = torch.arange((rows - 1) * columns).reshape(rows - 1, columns)[:, :-1].reshape(-1)
    lower = torch.stack([corner, corner + 1, corner + columns + 1], dim=1)
    upper = torch.stack([corner, corner + columns + 1, corner + columns], dim=1)
    return vertices, torch.cat([lower, upper])


def projected(vertices: Tensor, size: tuple[int, int], *, perspective: bool, turns: int = 2) -> Tensor:
    """The sheet seen from several sides: pixels (turns, V, 3), depth about 400 mm."""
    views = []
    for turn in range(turns):
        angle = 0.3 + 0.9 * turn
        c, s = math.cos(angle), math.sin(angle)
        spin = torch.tensor([[c, 0.0, s], [0.0, -1.0, 0.0], [s, 0.0, -c]], dtype=vertices.dtype)
        camera = vertices @ spin.mT + torch.tensor([3.0, -2.0, 400.0], dtype=vertices.dtype)
        depth = camera[:, 2:]
        scale = 1.5 * size[0] / depth if perspective else torch.full_like(depth, 1.5 * size[0] / 400)
        center = torch.tensor([size[1] / 2, size[0] / 2], dtype=vertices.dtype)
        views.append(torch.cat([camera[:, :2] * scale + center, depth], dim=1))
    return torch.stack(views)
